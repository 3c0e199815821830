"""Autoscalers keep what they scale within their bounds. Nothing is measured: there are no metrics."""

from typing import Any

from deltawire.apiserver.simulate.desk import Desk
from deltawire.apiserver.simulate.instants import seconds_of
from deltawire.common.errors import StatusError

Tree = dict[str, Any]
AUTOSCALERS = "horizontalpodautoscalers.autoscaling"
# How often each is looked at, and when first (kube-controller-manager's period).
SYNC_S = 15.0
_NO_METRICS = (
    "the HPA was unable to compute the replica count: failed to get resource metrics: unable to fetch metrics from "
    "resource metrics API: the server could not find the requested resource (get pods.metrics.k8s.io)"
)


def act(desk: Desk, autoscaler: Tree) -> None:
    spec, metadata = autoscaler.get("spec") or {}, autoscaler["metadata"]
    first_s = seconds_of(metadata["creationTimestamp"]) + SYNC_S
    if desk.now() < first_s:
        desk.look_again(first_s, AUTOSCALERS, autoscaler)
        return
    desk.look_again(desk.now() + SYNC_S, AUTOSCALERS, autoscaler)
    target = spec.get("scaleTargetRef") or {}
    kind, name, namespace = str(target.get("kind")), str(target.get("name")), metadata["namespace"]
    storage = _storage_of(desk, kind, str(target.get("apiVersion", "")))
    now = desk.time
    try:
        scale = desk.core.get_scale(storage, name, namespace) if storage else None
    except StatusError as error:
        if error.code != 404:
            raise
        scale = None
    if scale is None:
        told = f"the HPA controller was unable to get the target's current scale: {kind.lower()} {name!r} not found"
        conditions = [("AbleToScale", False, "FailedGetScale", told)]
        replicas = 0
    else:
        replicas = scale["spec"].get("replicas", 0)
        wanted = min(max(replicas, spec.get("minReplicas", 1)), spec.get("maxReplicas", replicas))
        if replicas and wanted != replicas:
            changed = {**scale, "spec": {"replicas": wanted}}
            changed["metadata"] = {"name": name}
            desk.core.patch_scale(storage, lambda current: changed, name, namespace)
            replicas = wanted
        able = "the HPA controller was able to get the target's current scale"
        conditions = [("AbleToScale", True, "SucceededGetScale", able)]
        if replicas:
            conditions.append(("ScalingActive", False, "FailedGetResourceMetric", _NO_METRICS))
        else:
            off = "scaling is disabled since the replica count of the target is zero"
            conditions.append(("ScalingActive", False, "ScalingDisabled", off))
    current = 0 if scale is None else (scale.get("status") or {}).get("replicas", 0)
    status: Tree = {
        "currentMetrics": None,
        "currentReplicas": current,
        "desiredReplicas": replicas,
        "conditions": [_condition(autoscaler, *each, now) for each in conditions],
    }
    before = {**(autoscaler.get("status") or {})}
    if any(before.get(key) != value for key, value in status.items() if value is not None):
        desk.set_status(AUTOSCALERS, autoscaler, status)


def _storage_of(desk: Desk, kind: str, api_version: str) -> str:
    """The table of what is scaled; "" where nothing of that kind has a scale."""
    group = api_version.rpartition("/")[0]
    for resource in desk.core.catalogue:
        if resource.type.kind == kind and resource.type.group == group and resource.scale is not None:
            return resource.storage
    return ""


def _condition(autoscaler: Tree, kind: str, holds: bool, reason: str, message: str, now: str) -> Tree:
    made = {"type": kind, "status": "True" if holds else "False", "reason": reason, "message": message}
    for known in (autoscaler.get("status") or {}).get("conditions") or ():
        if known.get("type") == kind and known.get("status") == made["status"]:
            return {**made, "lastTransitionTime": known.get("lastTransitionTime", now)}
    return {**made, "lastTransitionTime": now}
