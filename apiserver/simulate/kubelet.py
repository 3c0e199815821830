"""Scheduler and kubelets: pods get a node, start there at once, and stop when they are deleted.

There is neither where no node is: pods then stay as they were made. What containers run is not decided here: the
programs of pods that end are started by `deltawire.apiserver.simulate.runs`.
"""

from typing import Any

from deltawire.apiserver.core.graceful import is_stopping
from deltawire.apiserver.simulate import pod_status, scheduling
from deltawire.apiserver.simulate.desk import PODS, Desk
from deltawire.apiserver.simulate.machines import internal_address, is_ready
from deltawire.apiserver.simulate.templates import MADE_HERE

Tree = dict[str, Any]
NODES = "nodes"
# How long pods stay that are bound to a node that is not there. kube-controller-manager waits 40 s for a node that
# is new to it; here nobody has to wait so long to see it.
ORPHANED_S = 15.0
_SCHEDULER = "default-scheduler"
_HOST_UNKNOWN = "127.0.0.1"


class Kubelets:
    """One for all nodes. For one thread."""

    def __init__(self) -> None:
        self.unplaced: set[str] = set()
        self._orphaned: dict[str, float] = {}

    def act(self, desk: Desk, pod: Tree) -> None:
        """Bring one pod a step further."""
        name = (pod.get("spec") or {}).get("nodeName") or ""
        key = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
        self.unplaced.discard(key)
        node = desk.find(NODES, "", name) if name else None
        if name and node is None:
            self._leave_orphan(desk, pod)
            return
        self._orphaned.pop(pod["metadata"]["uid"], None)
        if "deletionTimestamp" in pod["metadata"]:
            if is_stopping(pod) and (node is None or is_ready(node)):
                desk.delete(PODS, pod, grace_s=0)
            return
        if pod_status.has_ended(pod) or _is_simulated(pod):
            return
        if node is None:
            self._place(desk, pod, key)
        elif is_ready(node):
            _run(desk, pod, node)

    def _place(self, desk: Desk, pod: Tree, key: str) -> None:
        spec, status = pod.get("spec") or {}, pod.get("status") or {}
        nodes = [record.decode() for record in desk.records(NODES) if not record.is_terminating]
        # Where no node runs pods, none are scheduled.
        if not any(map(is_ready, nodes)) or spec.get("schedulerName", _SCHEDULER) != _SCHEDULER:
            self.unplaced.add(key)
            return
        if spec.get("schedulingGates"):
            why = "Scheduling is blocked due to non-empty scheduling gates"
            desk.set_status(PODS, pod, pod_status.unscheduled(status, "SchedulingGated", why, desk.time))
            return
        counts: dict[str, int] = {}
        for record in desk.records(PODS):
            if record.fields.get("spec.nodeName") and record.fields.get("status.phase") != "Succeeded":
                counts[record.fields["spec.nodeName"]] = counts.get(record.fields["spec.nodeName"], 0) + 1
        name, why = scheduling.choose(pod, nodes, counts)
        if name:
            desk.core.bind(pod["metadata"]["name"], pod["metadata"]["namespace"], name)
        else:
            self.unplaced.add(key)
            desk.set_status(PODS, pod, pod_status.unscheduled(status, "Unschedulable", why, desk.time))

    def _leave_orphan(self, desk: Desk, pod: Tree) -> None:
        """A pod whose node is not there goes after a while, without anybody to stop it."""
        uid = pod["metadata"]["uid"]
        since_s = self._orphaned.setdefault(uid, desk.now())
        if "deletionTimestamp" in pod["metadata"] or desk.now() >= since_s + ORPHANED_S:
            del self._orphaned[uid]
            desk.delete(PODS, pod, grace_s=0)
        else:
            desk.look_again(since_s + ORPHANED_S, PODS, pod)


def _run(desk: Desk, pod: Tree, node: Tree) -> None:
    status = pod.get("status") or {}
    if status.get("phase") == "Pending":
        host = internal_address(node) or _HOST_UNKNOWN
        address = "" if pod["spec"].get("hostNetwork") else desk.addresses.give(node)
        made = pod_status.started(pod, number=desk.number(), host=host, address=address, now=desk.time)
        desk.set_status(PODS, pod, made)
        return
    gates = {str(gate.get("conditionType")) for gate in pod["spec"].get("readinessGates") or ()}
    if gates:
        held = {c.get("type") for c in status.get("conditions") or () if c.get("status") == "True"}
        truths = {"Ready": gates <= held and "ContainersReady" in held}
        conditions = pod_status.with_conditions(status, truths, desk.time)
        if {c["type"]: c["status"] for c in conditions} != {
            c["type"]: c["status"] for c in status.get("conditions") or ()
        }:
            desk.set_status(PODS, pod, {**status, "conditions": conditions})
            return
    debugged = pod_status.with_ephemeral(pod, number=desk.number(), now=desk.time)
    if debugged is not None:
        desk.set_status(PODS, pod, debugged)


def _is_simulated(pod: Tree) -> bool:
    """Whether the simulated cluster made the pod: it moves by itself."""
    labels = pod["metadata"].get("labels") or {}
    return all(labels.get(name) == value for name, value in MADE_HERE.items())
