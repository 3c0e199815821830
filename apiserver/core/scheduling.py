"""Binding a pod to a node."""

from typing import Any

from deltawire.apiserver.core.metadata import timestamp
from deltawire.apiserver.core.resource import Resource
from deltawire.common.errors import StatusError


def bound(pods: Resource, pod: dict[str, Any], node: str, now_s: float) -> dict[str, Any]:
    """``pod`` bound to that node, with its condition. Raises StatusError 409 if it is bound already."""
    spec = dict(pod.get("spec") or {})
    if spec.get("nodeName"):
        name = pod["metadata"]["name"]
        told = f'pod {name} is already assigned to node "{spec["nodeName"]}"'
        refused = f'Operation cannot be fulfilled on pods/binding "{name}": {told}'
        about = {"name": name, "kind": "pods/binding"}
        raise StatusError(409, "Conflict", refused, details=about)
    status = dict(pod.get("status") or {})
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": timestamp(now_s)}
    others = [c for c in status.get("conditions") or () if c.get("type") != "PodScheduled"]
    status["conditions"] = [*others, scheduled]
    return {**pod, "spec": {**spec, "nodeName": node}, "status": status}
