"""One shard with a real store, and handlers that a test moves by hand. Time stands still until it is moved."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from deltawire.common.clock import FakeClock
from deltawire.common.store.layout import Row
from deltawire.common.wire.messages.group import EventRow as Event
from deltawire.informer.groups import outcomes
from deltawire.informer.groups.options import GroupOptions
from deltawire.informer.groups.replica import Departure, Replica
from deltawire.informer.groups.state import KnownReplica
from deltawire.informer.shard import Shard
from deltawire.informer.store.indexer import Indexer
from tests.support.messages import work


def body_of(key: str, uid: str, version: str, **more: Any) -> bytes:
    namespace, _, name = key.partition("/")
    metadata = {"namespace": namespace, "name": name, "uid": uid, "resourceVersion": version}
    return msgspec.json.encode({"metadata": metadata, **more})


class ShardRig:
    """Numbers deltas as a broker of boot ``boot`` does. ``reopen`` is a worker that was killed."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.boot = "b1"
        self.number = 0
        self.owner = 0
        self.dead: set[str] = set()
        self.sent: dict[bytes, list[Event]] = {}
        self.streams = ["*"]
        self.scope = "s1"
        self.indexes: dict[str, str] = {}
        self.beats: Any = None
        for name, value in options.items():
            setattr(self, name, value)
        self.shard = self._open()

    def reopen(self, **options: Any) -> Shard:
        """Kill -9 and a successor: what was not committed is lost, the environment is not closed cleanly."""
        for name, value in options.items():
            setattr(self, name, value)
        self.shard.close(clean=False)
        self.shard = self._open()
        return self.shard

    def new_broker(self, boot: str) -> None:
        self.boot, self.number = boot, 0

    def begin(self, generation: int = 1, stream: str = "*") -> None:
        self.number += 1
        self.shard.apply([work("begin", [self.boot, self.number, stream, generation])])

    def end(self, version: str, generation: int = 1, stream: str = "*") -> None:
        self.number += 1
        self.shard.apply([work("end", [self.boot, self.number, stream, generation, 0, version])])

    def pop(
        self, *deltas: tuple[str, str, str, str], stream: str = "*", marks: Sequence[Any] = (), **more: Any
    ) -> None:
        """(type, key, uid, version) each, in arrival order, grouped by key as the broker does."""
        first, keys = self.number + 1, {}
        for kind, key, uid, version in deltas:
            self.number += 1
            obj = body_of(key, uid, version, **more)
            keys.setdefault(key, []).append([self.number, kind, stream, uid, version, 1, obj])
        rows = [[*key.split("/", 1), found] for key, found in keys.items()]
        last = self.number if deltas else 0
        self.shard.apply([work("pop", [self.boot, first if deltas else 0, last, rows, list(marks)])])

    def pop_bytes(self, key: str, uid: str, version: str, obj: bytes) -> None:
        """The add of an object as these bytes, whatever they are."""
        self.number += 1
        delta = [self.number, "A", "*", uid, version, 1, obj]
        rows = [[*key.split("/", 1), [delta]]]
        self.shard.apply([work("pop", [self.boot, self.number, self.number, rows, []])])

    def list(
        self, version: str, *items: tuple[str, str, str], generation: int = 1, stream: str = "*"
    ) -> None:
        """A whole list of (key, uid, version)."""
        self.begin(generation, stream)
        if items:
            self.pop(*(("R", *item) for item in items), stream=stream)
        self.end(version, generation, stream)

    def stored(self) -> dict[str, tuple[str, str]]:
        """Key → (uid, version) of what is committed."""
        found = {}
        with self.shard.indexer.view() as view:
            for key in self.shard.indexer.all_keys():
                row = view.object(key)
                assert row is not None
                found[key] = (row.uid, row.version)
        return found

    def row(self, key: str) -> Row | None:
        return self.shard.indexer.get(key)

    def join(
        self,
        group: str = "g",
        name: str = "r0",
        *,
        window: int = 256,
        held: Sequence[Any] = (),
        wants_old: bool = True,
        **options: Any,
    ) -> "Handler":
        return Handler(self, group, name, window, held, GroupOptions(**options), wants_old=wants_old)

    def _open(self) -> Shard:
        self.owner += 1
        indexer = Indexer(
            self.folder,
            owner=f"w{self.owner}",
            informer="dev/pods",
            indexes=self.indexes,
            index_hash=str(sorted(self.indexes.items())),
            clock=self.clock,
            beats=self.beats,
        )
        return Shard(
            "dev/pods",
            0,
            indexer,
            streams=self.streams,
            scope=self.scope,
            lease_s=6.0,
            is_dead=lambda known: known.nonce in self.dead,
            clock=self.clock,
        )


class Handler:
    """A replica: it takes events and answers when the test calls it."""

    def __init__(
        self,
        rig: ShardRig,
        group: str,
        name: str,
        window: int,
        held: Sequence[Any],
        options: GroupOptions,
        *,
        wants_old: bool = True,
    ) -> None:
        self.rig = rig
        self.group = group
        self.identity = f"{name}.{group}".encode()
        self.nonce = name
        known = KnownReplica(name, name, 1, 1, "h")
        self.replica = Replica(self.identity, known, window, 1 << 24, wants_old=wants_old)
        rig.shard.join(group, options, self.replica, held)
        rig.shard.flush()

    def take(self) -> list[Event]:
        """The events it is sent now."""
        for _, by_replica in self.rig.shard.deliver():
            for identity, events in by_replica.items():
                self.rig.sent.setdefault(identity, []).extend(events)
        return self.rig.sent.pop(self.identity, [])

    def answer(self, event: Event, verdict: int = 0, after_s: float = 0.0, error: str = "") -> bool:
        group = self.rig.shard.groups[self.group]
        seq, key, fence = event[0], event[1], event[7]
        row = key, seq, fence, verdict, round(1000 * after_s), error
        return bool(outcomes.acknowledge(group, self.identity, [row], self.rig.clock.wall_s()))

    def work(self) -> list[Event]:
        """Take and acknowledge until nothing comes any more."""
        events: list[Event] = []
        while found := self.take():
            events += found
            for event in found:
                assert self.answer(event)
        self.rig.shard.flush()
        return events

    def die(self, reason: str = "killed") -> None:
        self.rig.dead.add(self.nonce)
        self.rig.shard.leave(self.group, self.identity, reason, Departure.DIED)


def brief(events: Sequence[Event]) -> list[tuple[str, str, str]]:
    """(kind, key, version) of each."""
    return [(event[2], event[1], event[4]) for event in events]
