"""Deployments get a ReplicaSet for each template, with revisions, and a status."""

from functools import partial
from typing import Any

from deltawire.apiserver.simulate import workloads
from deltawire.apiserver.simulate.desk import Desk, reference_to

Tree = dict[str, Any]
DEPLOYMENTS, REPLICA_SETS = "deployments.apps", "replicasets.apps"


def act(desk: Desk, deployment: Tree) -> None:
    """Bring one Deployment a step further. A rollout is over at once."""
    metadata, spec = deployment["metadata"], deployment["spec"]
    template = spec.get("template")
    if not isinstance(template, dict):
        return
    namespace = metadata["namespace"]
    own = reference_to(deployment, "apps/v1", "Deployment")
    sets = sorted(desk.claimed(REPLICA_SETS, deployment, own), key=workloads.revision_of)
    plain = workloads.plain(template)
    current = next((s for s in sets if workloads.plain(s["spec"]["template"]) == plain), None)
    newest = workloads.revision_of(sets[-1]) if sets else 0
    if current is None and not spec.get("paused"):
        current = desk.create(REPLICA_SETS, workloads.replica_set(deployment, newest + 1), namespace)
        sets.append(current)
    elif current is not None and current is not sets[-1]:
        revised = workloads.with_revision(current, newest + 1)
        desk.patch(REPLICA_SETS, revised, partial(workloads.with_revision, revision=newest + 1))
        current["metadata"] = revised["metadata"]
    for replica_set in sets:
        if spec.get("paused") and current is None:
            break  # a paused rollout leaves the last one as it is
        wanted = spec.get("replicas", 1) if replica_set is current else 0
        if replica_set["spec"].get("replicas") != wanted:
            desk.patch(REPLICA_SETS, replica_set, partial(workloads.with_replicas, replicas=wanted))
    if current is not None:
        revision = workloads.revision_of(current)
        if workloads.revision_of(deployment) != revision:
            desk.patch(DEPLOYMENTS, deployment, partial(workloads.with_revision, revision=revision))
    _forget(desk, spec, [s for s in sets if s is not current])
    status = workloads.deployment_status(deployment, current, desk.owned(REPLICA_SETS, deployment), desk.time)
    desk.set_status(DEPLOYMENTS, deployment, status)


def _forget(desk: Desk, spec: Tree, old: list[Tree]) -> None:
    """Drop the oldest ReplicaSets beyond the history that is wanted."""
    empty = [s for s in old if not (s.get("status") or {}).get("replicas") and not s["spec"].get("replicas")]
    kept = spec.get("revisionHistoryLimit", workloads.HISTORY_DEFAULT)
    for replica_set in empty[: max(len(empty) - kept, 0)]:
        desk.delete(REPLICA_SETS, replica_set)
