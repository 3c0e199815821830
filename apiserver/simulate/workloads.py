"""What controllers would make of users' Deployments and ReplicaSets: bodies and statuses, nothing done.

A rollout is over at once: there is no rolling, no probe and no image that cannot be pulled.
"""

import hashlib
from typing import Any

import msgspec

from deltawire.apiserver.simulate.desk import reference_to

Tree = dict[str, Any]

REVISION = "deployment.kubernetes.io/revision"
HASH = "pod-template-hash"
_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
_HASH_LENGTH = 10
HISTORY_DEFAULT = 10


def template_hash(template: Tree) -> str:
    digest = hashlib.sha256(msgspec.json.encode(plain(template), order="sorted")).digest()
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in digest[:_HASH_LENGTH])


def plain(template: Tree) -> Any:
    """A template as a Deployment and its ReplicaSet both have it: without the hash, and without what is empty.

    Clients that go through Go types send empty maps along.
    """
    metadata = template.get("metadata") or {}
    labels = {name: value for name, value in (metadata.get("labels") or {}).items() if name != HASH}
    return _filled({**template, "metadata": {**metadata, "labels": labels}})


def _filled(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: _filled(value) for name, value in tree.items() if value not in (None, {}, [])}
    return [_filled(item) for item in tree] if isinstance(tree, list) else tree


def revision_of(obj: Tree) -> int:
    text = str((obj["metadata"].get("annotations") or {}).get(REVISION, ""))
    return int(text) if text.isdecimal() else 0


def with_revision(obj: Tree, revision: int) -> Tree:
    metadata = obj["metadata"]
    annotations = {**(metadata.get("annotations") or {}), REVISION: str(revision)}
    return {**obj, "metadata": {**metadata, "annotations": annotations}}


def with_replicas(obj: Tree, replicas: int) -> Tree:
    return {**obj, "spec": {**obj["spec"], "replicas": replicas}}


def replica_set(deployment: Tree, revision: int) -> Tree:
    metadata, spec = deployment["metadata"], deployment["spec"]
    template = spec["template"]
    mark = {HASH: template_hash(template)}
    about = template.get("metadata") or {}
    labels = {**(about.get("labels") or {}), **mark}
    selector = spec.get("selector") or {}
    annotations = {REVISION: str(revision)}
    cause = (metadata.get("annotations") or {}).get("kubernetes.io/change-cause")
    if cause:
        annotations["kubernetes.io/change-cause"] = cause
    return {
        "metadata": {
            "name": f"{metadata['name']}-{mark[HASH]}",
            "labels": labels,
            "annotations": annotations,
            "ownerReferences": [reference_to(deployment, "apps/v1", "Deployment")],
        },
        "spec": {
            "replicas": spec.get("replicas", 1),
            "selector": {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), **mark}},
            "template": {**template, "metadata": {**about, "labels": labels}},
        },
    }


def pod(owner: Tree, reference: Tree, name: str, *, labels: Tree | None = None) -> Tree:
    """A pod of a workload, not started yet. ``labels`` go on top of the template's."""
    template = owner["spec"]["template"]
    about = template.get("metadata") or {}
    marks = {key: about[key] for key in ("labels", "annotations", "finalizers") if about.get(key)}
    if labels:
        marks["labels"] = {**(marks.get("labels") or {}), **labels}
    return {
        "metadata": {
            **marks,
            "name": name,
            "generateName": f"{owner['metadata']['name']}-",
            "ownerReferences": [reference],
        },
        "spec": template.get("spec") or {},
    }


def replica_set_status(obj: Tree, replicas: int, ready: int) -> Tree:
    status = {"replicas": replicas, "observedGeneration": obj["metadata"].get("generation", 1)}
    if ready:
        status |= {"readyReplicas": ready, "availableReplicas": ready}
    return status | ({"fullyLabeledReplicas": replicas} if replicas else {})


def deployment_status(deployment: Tree, current: Tree | None, sets: list[Tree], now: str) -> Tree:
    """``current`` is the ReplicaSet of today's template, ``sets`` are all."""
    total = sum((s.get("status") or {}).get("replicas", 0) for s in sets)
    ready = sum((s.get("status") or {}).get("readyReplicas", 0) for s in sets)
    updated = ((current or {}).get("status") or {}).get("replicas", 0)
    wanted = deployment["spec"].get("replicas", 1)
    status: Tree = {"observedGeneration": deployment["metadata"].get("generation", 1)}
    counts = {
        "replicas": total,
        "updatedReplicas": updated,
        "readyReplicas": ready,
        "availableReplicas": ready,
        "unavailableReplicas": max(wanted - ready, 0),
    }
    status |= {name: count for name, count in counts.items() if count}
    is_available, is_done = ready >= wanted, updated == wanted == total == ready
    name = (current or deployment)["metadata"]["name"]
    told = "has successfully progressed" if is_done else "is progressing"
    conditions = [
        _condition(
            "Available",
            is_available,
            "MinimumReplicasAvailable" if is_available else "MinimumReplicasUnavailable",
            f"Deployment {'has' if is_available else 'does not have'} minimum availability.",
        ),
        _condition(
            "Progressing",
            True,
            "NewReplicaSetAvailable" if is_done else "ReplicaSetUpdated",
            f'ReplicaSet "{name}" {told}.',
        ),
    ]
    earlier = {c.get("type"): c for c in (deployment.get("status") or {}).get("conditions") or ()}
    status["conditions"] = [
        _dated(condition, earlier.get(condition["type"]), now) for condition in conditions
    ]
    return status


def _condition(kind: str, holds: bool, reason: str, message: str) -> Tree:
    return {"type": kind, "status": "True" if holds else "False", "reason": reason, "message": message}


def _dated(condition: Tree, earlier: Tree | None, now: str) -> Tree:
    """Times move only where something else does: a status that says the same is not written again."""
    earlier = earlier or {}
    if all(earlier.get(name) == value for name, value in condition.items()):
        return earlier
    changed = earlier.get("lastTransitionTime") if earlier.get("status") == condition["status"] else None
    return condition | {"lastUpdateTime": now, "lastTransitionTime": changed or now}
