"""A small cluster: nodes, and Deployments that own ReplicaSets that own Pods.

`step` makes one write: a pod starts, changes, or goes and is replaced, and its owners' status follows. Which
write is next depends on the seed alone. What other clients delete is noticed and replaced, as a controller
would, as long as its ReplicaSet is there.
"""

import random
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.metadata import timestamp
from deltawire.apiserver.core.options import DeleteOptions
from deltawire.apiserver.core.selection import Selection
from deltawire.apiserver.simulate import machines, templates
from deltawire.apiserver.simulate.names import create_under_a_free_name
from deltawire.common.errors import StatusError
from deltawire.common.meta.selectors import LabelSelector, parse_label_selector

PODS_DEFAULT = 50
PODS_A_DEPLOYMENT = 10
PODS_A_NODE = 30
# Started replacements (create, start, status) wait here; at the bound they go before anything new.
FOLLOW_UPS_MAX = 64
# Of the steps that begin something new (half of all), how many replace a pod; the others change one. A
# replacement brings four follow-ups, so beyond a quarter they would pile up.
REPLACE_SHARE = 0.2
_NAMESPACES = ("default", "shop", "billing", "search")
MINE: LabelSelector = parse_label_selector(",".join(f"{k}={v}" for k, v in templates.MADE_HERE.items()))
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"


@dataclass(slots=True)
class Workload:
    """A Deployment with its one ReplicaSet and the names of its pods."""

    namespace: str
    name: str
    pod_hash: str
    owner_uid: str = ""
    replicas: int = 0
    pods: set[str] = field(default_factory=set)
    ready: set[str] = field(default_factory=set)

    @property
    def replica_set(self) -> str:
        return f"{self.name}-{self.pod_hash}"


