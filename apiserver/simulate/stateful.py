"""StatefulSets: pods with numbers, made in their order, gone in the opposite one, and with claims of their own."""

from typing import Any

from deltawire.apiserver.simulate import workloads
from deltawire.apiserver.simulate.desk import PODS, Desk, reference_to
from deltawire.apiserver.simulate.pod_status import has_ended, is_ready
from deltawire.apiserver.simulate.revisions import LABEL, revision_of

Tree = dict[str, Any]
STATEFUL_SETS, CLAIMS = "statefulsets.apps", "persistentvolumeclaims"


def act(desk: Desk, obj: Tree) -> None:
    """One pod more, less or renewed, and the status."""
    spec = obj["spec"]
    if not isinstance(spec.get("template"), dict):
        return
    digest = revision_of(desk, obj)
    first = (spec.get("ordinals") or {}).get("start", 0)
    numbers = range(first, first + spec.get("replicas", 1))
    # A pod that is leaving still has its name.
    pods = {_number(pod): pod for pod in desk.owned(PODS, obj, leaving=True)}
    staying = {number: pod for number, pod in pods.items() if "deletionTimestamp" not in pod["metadata"]}
    if not _change(desk, obj, numbers, pods, staying, digest):
        _renew(desk, spec, numbers, pods, staying, digest)
    kept = [pod for pod in desk.owned(PODS, obj) if not has_ended(pod)]
    desk.set_status(STATEFUL_SETS, obj, _status(obj, kept, numbers, digest))


def _change(
    desk: Desk, obj: Tree, numbers: range, pods: dict[int, Tree], staying: dict[int, Tree], digest: str
) -> bool:
    """Make the first pod that is missing, or take the last one too many; True if something was done or waited for."""
    is_ordered = obj["spec"].get("podManagementPolicy", "OrderedReady") == "OrderedReady"
    for number in numbers:
        pod = pods.get(number)
        if pod is None:
            _make(desk, obj, number, digest)
            return True
        if has_ended(pod) and number in staying:
            desk.delete(PODS, pod)
            return True
        if is_ordered and (number not in staying or not is_ready(pod)):
            return True
    surplus = sorted(set(staying) - set(numbers))
    if surplus:
        desk.delete(PODS, staying[surplus[-1]])
    return bool(set(pods) - set(numbers))


def _renew(
    desk: Desk, spec: Tree, numbers: range, pods: dict[int, Tree], staying: dict[int, Tree], digest: str
) -> None:
    """Let the last pod of an older template go, from the partition on; it comes back with today's."""
    strategy = spec.get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate":
        return
    partition = (strategy.get("rollingUpdate") or {}).get("partition") or 0
    for number in reversed(numbers):
        pod = staying.get(number)
        if number - numbers.start < partition or pod is None or not is_ready(pod):
            return
        if _digest(pod) != digest:
            desk.delete(PODS, pod)
            return


def _make(desk: Desk, obj: Tree, number: int, digest: str) -> None:
    metadata, spec = obj["metadata"], obj["spec"]
    name, namespace = f"{metadata['name']}-{number}", metadata["namespace"]
    labels = {
        LABEL: f"{metadata['name']}-{digest}",
        "statefulset.kubernetes.io/pod-name": name,
        "apps.kubernetes.io/pod-index": str(number),
    }
    body = workloads.pod(obj, reference_to(obj, "apps/v1", "StatefulSet"), name, labels=labels)
    pod_spec = {**body["spec"], "hostname": name}
    if spec.get("serviceName"):
        pod_spec["subdomain"] = spec["serviceName"]
    volumes = list(pod_spec.get("volumes") or ())
    for template in spec.get("volumeClaimTemplates") or ():
        about = template.get("metadata") or {}
        claim = f"{about.get('name', '')}-{name}"
        if not desk.core.exists(CLAIMS, claim, namespace):
            matched = (spec.get("selector") or {}).get("matchLabels") or {}
            labels = {**(about.get("labels") or {}), **matched}
            desk.create(
                CLAIMS, {"metadata": {"name": claim, "labels": labels}, "spec": template["spec"]}, namespace
            )
        volumes = [v for v in volumes if v.get("name") != about.get("name")]
        volumes.append({"name": about.get("name", ""), "persistentVolumeClaim": {"claimName": claim}})
    if volumes:
        pod_spec["volumes"] = volumes
    desk.create(PODS, {**body, "spec": pod_spec}, namespace)


def _status(obj: Tree, pods: list[Tree], numbers: range, digest: str) -> Tree:
    name = obj["metadata"]["name"]
    update = f"{name}-{digest}"
    before = obj.get("status") or {}
    updated = sum(_digest(pod) == digest for pod in pods)
    ready = sum(map(is_ready, pods))
    is_done = updated == len(numbers) == len(pods) == ready
    current = update if is_done else before.get("currentRevision") or update
    counts = {
        "readyReplicas": ready,
        "currentReplicas": sum(f"{name}-{_digest(pod)}" == current for pod in pods),
        "updatedReplicas": updated,
    }
    return {
        "observedGeneration": obj["metadata"].get("generation", 1),
        "replicas": len(pods),
        **{key: count for key, count in counts.items() if count},
        "currentRevision": current,
        "updateRevision": update,
        "collisionCount": 0,
        "availableReplicas": ready,
    }


def _digest(pod: Tree) -> str:
    return str((pod["metadata"].get("labels") or {}).get(LABEL, "")).rpartition("-")[2]


def _number(pod: Tree) -> int:
    text = pod["metadata"]["name"].rpartition("-")[2]
    return int(text) if text.isdecimal() else -1
