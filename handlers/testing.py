"""Tests of a plug-in's functions without processes, sockets or a cluster.

    from deltawire.handlers.testing import Harness
    from printer import handler

    def test_a_new_deployment_is_announced(capsys):
        harness = Harness(handler)
        [handled] = harness.apply({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}})
        assert handled.verdict == "done"

Objects are stored before the functions are called, so `Context.lister` finds them, as in a real run. With a
`deltawire.FakeClientset` the harness follows an API server in the same process: `Harness.settle`.

Not here: an API server to test against (apiserver/), property tests of our own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any

import msgspec

from deltawire.client.tools.events.recorder import FakeRecorder
from deltawire.common.clock import Clock, FakeClock
from deltawire.common.errors import PluginError, StateError
from deltawire.common.meta import resources
from deltawire.common.meta.keys import display_key, key_of
from deltawire.handlers.api import Handler
from deltawire.handlers.calls import Program
from deltawire.handlers.dispatch import Ack, Dispatch
from deltawire.handlers.events import GAP_NOTICE, KINDS, Delivery
from deltawire.handlers.freshness import Freshness
from deltawire.handlers.lister import Lister
from deltawire.handlers.reach import Reach
from deltawire.handlers.testing_cache import OneShard, StoredObject, Waiting, as_stored, resource_among
from deltawire.handlers.trial import Trial

# Of `Harness.settle`: a controller that is right needs three or four.
ROUNDS_MAX = 50
KIND_OF = {word: kind for kind, word in KINDS.items()}
READS = frozenset({"get", "list", "watch"})


@dataclass(frozen=True, slots=True)
class Handled:
    """The outcome of one event: ``verdict`` is ``done``, ``requeue``, ``retry`` or ``dead``.

    ``error`` is one line; ``traceback`` follows it where a function raised.
    """

    key: str
    verdict: str
    after_s: float
    error: str
    traceback: str = ""


class Harness:
    """Delivers objects to a `Handler` in the calling thread, and stands in for its cache and its cluster.

    ``client``: the ``ctx.client`` of functions, such as a `deltawire.FakeClientset`. ``attempts_max`` as for a
    group, 0 = never dead. ``clock``: what time is; by default one that stands still until `advance` moves it.
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
        self._clock = clock or FakeClock()
        self._recorder = FakeRecorder()
        self._reach = _HarnessReach(self._given_client, handler=handler.name, clock=self._clock)
        self._reach.kept = self._recorder
        self._stored: dict[str, dict[str, StoredObject]] = {}
        self._numbers = count(1)
        wanted = sorted({s.resource for s in handler.subscriptions})
        self._trials = {resource: Trial(handler.clauses(resource)) for resource in wanted}
        informers = [f"{cluster}/{resource}" for resource in wanted]
        self._program = Program(handler, informers, self, clock=self._clock)
        self._hooks = self._program.hooks(cluster, 0)
        self._dispatch = Dispatch(self._program.routes, attempts_max)
        # What functions wrote and waited for, before it is delivered.
        self._ahead: dict[str, dict[str, StoredObject]] = {}
        self._waiting: dict[tuple[str, str], Waiting] = {}
        # What is followed in the client's cluster: all that the functions watch or read.
        owners = {s.owner for s in handler.subscriptions if s.owner}
        self._followed = sorted({*wanted, *owners, *handler.reads, *handler.indexes})

    def apply(self, obj: dict[str, Any], *, resource: str = "", attempt: int = 1) -> list[Handled]:
        """Store the object and deliver it: an add, or an update with the stored one as ``old``.

        [] if no function's filter wants it.

        Another uid than the stored one's is a deletion and an add, so the answer has two entries. The resource is
        found by kind: a custom one among those that the handler names, or by asking the client. Raises PluginError
        where it cannot be found; name it then.
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

    def replay(self, recorded: Mapping[str, Any]) -> list[Handled]:
        """Deliver one recorded event: a map as a command reads it, one a line (docs/handlers.md §5).

        Raises PluginError for what is none.
        """
        kind = KIND_OF.get(str(recorded.get("type")))
        obj, resource = recorded.get("object"), str(recorded.get("resource") or "")
        if kind is None or not isinstance(obj, dict) or not resource:
            raise PluginError("this is no recorded event", hint="it needs type, resource and object")
        if f"{self._cluster}/{resource}" not in self._program.routes:
            return []
        if kind == GAP_NOTICE:
            return []
        metadata = {"uid": recorded.get("uid", ""), "resourceVersion": recorded.get("version", "")}
        stored = self._as_stored({**obj, "metadata": {**metadata, **(obj.get("metadata") or {})}})
        objects = self._stored.setdefault(resource, {})
        if kind == "D":
            objects.pop(stored.key, None)
        else:
            objects[stored.key] = stored
        old = recorded.get("old")
        before = msgspec.json.encode(old) if isinstance(old, dict) else None
        return self._deliver(resource, kind, stored, before, int(recorded.get("attempt") or 1))

    def resync(self) -> list[Handled]:
        """Deliver every stored object again, as a resync does."""
        handled: list[Handled] = []
        for name, objects in self._stored.items():
            for stored in list(objects.values()):
                handled += self._deliver(name, "S", stored, None, 1)
        return handled

    def settle(self, rounds_max: int = ROUNDS_MAX) -> list[Handled]:
        """Deliver what has changed in the client's cluster, and what functions change by it, until nothing does.

        All that the handler watches or reads is listed. Raises StateError where ``rounds_max`` rounds are not enough: a
        controller that writes at each call never ends.
        """
        handled: list[Handled] = []
        for _ in range(rounds_max):
            found = [one for resource in self._followed for one in self._follow(resource)]
            if not found:
                return handled
            handled += [one for deliver in found for one in deliver()]
        raise StateError(
            f"the cluster still changed after {rounds_max} rounds",
            hint="a reconcile must write only what differs; harness.writes shows what was written",
        )

    def advance(self, seconds: float) -> list[Handled]:
        """Move time on, and deliver what waited: keys of a `Requeue`, and failures by their delay, earliest first.

        Only with a clock that can be moved, as the default one. With a client that has a cluster, `settle` follows.
        """
        handled = self.wait(seconds)
        return handled + (self.settle() if hasattr(self._client, "rest") else [])

    def wait(self, seconds: float) -> list[Handled]:
        """As `advance`, without looking at the cluster."""
        clock = self._clock
        if not isinstance(clock, FakeClock):
            raise StateError("this clock cannot be moved", hint="leave Harness(clock=…) out")
        until_s, handled = clock.now_s() + seconds, []
        while self._waiting:
            at, first = min(self._waiting.items(), key=lambda item: item[1].due_s)
            if first.due_s > until_s:
                break
            clock.advance(max(0.0, first.due_s - clock.now_s()))
            del self._waiting[at]
            newest = self._stored.get(at[0], {}).get(at[1])
            stored = newest if newest is not None and first.kind != "D" else first.stored
            handled += self._deliver(at[0], first.kind, stored, first.old, first.attempt, again=True)
        clock.advance(max(0.0, until_s - clock.now_s()))
        return handled

    @property
    def waiting(self) -> dict[str, float]:
        """The keys that come again, and in how many seconds."""
        now_s = self._clock.now_s()
        return {display_key(key): waiting.due_s - now_s for (_, key), waiting in self._waiting.items()}

    @property
    def writes(self) -> list[str]:
        """What the client wrote, oldest first: ``create deployments ns/web``, ``patch websites/status ns/web``.

        For the bodies see ``client.fake.actions``. Raises StateError for a client that does not record.
        """
        fake = getattr(self._client, "fake", None)
        if fake is None:
            raise StateError("this client records nothing", hint="give Harness(client=…) a FakeClientset")
        return [
            f"{action.verb} {action.resource.resource}{'/' * bool(action.subresource)}{action.subresource} "
            f"{display_key(key_of(action.namespace, action.name or _name_in(action.object)))}"
            for action in fake.actions
            if action.verb not in READS and action.resource.resource
        ]

    def startup(self) -> None:
        """Call the functions of ``on_startup``; timers are called by `tick`. Raises HookFailed."""
        self._hooks.startup()

    def tick(self) -> None:
        """Call each timer's function once."""
        self._hooks.tick()

    def cleanup(self) -> None:
        """Call the functions of ``on_cleanup``."""
        self._hooks.stop(0.0)

    def lister(self, cluster: str, resource: str) -> Lister:
        """The cache, as functions see it."""
        if cluster != self._cluster:
            raise StateError(f"the harness has one cluster, {self._cluster!r}, and no {cluster!r}")
        known = resources.find(resource)
        name = known.name if known else resource
        stored = self._stored.setdefault(name, {})
        ahead = {
            key: one
            for key, one in self._ahead.get(name, {}).items()
            if key not in stored or int(stored[key].version) < int(one.version)
        }
        shard = OneShard({**stored, **ahead} if ahead else stored, self._handler.indexes.get(name, {}))
        return Lister(shard, freshness=lambda: Freshness(True, self._clock.wall_s(), 0.0))

    def reach(self, cluster: str) -> Reach:
        """The cluster, as functions see it: ``client``, and a recorder that keeps Events in `events`."""
        return self._reach

    def awaits(self, cluster: str, resource: str, obj: dict[str, Any]) -> None:
        """A function waits until the cache holds ``obj``: it does at once, and its event comes with `settle`."""
        fresh = self._as_stored(obj)
        self._ahead.setdefault(resource, {})[fresh.key] = fresh

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
        self,
        resource: str,
        kind: str,
        stored: StoredObject,
        old: bytes | None,
        attempt: int,
        *,
        again: bool = False,
    ) -> list[Handled]:
        if f"{self._cluster}/{resource}" not in self._program.routes:
            return []  # only its cache is read
        kind, parts = self._trials[resource].parts(kind, stored.key, stored.object, old, again=again)
        if parts and not parts.strip("-"):
            return []
        delivery = Delivery(
            0, f"{self._cluster}/{resource}", 0, next(self._numbers), stored.key, kind, stored.uid,
            stored.version, int(self._clock.wall_s() * 1e6), attempt, 1, 0, stored.object, old, parts,
        )  # fmt: skip
        acks = self._dispatch.arrive([delivery])
        while calls := self._dispatch.take(1):
            calls[0].begin()
            acks += self._dispatch.ended(calls[0], self._program.run(calls[0]))
        self._waiting.pop((resource, stored.key), None)
        for ack in acks:
            if ack.verdict == 1:
                due_s = self._clock.now_s() + ack.after_ms / 1000
                tries = attempt + 1 if ack.error else 1
                self._waiting[resource, ack.key] = Waiting(due_s, kind, stored, old, tries)
        return [_handled(ack) for ack in acks]

    def _follow(self, resource: str) -> list[Callable[[], list[Handled]]]:
        """What differs between the client's cluster and what is stored, as deliveries that are still to be made."""
        type = self._reach.named(resource)
        known = self._stored.setdefault(resource, {})
        served: dict[str, dict[str, Any]] = {}
        for obj in self._reach.dynamic.resource(type).list().items:
            obj.setdefault("apiVersion", type.api_version)
            obj.setdefault("kind", type.kind)
            served[key_of(obj["metadata"].get("namespace", ""), obj["metadata"]["name"])] = obj
        found: list[Callable[[], list[Handled]]] = []
        for key, stored in known.items():
            if key not in served:
                found.append(partial(self.delete, msgspec.json.decode(stored.object), resource=resource))
        for key, obj in served.items():
            before = known.get(key)
            if before is None or before.version != obj["metadata"]["resourceVersion"]:
                found.append(partial(self.apply, obj, resource=resource))
        return found

    def _as_stored(self, obj: dict[str, Any]) -> StoredObject:
        return as_stored(obj, str(next(self._numbers)))

    def _resource(self, obj: dict[str, Any], resource: str) -> str:
        group = obj.get("apiVersion", "").rpartition("/")[0]
        kind = obj.get("kind", "")
        known = resources.find(resource or (f"{kind}.{group}" if group else kind))
        if known is not None or resource:
            return known.name if known else resource
        named = resource_among([*self._followed], group, kind)
        if named:
            return named
        if hasattr(self._client, "rest"):
            return self._reach.of_kind(obj.get("apiVersion", ""), kind).name
        raise PluginError(
            f"no resource that is built in, or named by the handler, is a {kind!r} of {obj.get('apiVersion')!r}",
            hint="name it: apply(obj, resource='widgets.example.com')",
        )


def _name_in(body: Any) -> str:
    return str((body.get("metadata") or {}).get("name") or "") if isinstance(body, dict) else ""


def _handled(ack: Ack) -> Handled:
    failed = "retry" if ack.error else "requeue"
    verdict = ("done", failed, "dead")[ack.verdict]
    error, _, trace = ack.error.partition("\n")
    return Handled(display_key(ack.key), verdict, ack.after_ms / 1000, error, trace)


class _HarnessReach(Reach):
    """A `Reach` whose Events are kept."""

    kept: FakeRecorder

    @property
    def recorder(self) -> FakeRecorder:
        return self.kept
