"""DaemonSets: one pod on each node that takes it."""

from typing import Any

from deltawire.apiserver.simulate import workloads
from deltawire.apiserver.simulate.desk import PODS, Desk, reference_to
from deltawire.apiserver.simulate.pod_status import has_ended, is_ready
from deltawire.apiserver.simulate.revisions import LABEL, revision_of
from deltawire.apiserver.simulate.scheduling import refusal

Tree = dict[str, Any]
DAEMON_SETS, NODES = "daemonsets.apps", "nodes"
# What its pods bear that others do not: node conditions do not drive them away.
_BORNE = (
    ("not-ready", "NoExecute"),
    ("unreachable", "NoExecute"),
    ("disk-pressure", "NoSchedule"),
    ("memory-pressure", "NoSchedule"),
    ("pid-pressure", "NoSchedule"),
    ("unschedulable", "NoSchedule"),
)


def act(desk: Desk, obj: Tree) -> None:
    """At most one pod made and one taken away, and the status."""
    if not isinstance(obj["spec"].get("template"), dict):
        return
    digest = revision_of(desk, obj)
    pods = list(desk.claimed(PODS, obj, reference_to(obj, "apps/v1", "DaemonSet")))
    there: dict[str, Tree] = {}
    surplus = []
    for pod in pods:
        node = (pod.get("spec") or {}).get("nodeName", "")
        if has_ended(pod) or node in there:
            surplus.append(pod)
        else:
            there[node] = pod
    template = {"metadata": {}, "spec": _spec(obj)}
    wanted = []
    for record in desk.records(NODES):
        node = record.decode()
        if not record.is_terminating and not refusal(template, node):
            wanted.append(record.name)
    surplus += [pod for name, pod in there.items() if name not in wanted]
    missing = [name for name in wanted if name not in there]
    old = [there[name] for name in wanted if name in there and _digest(there[name]) != digest]
    if surplus:
        desk.delete(PODS, surplus[0])
    elif missing:
        _make(desk, obj, missing[0], digest)
    elif old and (obj["spec"].get("updateStrategy") or {}).get("type", "RollingUpdate") == "RollingUpdate":
        desk.delete(PODS, old[0])
    kept = [pod for pod in desk.owned(PODS, obj) if (pod.get("spec") or {}).get("nodeName") in wanted]
    desk.set_status(DAEMON_SETS, obj, _status(obj, kept, len(wanted), digest))


def _spec(obj: Tree) -> Tree:
    spec = dict(obj["spec"]["template"].get("spec") or {})
    given = list(spec.get("tolerations") or ())
    for name, effect in _BORNE:
        toleration = {"key": f"node.kubernetes.io/{name}", "operator": "Exists", "effect": effect}
        if toleration not in given:
            given.append(toleration)
    return {**spec, "tolerations": given}


def _make(desk: Desk, obj: Tree, node: str, digest: str) -> None:
    metadata, own = obj["metadata"], reference_to(obj, "apps/v1", "DaemonSet")
    only = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
    spec = _spec(obj)
    affinity = dict(spec.get("affinity") or {})
    required = {"nodeSelectorTerms": [only]}
    affinity["nodeAffinity"] = {
        **(affinity.get("nodeAffinity") or {}),
        "requiredDuringSchedulingIgnoredDuringExecution": required,
    }
    generation = str(metadata.get("generation", 1))

    def made(suffix: str) -> Tree:
        labels = {LABEL: digest, "pod-template-generation": generation}
        pod = workloads.pod(obj, own, f"{metadata['name']}-{suffix}", labels=labels)
        return {**pod, "spec": {**spec, "affinity": affinity, "nodeName": node}}

    desk.create_with_suffix(PODS, made, metadata["namespace"])


def _status(obj: Tree, pods: list[Tree], wanted: int, digest: str) -> Tree:
    ready = sum(map(is_ready, pods))
    status: Tree = {
        "currentNumberScheduled": len(pods),
        "numberMisscheduled": 0,
        "desiredNumberScheduled": wanted,
        "numberReady": ready,
        "observedGeneration": obj["metadata"].get("generation", 1),
    }
    counts = {
        "updatedNumberScheduled": sum(_digest(pod) == digest for pod in pods),
        "numberAvailable": ready,
        "numberUnavailable": wanted - ready,
    }
    return status | {key: count for key, count in counts.items() if count}


def _digest(pod: Tree) -> str:
    return str((pod["metadata"].get("labels") or {}).get(LABEL, ""))
