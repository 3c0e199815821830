"""Nodes: cordoned ones carry a taint, and pods leave a node whose taints they do not bear."""

from typing import Any

from deltawire.apiserver.simulate.desk import PODS, Desk
from deltawire.apiserver.simulate.scheduling import tolerates

Tree = dict[str, Any]
NODES = "nodes"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"


def act(desk: Desk, node: Tree) -> None:
    """The taint of a cordon, then the pods that may not stay."""
    spec = node.get("spec") or {}
    taints = spec.get("taints") or []
    is_marked = any(taint.get("key") == UNSCHEDULABLE for taint in taints)
    if bool(spec.get("unschedulable")) != is_marked:
        desk.patch(NODES, node, _with_mark if not is_marked else _without_mark)
    repelling = [taint for taint in taints if taint.get("effect") == "NoExecute"]
    if not repelling:
        return
    for record in desk.records(PODS):
        if record.fields.get("spec.nodeName") == node["metadata"]["name"] and not record.is_terminating:
            pod = record.decode()
            tolerations = (pod.get("spec") or {}).get("tolerations") or ()
            if not all(tolerates(tolerations, taint) for taint in repelling):
                desk.delete(PODS, pod)


def _with_mark(node: Tree) -> Tree:
    spec = node.get("spec") or {}
    mark = {"key": UNSCHEDULABLE, "effect": "NoSchedule"}
    return {**node, "spec": {**spec, "taints": [*(spec.get("taints") or ()), mark]}}


def _without_mark(node: Tree) -> Tree:
    spec = dict(node.get("spec") or {})
    spec["taints"] = [taint for taint in spec.get("taints") or () if taint.get("key") != UNSCHEDULABLE]
    if not spec["taints"]:
        del spec["taints"]
    return {**node, "spec": spec}
