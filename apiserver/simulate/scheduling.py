"""Which node a pod goes to: those that it may use, the one with the fewest pods first. Nothing is measured.

Counted are a node's readiness, its taints, the pod's node selector and required node affinity, and how many pods a
node takes. Resources, spreading and the affinity between pods are not.
"""

from collections.abc import Mapping
from typing import Any

from deltawire.apiserver.simulate.machines import is_ready

Tree = dict[str, Any]
# Pods of a node that does not say how many it takes (the kubelet's default).
PODS_MAX_DEFAULT = 110
_KEEPS_AWAY = ("NoSchedule", "NoExecute")


def choose(pod: Tree, nodes: list[Tree], pods_on: Mapping[str, int]) -> tuple[str, str]:
    """The node's name, or "" and what a scheduler says of its failure. ``pods_on`` counts pods by node."""
    reasons: dict[str, int] = {}
    best: tuple[int, str] | None = None
    for node in nodes:
        name = node["metadata"]["name"]
        why = refusal(pod, node) or _fullness(node, pods_on.get(name, 0))
        if why:
            reasons[why] = reasons.get(why, 0) + 1
        else:
            best = min(best or (1 << 62, ""), (pods_on.get(name, 0), name))
    if best is not None:
        return best[1], ""
    told = ", ".join(f"{count} {why}" for why, count in sorted(reasons.items()))
    return "", f"0/{len(nodes)} nodes are available: {told}. preemption: not eligible."


def refusal(pod: Tree, node: Tree) -> str:
    """Why this node does not take the pod; "" if it does, for all that concerns the node alone."""
    spec = node.get("spec") or {}
    if not is_ready(node):
        return "node(s) were not ready"
    tolerations = (pod.get("spec") or {}).get("tolerations") or ()
    if spec.get("unschedulable") and not tolerates(
        tolerations, {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    ):
        return "node(s) were unschedulable"
    for taint in spec.get("taints") or ():
        if taint.get("effect") in _KEEPS_AWAY and not tolerates(tolerations, taint):
            return f"node(s) had untolerated taint(s) {{{taint.get('key')}: {taint.get('value', '')}}}"
    if not is_selected(pod, node):
        return "node(s) didn't match Pod's node affinity/selector"
    return ""


def tolerates(tolerations: Any, taint: Tree) -> bool:
    return any(_covers(toleration, taint) for toleration in tolerations)


def _covers(toleration: Tree, taint: Tree) -> bool:
    if toleration.get("effect") not in (None, "", taint.get("effect")):
        return False
    key, operator = toleration.get("key") or "", toleration.get("operator") or "Equal"
    if not key:
        return operator == "Exists"
    if key != taint.get("key"):
        return False
    return operator == "Exists" or (toleration.get("value") or "") == (taint.get("value") or "")


def is_selected(pod: Tree, node: Tree) -> bool:
    """Whether the pod's node selector and its required node affinity take this node."""
    spec, metadata = pod.get("spec") or {}, node["metadata"]
    labels = metadata.get("labels") or {}
    if any(labels.get(name) != value for name, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if not required:
        return True
    fields = {"metadata.name": metadata["name"]}
    return any(
        all(_holds(each, labels) for each in term.get("matchExpressions") or ())
        and all(_holds(each, fields) for each in term.get("matchFields") or ())
        for term in required.get("nodeSelectorTerms") or ()
        if term.get("matchExpressions") or term.get("matchFields")
    )


def _holds(requirement: Tree, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(requirement.get("key", "")), requirement.get("values") or []
    match requirement.get("operator"):
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt" as sign:
            try:
                have, bound = int(value or ""), int(values[0])
            except (ValueError, IndexError):
                return False
            return have > bound if sign == "Gt" else have < bound
    return False


def _fullness(node: Tree, count: int) -> str:
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    try:
        most = int(allocatable.get("pods", PODS_MAX_DEFAULT))
    except (TypeError, ValueError):
        most = PODS_MAX_DEFAULT
    return "Too many pods" if count >= most else ""
