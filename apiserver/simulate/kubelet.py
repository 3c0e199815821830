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

    def __init__(self, delay_s: float = 0.0) -> None:
        """``delay_s`` is what a pod takes to start, and to stop."""
        self._delay_s = delay_s
        # Since when pods that take their time start or stop, by step.
        self._since_s: dict[str, float] = {}
        self.unplaced: set[str] = set()
        self._orphaned: dict[str, float] = {}

    def forget(self, uid: str) -> None:
        """That pod is gone."""
        self._orphaned.pop(uid, None)
        for step in (_start_of(uid), _stop_of(uid)):
            self._since_s.pop(step, None)

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
                self._stop(desk, pod)
            return
        if pod_status.has_ended(pod) or _is_simulated(pod):
            return
        if node is None:
            self._place(desk, pod, key)
        elif is_ready(node):
            self._run(desk, pod, node)

    def _run(self, desk: Desk, pod: Tree, node: Tree) -> None:
        status = pod.get("status") or {}
        if status.get("phase") != "Pending":
            _keep(desk, pod)
            return
        host = internal_address(node) or _HOST_UNKNOWN
        if not self._has_waited(desk, pod, _start_of(pod["metadata"]["uid"])):
            desk.set_status(PODS, pod, pod_status.creating(pod, host=host, now=desk.time))
            return
        address = "" if pod["spec"].get("hostNetwork") else desk.addresses.give(node)
        made = pod_status.started(pod, number=desk.number(), host=host, address=address, now=desk.time)
        desk.set_status(PODS, pod, made)

    def _stop(self, desk: Desk, pod: Tree) -> None:
        """As its containers end a pod is no longer ready, which whoever watches it sees before it goes."""
        if not self._has_waited(desk, pod, _stop_of(pod["metadata"]["uid"])):
            return
        if (pod.get("status") or {}).get("phase") == "Running":
            desk.set_status(PODS, pod, pod_status.stopped(pod, now=desk.time))
        desk.delete(PODS, pod, grace_s=0)

    def _has_waited(self, desk: Desk, pod: Tree, step: str) -> bool:
        """Whether the delay of that step is over; else the pod is looked at again then."""
        if not self._delay_s:
            return True
        ends_s = self._since_s.setdefault(step, desk.now()) + self._delay_s
        if desk.now() >= ends_s:
            del self._since_s[step]
            return True
        desk.look_again(ends_s, PODS, pod)
        return False

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


def _start_of(uid: str) -> str:
    return f"{uid}/start"


def _stop_of(uid: str) -> str:
    return f"{uid}/stop"


def _keep(desk: Desk, pod: Tree) -> None:
    """What comes while a pod runs: conditions that others hold, and containers to debug it."""
    status = pod.get("status") or {}
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
