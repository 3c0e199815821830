"""A shard on one machine that is killed, crashes, and whose volume moves."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import lmdb

from deltawire.common.clock import FakeClock
from deltawire.common.config.load import parse
from deltawire.common.config.plan import Plan
from deltawire.common.wire.messages.group import EventRow as Event
from deltawire.informer.groups import outcomes
from deltawire.informer.groups.options import GroupOptions
from deltawire.informer.groups.replica import Departure, Replica
from deltawire.informer.groups.state import KnownReplica
from deltawire.informer.shard import Shard
from deltawire.informer.shared_informer import SharedInformer
from tests.support.messages import work
from tests.support.shard_rig import body_of

Told = list[tuple[str, str, str, str]]


class Machine:
    """One shard on one machine that can crash: the boot id is another one then, and nothing was closed."""

    def __init__(self, folder: Path, *, sync: bool = False) -> None:
        self.folder = folder
        self.sync = sync
        self.clock = FakeClock()
        self.boots = 1
        self.lives = self.number = 0
        self.pool = ThreadPoolExecutor(1)
        self.is_disk_full = False
        self.informer = self._open()

    @property
    def shard(self) -> Shard:
        return self.informer.shards[0]

    def _open(self) -> SharedInformer:
        self.lives += 1
        self.number = 0
        plan = Plan(parse({"version": 1, "clusters": {"dev": {}}, "informers": [{"resource": "pods"}]}))
        informer = SharedInformer(
            plan.informers["dev/pods"], [0], 1, store_dir=self.folder, owner=f"w{self.lives}",
            boot_id=f"boot-{self.boots}", lease_s=1.0, is_dead=lambda known: True, clock=self.clock,
            submit=self._submit, sync=self.sync,
        )  # fmt: skip
        assert informer.open("c1")
        return informer

    def _submit(self, job: Callable[[], None]) -> "Future[None]":
        def work() -> None:
            if self.is_disk_full:
                raise lmdb.DiskError("No space left on device")
            job()

        return self.pool.submit(work)

    def second(self) -> None:
        """The worker's housekeeping, and the disk gets its time."""
        self.clock.advance(1.0)
        self.shard.keep_ledger()
        self.pool.submit(lambda: None).result()
        self.shard.keep_ledger()

    def kill(self) -> None:
        """Only the process dies."""
        self.informer.close(clean=False)
        self.informer = self._open()

    def crash(self) -> None:
        self.boots += 1
        self.kill()
        assert self.informer.discarded == 1

    def move(self, *, clean: bool) -> None:
        """The volume to another node: another boot id. ``clean``: the worker had drained."""
        self.boots += 1
        self.informer.close(clean=clean)
        self.informer = self._open()

    def pop(self, *deltas: tuple[str, str, str, str]) -> None:
        rows = []
        first = self.number + 1
        for kind, name, uid, version in deltas:
            self.number += 1
            obj = body_of(f"a/{name}", uid, version)
            rows.append(["a", name, [[self.number, kind, "*", uid, version, 1, obj]]])
        self.shard.apply([work("pop", [f"b{self.lives}", first, self.number, rows, []])])

    def relist(self, version: str, *items: tuple[str, str, str], generation: int = 1) -> None:
        self.number += 1
        self.shard.apply([work("begin", [f"b{self.lives}", self.number, "*", generation])])
        for item in items:
            self.pop(("R", *item))
        self.number += 1
        end = [f"b{self.lives}", self.number, "*", generation, len(items), version]
        self.shard.apply([work("end", end)])

    def events(self, group: str = "g", *, gives_up: str = "", delivery: str = "latest") -> list[Event]:
        """What a replica of the group is sent until there is no more. ``gives_up``: a key of a dead letter."""
        identity = f"{group}-{self.lives}".encode()
        replica = Replica(identity, KnownReplica(group, "n", 1, 1, "h"), 100, 1 << 20)
        self.shard.join(group, GroupOptions(delivery=delivery), replica, [])
        events: list[Event] = []
        while sent := [e for name, by in self.shard.deliver() if name == group for e in by.get(identity, [])]:
            events += sent
            for event in sent:
                verdict, error = (2, "bad") if event[1] == gives_up else (0, "")
                row = event[1], event[0], event[7], verdict, 0, error
                outcomes.acknowledge(self.shard.groups[group], identity, [row], 0.0)
        self.shard.leave(group, identity, "gone", Departure.SESSION)
        self.shard.flush()
        return events

    def dead_letters(self, group: str = "g") -> list[tuple[str, str, int]]:
        """Key, error and attempts."""
        found = self.shard.groups[group].lot.dead_letters() if group in self.shard.groups else []
        return [(letter.key, letter.error, letter.attempts) for letter in found]

    def told(self, group: str = "g") -> Told:
        return [(e[2], e[1], e[3], e[4]) for e in self.events(group)]

    def close(self) -> None:
        self.informer.close(clean=False)
        self.pool.shutdown()
