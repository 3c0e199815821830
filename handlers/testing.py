"""Tests of a plug-in's functions without processes, sockets or a cluster.

    from deltawire.handlers.testing import Harness
    from printer import handler

    def test_a_new_deployment_is_announced(capsys):
        harness = Harness(handler)
        [handled] = harness.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}})
        assert handled.verdict == "done"

Objects are stored before the functions are called, so `Context.lister` finds them, as in a real run.

Not here: an API server to test against (apiserver/), property tests of our own.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any, NamedTuple

import msgspec

from deltawire.client.tools.events.recorder import FakeRecorder
from deltawire.common.clock import Clock, SystemClock
from deltawire.common.errors import PluginError, StateError
from deltawire.common.meta import resources
from deltawire.common.meta.jsonpath import Path
from deltawire.common.meta.keys import display_key, key_of
from deltawire.handlers.api import Handler
from deltawire.handlers.calls import Program
from deltawire.handlers.dispatch import Ack, Dispatch
from deltawire.handlers.events import Delivery
from deltawire.handlers.freshness import Freshness
from deltawire.handlers.lister import Lister, ShardSource
from deltawire.handlers.reach import Reach


@dataclass(frozen=True, slots=True)
class Handled:
    """The outcome of one event: ``verdict`` is ``done``, ``requeue``, ``retry`` or ``dead``."""

    key: str
    verdict: str
    after_s: float
    error: str


class StoredObject(NamedTuple):
    """An object as the harness keeps it."""

    key: str
    uid: str
    version: str
    object: bytes


class Harness:
    """Delivers objects to a `Handler` in the calling thread, and stands in for its cache and its cluster.

    ``client``: the ``ctx.client`` of functions, such as a `deltawire.FakeClientset`. ``attempts_max`` as for a
    group, 0 = never dead.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        cluster: str = "test",
        client: Any = None,
        attempts_max: int = 0,
        clock: Clock | None = None,
    ) -> None:
        self._handler = handler
        self._cluster = cluster
        self._client = client
        self._clock = clock or SystemClock()
        self._recorder = FakeRecorder()
        self._reach = _HarnessReach(self._given_client, handler=handler.name, clock=self._clock)
        self._reach.kept = self._recorder
        self._stored: dict[str, dict[str, StoredObject]] = {}
        self._numbers = count(1)
        wanted = sorted({s.resource for s in handler.subscriptions})
        informers = [f"{cluster}/{resource}" for resource in wanted]
        self._program = Program(handler, informers, self, clock=self._clock)
        self._dispatch = Dispatch(self._program.routes, attempts_max)

    def apply(self, obj: dict[str, Any], *, resource: str = "", attempt: int = 1) -> list[Handled]:
        """Store the object and deliver it: an add, or an update with the stored one as ``old``.

        Another uid than the stored one's is a deletion and an add, so the answer has two entries. The
        resource is found by kind; name it for a custom resource.
        """
        name = self._resource(obj, resource)
        fresh = self._as_stored(obj)
        before = self._stored.setdefault(name, {}).get(fresh.key)
        handled: list[Handled] = []
        if before is not None and before.uid != fresh.uid:
            handled += self._deliver(name, "D", before, None, attempt)
            before = None
        self._stored[name][fresh.key] = fresh
        kind = "A" if before is None else "U"
        old = None if before is None else before.object
        return handled + self._deliver(name, kind, fresh, old, attempt)

    def delete(self, obj: dict[str, Any], *, resource: str = "", attempt: int = 1) -> list[Handled]:
        """Forget the object and deliver its deletion, with the object given here as the last state."""
        name = self._resource(obj, resource)
        gone = self._as_stored(obj)
        self._stored.get(name, {}).pop(gone.key, None)
        return self._deliver(name, "D", gone, None, attempt)

    def resync(self) -> list[Handled]:
        """Deliver every stored object again, as a resync does."""
        handled: list[Handled] = []
        for name, objects in self._stored.items():
            for stored in list(objects.values()):
                handled += self._deliver(name, "S", stored, None, 1)
        return handled

    def lister(self, cluster: str, resource: str) -> Lister:
        """The cache, as functions see it."""
        if cluster != self._cluster:
            raise StateError(f"the harness has one cluster, {self._cluster!r}, and no {cluster!r}")
        known = resources.find(resource)
        name = known.name if known else resource
        shard = _OneShard(self._stored.setdefault(name, {}), self._handler.indexes.get(name, {}))
        return Lister(shard, freshness=lambda: Freshness(True, self._clock.wall_s(), 0.0))

    def reach(self, cluster: str) -> Reach:
        """The cluster, as functions see it: ``client``, and a recorder that keeps Events in `events`."""
        return self._reach

    @property
    def events(self) -> list[str]:
        """What functions recorded as Kubernetes Events: ``Normal Created made it``."""
        return self._recorder.events

    def _given_client(self) -> Any:
        if self._client is None:
            raise StateError("the function asks for ctx.client", hint="give Harness(client=…) one")
        return self._client

    def close(self) -> None:
        """End the thread of async functions, if there were any."""
        self._program.close()

    def _deliver(
        self, resource: str, kind: str, stored: StoredObject, old: bytes | None, attempt: int
    ) -> list[Handled]:
        delivery = Delivery(
            0, f"{self._cluster}/{resource}", 0, next(self._numbers), stored.key, kind, stored.uid,
            stored.version, int(self._clock.wall_s() * 1e6), attempt, 1, 0, stored.object, old,
        )  # fmt: skip
        acks = self._dispatch.arrive([delivery])
        while calls := self._dispatch.take(1):
            calls[0].begin()
            acks += self._dispatch.ended(calls[0], self._program.run(calls[0]))
        return [_handled(ack) for ack in acks]

    def _as_stored(self, obj: dict[str, Any]) -> StoredObject:
        metadata = obj.get("metadata", {})
        key = key_of(metadata.get("namespace", ""), metadata["name"])
        version = metadata.get("resourceVersion") or str(next(self._numbers))
        return StoredObject(key, metadata.get("uid") or f"uid-{key}", version, msgspec.json.encode(obj))

    def _resource(self, obj: dict[str, Any], resource: str) -> str:
        group = obj.get("apiVersion", "").rpartition("/")[0]
        kind = obj.get("kind", "")
        known = resources.find(resource or (f"{kind}.{group}" if group else kind))
        if known is None and not resource:
            raise PluginError(
                f"no built-in resource has the kind {kind!r} of {obj.get('apiVersion')!r}",
                hint="name it: apply(obj, resource='widgets.example.com')",
            )
        return known.name if known else resource


