"""ReplicaSets and ReplicationControllers keep as many pods as they are asked for."""

from typing import Any

from deltawire.apiserver.simulate import workloads
from deltawire.apiserver.simulate.desk import PODS, Desk, reference_to
from deltawire.apiserver.simulate.pod_status import has_ended, is_ready

Tree = dict[str, Any]
# Kind by whether the object names a group: both are decoded without their kind.
_STORAGES = {"ReplicaSet": "replicasets.apps", "ReplicationController": "replicationcontrollers"}


def act(desk: Desk, obj: Tree) -> None:
    """One pod more or less, and the status."""
    kind = obj["kind"]
    own = reference_to(obj, obj["apiVersion"], kind)
    metadata, spec = obj["metadata"], obj["spec"]
    namespace, wanted = metadata["namespace"], spec.get("replicas", 1)
    pods = [pod for pod in desk.claimed(PODS, obj, own) if not has_ended(pod)]
    if len(pods) < wanted and isinstance(spec.get("template"), dict):
        # One at a time: a million replicas asked for must not hold up the server.
        made = desk.create_with_suffix(
            PODS, lambda suffix: workloads.pod(obj, own, f"{metadata['name']}-{suffix}"), namespace
        )
        pods.append(made)
    elif len(pods) > wanted:
        pods.sort(key=_worth)
        desk.delete(PODS, pods.pop(0))
    desk.set_status(
        _STORAGES[kind], obj, workloads.replica_set_status(obj, len(pods), sum(map(is_ready, pods)))
    )


def _worth(pod: Tree) -> tuple[bool, int]:
    """Pods that are not ready go first, then those that are said to cost little."""
    told = (pod["metadata"].get("annotations") or {}).get("controller.kubernetes.io/pod-deletion-cost", "0")
    return is_ready(pod), int(told) if told.lstrip("-").isdecimal() else 0
