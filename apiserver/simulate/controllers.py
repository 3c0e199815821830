"""Controllers for users' objects: Deployments get ReplicaSets, ReplicaSets get pods, pods start.

Each pass looks at what has changed and brings it one step further, until nothing is left to do. What the
simulated cluster made (`cluster`) moves by itself and is left alone.
"""

import random
from collections.abc import Callable
from functools import partial
from typing import Any

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.metadata import timestamp
from deltawire.apiserver.core.record import Record
from deltawire.apiserver.core.window import EventWindow
from deltawire.apiserver.simulate import workloads
from deltawire.apiserver.simulate.cluster import MINE
from deltawire.apiserver.simulate.names import create_under_a_free_name
from deltawire.common.errors import StatusError

DEPLOYMENTS, REPLICA_SETS, PODS = "deployments.apps", "replicasets.apps", "pods"
TABLES = (DEPLOYMENTS, REPLICA_SETS, PODS)
_OWNERS = {"Deployment": DEPLOYMENTS, "ReplicaSet": REPLICA_SETS}
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"
_SUFFIX_LENGTH = 5

Tree = dict[str, Any]


class Controllers:
    """For one thread. ``now`` gives Unix seconds; ``wake`` is called when there is something to do."""

    def __init__(
        self, core: ApiCore, *, seed: int, now: Callable[[], float], wake: Callable[[], None]
    ) -> None:
        self._core = core
        self._random = random.Random(seed)
        self._now = now
        self._wake = wake
        self._windows: dict[str, EventWindow] = {}
        self._seen: dict[str, int] = {}
        self._due: dict[tuple[str, str], None] = {}
        self._started = 0
        self._acts = {
            DEPLOYMENTS: self._roll_out,
            REPLICA_SETS: self._keep_pods,
            PODS: self._start,
        }

    def step(self) -> bool:
        """Bring one object further; False when nothing is due."""
        self._look()
        if not self._due:
            return False
        storage, key = next(iter(self._due))
        del self._due[storage, key]
        record = self._core.store.table(storage).records.get(key)
        if record is None or record.is_terminating or MINE.matches(record.labels):
            return True
        try:
            self._acts[storage](record.decode())
        except StatusError as error:
            # Users delete and change what they like; everything else is a fault of the simulation.
            if error.code not in (403, 404, 409, 422):
                raise
        return True

    def close(self) -> None:
        for window in self._windows.values():
            window.unsubscribe(self._wake)

    def _look(self) -> None:
        """Note what has changed since the last look; everything where that is not known."""
        for storage in TABLES:
            table = self._core.store.table(storage)
            window = table.window
            if self._windows.get(storage) is not window or self._seen[storage] < window.tail:
                if storage in self._windows:
                    self._windows[storage].unsubscribe(self._wake)
                window.subscribe(self._wake)
                self._windows[storage] = window
                for record in table.records.values():
                    self._note(storage, record)
            else:
                for sequence in range(self._seen[storage], window.head):
                    self._note(storage, window.at(sequence).record)
            self._seen[storage] = window.head

    def _note(self, storage: str, record: Record) -> None:
        if MINE.matches(record.labels):
            return
        self._due[storage, record.key] = None
        if record.owners:
            owner = workloads.owner_of(record.decode())
            of = _OWNERS.get(str(owner.get("kind")))
            if of is not None:
                self._due[of, f"{record.namespace}/{owner['name']}"] = None

    def _owned(self, storage: str, owner: Tree) -> list[Tree]:
        uid, records = owner["metadata"]["uid"], self._core.store.table(storage).records
        found = [records[key] for of, key in self._core.store.owned_by(uid) if of == storage]
        return [record.decode() for record in found if not record.is_terminating]

    def _roll_out(self, deployment: Tree) -> None:
        metadata, spec = deployment["metadata"], deployment["spec"]
        template = spec.get("template")
        if not isinstance(template, dict):
            return
        name, namespace = metadata["name"], metadata["namespace"]
        sets = sorted(self._owned(REPLICA_SETS, deployment), key=workloads.revision_of)
        plain = workloads.plain(template)
        current = next((s for s in sets if workloads.plain(s["spec"]["template"]) == plain), None)
        newest = workloads.revision_of(sets[-1]) if sets else 0
        if current is None and not spec.get("paused"):
            made = workloads.replica_set(deployment, newest + 1)
            current = self._core.create(REPLICA_SETS, made, namespace).decode()
            sets.append(current)
        elif current is not None and current is not sets[-1]:
            revised = workloads.with_revision(current, newest + 1)
            self._patch(REPLICA_SETS, revised, partial(workloads.with_revision, revision=newest + 1))
            current["metadata"] = revised["metadata"]
        for replica_set in sets:
            if spec.get("paused") and current is None:
                break  # a paused rollout leaves the last one as it is
            wanted = spec.get("replicas", 1) if replica_set is current else 0
            if replica_set["spec"].get("replicas") != wanted:
                self._patch(REPLICA_SETS, replica_set, partial(workloads.with_replicas, replicas=wanted))
        if current is not None:
            revision = workloads.revision_of(current)
            self._patch(DEPLOYMENTS, deployment, partial(workloads.with_revision, revision=revision))
        self._forget(spec, [s for s in sets if s is not current], namespace)
        status = workloads.deployment_status(
            deployment, current, self._owned(REPLICA_SETS, deployment), timestamp(self._now())
        )
        self._core.patch(
            DEPLOYMENTS, lambda d: {**d, "status": status}, name, namespace, subresource="status"
        )

    def _forget(self, spec: Tree, old: list[Tree], namespace: str) -> None:
        """Drop the oldest ReplicaSets beyond the history that is wanted."""
        empty = [
            s for s in old if not (s.get("status") or {}).get("replicas") and not s["spec"].get("replicas")
        ]
        kept = spec.get("revisionHistoryLimit", workloads.HISTORY_DEFAULT)
        for replica_set in empty[: max(len(empty) - kept, 0)]:
            self._core.delete(REPLICA_SETS, replica_set["metadata"]["name"], namespace)

    def _keep_pods(self, replica_set: Tree) -> None:
        metadata, spec = replica_set["metadata"], replica_set["spec"]
        namespace, wanted = metadata["namespace"], spec.get("replicas", 1)
        pods = self._owned(PODS, replica_set)
        if len(pods) < wanted:
            # One at a time: a million replicas asked for must not hold up the server.
            _, made = create_under_a_free_name(
                lambda: "".join(self._random.choice(_SUFFIX) for _ in range(_SUFFIX_LENGTH)),
                (),
                lambda suffix: self._core.create(PODS, workloads.pod(replica_set, suffix), namespace),
            )
            pods.append(made.decode())
        elif len(pods) > wanted:
            pods.sort(key=workloads.is_ready)
            self._core.delete(PODS, pods.pop(0)["metadata"]["name"], namespace)
        status = workloads.replica_set_status(replica_set, len(pods), sum(map(workloads.is_ready, pods)))
        self._core.patch(
            REPLICA_SETS, lambda s: {**s, "status": status}, metadata["name"], namespace, subresource="status"
        )

    def _start(self, pod: Tree) -> None:
        if (pod.get("status") or {}).get("phase") != "Pending":
            return
        self._started += 1
        number, now = self._started, timestamp(self._now())
        metadata = pod["metadata"]
        self._core.patch(
            PODS,
            lambda p: workloads.started(p, number, now),
            metadata["name"],
            metadata["namespace"],
            subresource="status",
        )

    def _patch(self, storage: str, obj: Tree, change: Callable[[Tree], Tree]) -> None:
        metadata = obj["metadata"]
        self._core.patch(storage, change, metadata["name"], metadata["namespace"])
