"""Kinds that are served in two forms over one storage: autoscalers v1 and v2, events of both groups.

The stored form is autoscaling/v2 and the core group's Event.
"""

from typing import Any

from deltawire.apiserver.core.resource import Conversion
from deltawire.common.meta.resources import ResourceType

Tree = dict[str, Any]

_CPU_V1 = "targetCPUUtilizationPercentage"
_EVENT_NAMES = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_EVENT_NAMES_SERVED = {stored: served for served, stored in _EVENT_NAMES.items()}


def autoscaler_v1(stored_as: ResourceType) -> Conversion:
    """autoscaling/v1: the target CPU utilisation is a field of its own; other metrics do not show there."""
    return Conversion(stored_as, _autoscaler_to_v2, _autoscaler_to_v1)


def events_v1(stored_as: ResourceType) -> Conversion:
    """events.k8s.io/v1: the same facts as a core Event under other names."""
    return Conversion(
        stored_as,
        lambda obj: _renamed(obj, _EVENT_NAMES),
        lambda obj: _renamed(obj, _EVENT_NAMES_SERVED),
    )


def _renamed(obj: Tree, names: dict[str, str]) -> Tree:
    return {names.get(name, name): value for name, value in obj.items()}


def _autoscaler_to_v2(obj: Tree) -> Tree:
    spec = dict(obj.get("spec") or {})
    percent = spec.pop(_CPU_V1, None)
    if percent is not None:
        spec["metrics"] = [_cpu_metric("target", {"type": "Utilization", "averageUtilization": percent})]
    status = dict(obj.get("status") or {})
    current = status.pop("currentCPUUtilizationPercentage", None)
    if current is not None:
        status["currentMetrics"] = [_cpu_metric("current", {"averageUtilization": current})]
    return {**obj, "spec": spec} | ({"status": status} if status else {})


def _autoscaler_to_v1(obj: Tree) -> Tree:
    spec = dict(obj.get("spec") or {})
    percent = _cpu_percent(spec.pop("metrics", None), "target")
    if percent is not None:
        spec[_CPU_V1] = percent
    spec.pop("behavior", None)
    status = dict(obj.get("status") or {})
    current = _cpu_percent(status.pop("currentMetrics", None), "current")
    if current is not None:
        status["currentCPUUtilizationPercentage"] = current
    status.pop("conditions", None)
    return {**obj, "spec": spec} | ({"status": status} if "status" in obj else {})


def _cpu_metric(part: str, value: Tree) -> Tree:
    return {"type": "Resource", "resource": {"name": "cpu", part: value}}


def _cpu_percent(metrics: Any, part: str) -> int | None:
    for metric in metrics or ():
        resource = metric.get("resource") or {}
        percent: int | None = (resource.get(part) or {}).get("averageUtilization")
        if resource.get("name") == "cpu" and percent is not None:
            return percent
    return None