def _handled(ack: Ack) -> Handled:
    failed = "retry" if ack.error else "requeue"
    verdict = ("done", failed, "dead")[ack.verdict]
    return Handled(display_key(ack.key), verdict, ack.after_ms / 1000, ack.error)


class _HarnessReach(Reach):
    """A `Reach` whose Events are kept."""

    kept: FakeRecorder

    @property
    def recorder(self) -> FakeRecorder:
        return self.kept


class _OneShard:
    """The harness' objects of a resource, as the only shard of its cache."""

    def __init__(self, objects: dict[str, StoredObject], indexes: dict[str, str]) -> None:
        self._objects = objects
        self._indexes = indexes
        self.shards = 1

    def source(self, shard: int) -> ShardSource:
        return self

    def get(self, key: str) -> StoredObject | None:
        return self._objects.get(key)

    def page(self, prefix: str, after: str, limit: int) -> tuple[list[StoredObject], str]:
        return self._sorted(o for o in self._objects.values() if o.key.startswith(prefix)), ""

    def index_page(self, name: str, value: str, after: str, limit: int) -> tuple[list[StoredObject], str]:
        if name not in self._indexes:
            raise StateError(f"there is no index {name!r}", hint="declare it: Handler(…, indexes={…})")
        path = Path.parse(self._indexes[name])
        found = (o for o in self._objects.values() if value in path.find(msgspec.json.decode(o.object)))
        return self._sorted(found), ""

    def _sorted(self, objects: Iterable[StoredObject]) -> list[StoredObject]:
        return sorted(objects, key=lambda stored: stored.key)