class SimulatedCluster:
    """``objects`` says how many of each resource there shall be; ``now`` gives Unix seconds."""

    def __init__(
        self, core: ApiCore, objects: Mapping[str, int], *, seed: int, now: Callable[[], float]
    ) -> None:
        self._core = core
        self._objects = dict(objects)
        self._seed = seed
        self._random = random.Random(seed)
        self._now = now
        self._pods: list[tuple[Workload, str]] = []
        self._nodes: list[str] = []
        self._follow_ups: deque[Callable[[], None]] = deque()
        self._made = 0

    def populate(self) -> None:
        """Make the objects asked for. Pods bring nodes, Deployments and ReplicaSets with them.

        Where an earlier start left a simulated cluster, that one goes on instead.
        """
        if self._adopt():
            return
        counts = dict(self._objects)
        pods = counts.pop("pods", 0)
        nodes = counts.pop("nodes", -(-pods // PODS_A_NODE) if pods else 0)
        deployments = counts.pop("deployments.apps", -(-pods // PODS_A_DEPLOYMENT))
        counts.pop("replicasets.apps", None)
        now = timestamp(self._now())
        self._nodes = [self._node(n, now) for n in range(nodes)]
        for number in range(deployments):
            self._make_workload(number, pods // deployments + (number < pods % deployments))
        for storage, count in counts.items():
            self._make_plain(storage, count)

    def step(self) -> None:
        """Make one write, or find that an object is gone (then nothing may be written)."""
        if self._follow_ups and (len(self._follow_ups) >= FOLLOW_UPS_MAX or self._random.random() < 0.5):
            act = self._follow_ups.popleft()
        elif not self._pods:
            return
        else:
            position = self._random.randrange(len(self._pods))
            if self._random.random() < REPLACE_SHARE:
                act = partial(self._replace, *self._take(position))
            else:
                act = partial(self._change, position)
        try:
            act()
        except StatusError as error:
            # Other clients delete what they like; everything else is a fault of the simulation.
            if error.code not in (403, 404, 409):
                raise

    def _adopt(self) -> bool:
        """Take over the ReplicaSets and pods that an earlier start made; False if there are none."""
        mine = Selection(labels=MINE)
        owners: dict[str, Workload] = {}
        for record in self._core.list("replicasets.apps", mine).records:
            labels = record.labels
            replicas = record.decode()["spec"]["replicas"]
            owners[record.uid] = Workload(
                record.namespace, labels["app"], labels["pod-template-hash"], record.uid, replicas
            )
        for record in self._core.list("pods", mine).records:
            if not record.owners or record.owners[0] not in owners:
                continue
            workload = owners[record.owners[0]]
            workload.pods.add(record.name)
            if record.fields["status.phase"] == "Running":
                workload.ready.add(record.name)
                self._pods.append((workload, record.name))
            else:
                self._follow_ups.append(partial(self._start, workload, record.name))
        for workload in owners.values():
            for _ in range(workload.replicas - len(workload.pods)):
                self._follow_ups.append(partial(self._refill, workload))
        self._nodes = [record.name for record in self._core.list("nodes").records]
        if owners:
            # The names that an earlier start gave with the same seed are taken.
            self._random.seed(f"{self._seed}/{self._core.store.version}")
        return bool(owners)

    def _node(self, number: int, now: str) -> str:
        body = machines.node(number, now)
        name: str = body["metadata"]["name"]
        if not self._core.exists("nodes", name):  # an earlier start with the same file may have made it
            self._create("nodes", body)
        return name

    def _make_workload(self, number: int, replicas: int) -> None:
        namespace = _NAMESPACES[number % len(_NAMESPACES)]
        workload = Workload(namespace, f"app-{number}", self._letters(9), replicas=replicas)
        self._ensure_namespace(namespace)
        owner = self._create("deployments.apps", templates.deployment(namespace, workload.name, replicas))
        replica_set = templates.replica_set(namespace, workload.name, workload.pod_hash, replicas, owner.uid)
        workload.owner_uid = self._create("replicasets.apps", replica_set).uid
        for _ in range(replicas):
            self._start(workload, self._make_pod(workload))
        self._report_replicas(workload)

    def _make_plain(self, storage: str, count: int) -> None:
        resource = self._core.resource(storage)
        namespace = "default" if resource.type.namespaced else ""
        for number in range(count):
            self._create(storage, templates.plain(number, namespace, resource.type.singular))

    def _make_pod(self, workload: Workload) -> str:
        def create(name: str) -> None:
            node = self._random.choice(self._nodes) if self._nodes else ""
            body = templates.pod(
                workload.namespace, workload.name, workload.pod_hash, name, node, workload.owner_uid
            )
            self._create("pods", body)

        name, _ = create_under_a_free_name(
            lambda: f"{workload.replica_set}-{self._letters(5)}", workload.pods, create
        )
        workload.pods.add(name)
        return name

    def _start(self, workload: Workload, name: str) -> None:
        self._made += 1
        number, now = self._made, timestamp(self._now())

        def started(pod: dict[str, Any]) -> dict[str, Any]:
            return {**pod, "status": templates.running(pod, number, now)}

        try:
            self._core.patch("pods", started, name, workload.namespace, subresource="status")
        except StatusError:
            workload.pods.discard(name)
            self._follow_ups.append(partial(self._refill, workload))
            raise
        workload.ready.add(name)
        self._pods.append((workload, name))

    def _change(self, position: int) -> None:
        """A restarted container, or a new annotation."""
        workload, name = self._pods[position]
        restarts = self._random.random() < 0.5
        mark = self._letters(8)

        def changed(pod: dict[str, Any]) -> dict[str, Any]:
            if restarts:
                pod["status"]["containerStatuses"][0]["restartCount"] += 1
            else:
                pod["metadata"].setdefault("annotations", {})["example.net/mark"] = mark
            return pod

        try:
            self._core.patch(
                "pods", changed, name, workload.namespace, subresource="status" if restarts else ""
            )
        except (KeyError, IndexError):
            return  # another client took the status away
        except StatusError as error:
            if error.is_not_found:
                self._take(position)
                self._follow_ups.append(partial(self._refill, workload))
            raise

    def _replace(self, workload: Workload, name: str) -> None:
        self._follow_ups.append(partial(self._report_replicas, workload))
        self._follow_ups.append(partial(self._refill, workload))
        self._core.delete("pods", name, workload.namespace, DeleteOptions(grace_s=0))

    def _refill(self, workload: Workload) -> None:
        self._core.get("replicasets.apps", workload.replica_set, workload.namespace)
        name = self._make_pod(workload)
        self._follow_ups.append(partial(self._start, workload, name))
        self._follow_ups.append(partial(self._report_replicas, workload))

    def _report_replicas(self, workload: Workload) -> None:
        status = templates.replica_status(len(workload.pods), len(workload.ready))
        for resource, name in (
            ("replicasets.apps", workload.replica_set),
            ("deployments.apps", workload.name),
        ):
            self._core.patch(
                resource, lambda o: {**o, "status": status}, name, workload.namespace, subresource="status"
            )

    def _take(self, position: int) -> tuple[Workload, str]:
        """Strike a pod off the roster; the last one takes its place there."""
        workload, name = self._pods[position]
        self._pods[position] = self._pods[-1]
        self._pods.pop()
        workload.pods.discard(name)
        workload.ready.discard(name)
        return workload, name

    def _ensure_namespace(self, name: str) -> None:
        try:
            self._core.get("namespaces", name)
        except StatusError:
            self._create("namespaces", {"metadata": {"name": name}})

    def _create(self, storage: str, body: dict[str, Any]) -> Any:
        return self._core.create(storage, body, body["metadata"].get("namespace", ""))

    def _letters(self, count: int) -> str:
        return "".join(self._random.choice(_SUFFIX) for _ in range(count))
