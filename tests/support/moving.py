"""A server, a queue that outlives brokers, and one shard that is with one worker after another."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deltawire.common.clock import FakeClock
from deltawire.common.wire.messages.group import EventRow as Event
from deltawire.informer.groups import outcomes
from deltawire.informer.groups.events import DEAD, DONE, RETRY
from deltawire.informer.groups.options import GroupOptions
from deltawire.informer.groups.replica import Departure, Replica
from deltawire.informer.groups.state import KnownReplica
from deltawire.informer.shard import Shard
from tests.support.archives import FakeLog, Host
from tests.support.messages import work
from tests.support.shard_rig import body_of

KEYS = [f"a/k{number}" for number in range(5)]


@dataclass
class Seen:
    """What a group was sent and has acknowledged; checked as it comes."""

    name: str
    delivery: str
    sent: set[tuple[str, str, bool]] = field(default_factory=set)
    # Acknowledged; those of them that were archived.
    acked: set[tuple[str, str, bool]] = field(default_factory=set)
    settled: set[tuple[str, str, bool]] = field(default_factory=set)
    live: dict[str, tuple[str, str]] = field(default_factory=dict)
    known_uids: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)
    fences: dict[str, int] = field(default_factory=dict)

    def send(self, event: Event) -> None:
        _, key, kind, uid, version, _, attempt, fence, *_ = event
        what = (uid, version, kind == "D")
        assert what not in self.settled, f"{self.name}: {kind} {key} {what} comes though it was acknowledged"
        if what in self.sent:
            assert attempt > 1, f"{self.name}: {what} comes again as attempt {attempt}"
        if kind == "A" and uid in self.known_uids:
            assert attempt > 1, f"{self.name}: {uid} is new again as attempt {attempt}"
        if kind == "A":
            assert not any(done[0] == uid for done in self.settled), f"{self.name}: {uid} is new again"
        assert fence > self.fences.get(key, 0), f"{self.name}: a fence of {key} is given out again"
        self.fences[key] = fence
        self.sent.add(what)
        self.known_uids.add(uid)

    def acknowledge(self, event: Event) -> None:
        _, key, kind, uid, version, *_ = event
        self.acked.add((uid, version, kind == "D"))
        if kind == "D":
            self.ended.add(uid)
            if self.live.get(key, ("",))[0] == uid:
                del self.live[key]
        else:
            ends = [what for what in self.settled if what[0] == uid and what[2]]
            assert not ends, f"{self.name}: {uid} lives again"
            # The acknowledgement of its end was not archived: it comes again, too.
            self.ended.discard(uid)
            self.live[key] = (uid, version)


class World:
    """``state``: what the API server has. ``queue``: what the store has not acknowledged."""

    def __init__(self, folder: Path, seed: int = 0, hosts: int = 3) -> None:
        self.random = random.Random(seed)
        self.clock = FakeClock()
        self.log = FakeLog()
        self.dead: set[str] = set()
        self.hosts = [Host(folder / f"h{n}", self.log, self.clock, self.dead) for n in range(hosts)]
        self.at = self.hosts[0]
        self.state: dict[str, tuple[str, str]] = {}
        self.version = 100
        self.uids = 0
        self.boot, self.number = "b1", 0
        self.generation = 0
        self.queue: list[tuple[int, str, list[Any]]] = []
        self.groups: dict[str, Seen] = {}
        self.replicas: dict[str, bytes] = {}
        self.lives = 0
        self.shard: Shard | None = None

    # ---- the server and the queue

    def change(self, key: str, kind: str) -> None:
        """``kind``: put, delete, or again: deleted and created under the same name."""
        if kind in ("delete", "again") and key in self.state:
            self.version += 1
            uid, _ = self.state.pop(key)
            self._queue("D", key, uid)
        if kind != "delete":
            self.version += 1
            old = self.state.get(key)
            if old is None:
                self.uids += 1
            uid = f"u{self.uids}" if old is None else old[0]
            self.state[key] = (uid, str(self.version))
            self._queue("A" if old is None else "U", key, uid)

    def _queue(self, kind: str, key: str, uid: str) -> None:
        self.number += 1
        body = body_of(key, uid, str(self.version))
        self.queue.append(
            (self.number, "pop", [key, [self.number, kind, "*", uid, str(self.version), 1, body]])
        )

    def relist(self) -> None:
        """The server's state is queued as a list."""
        self.generation += 1
        self.number += 1
        self.queue.append((self.number, "begin", ["*", self.generation]))
        for key, (uid, version) in self.state.items():
            self.number += 1
            delta = [self.number, "R", "*", uid, version, 1, body_of(key, uid, version)]
            self.queue.append((self.number, "pop", [key, delta]))
        self.number += 1
        self.queue.append((self.number, "end", ["*", self.generation, len(self.state), str(self.version)]))

    def lose_queue(self) -> None:
        """The broker is gone, too; the next one begins with nothing."""
        self.queue.clear()
        self.boot, self.number = self.boot + "+", 0

    def pop(self, count: int = 10_000) -> None:
        """The shard applies so many of what is queued; what it has committed leaves the queue."""
        assert self.shard is not None
        while self.queue and count > 0:
            number, kind, fields = self.queue[0]
            if kind != "pop":
                self.shard.apply([work(kind, [self.boot, number, *fields])])
                del self.queue[0]
                count -= 1
                continue
            batch = []
            for one in self.queue[: min(count, self.random.randint(1, 4))]:
                if one[1] != "pop":
                    break
                batch.append(one)
            keys: dict[str, list[Any]] = {}
            for _, _, (key, delta) in batch:
                keys.setdefault(key, []).append(delta)
            rows = [[*key.split("/"), deltas] for key, deltas in keys.items()]
            self.shard.apply([work("pop", [self.boot, batch[0][0], batch[-1][0], rows, []])])
            del self.queue[: len(batch)]
            count -= len(batch)

    # ---- the worker

    def start(self, host: Host) -> Shard:
        """The shard is opened on this host; the queue goes on behind what it has, and a list is made if it must."""
        self.at = host
        self.lives += 1
        self.dead |= {nonce.decode() for nonce in self.replicas.values()}
        self.replicas = {}
        self.shard = None
        self.shard = host.start()
        if self.shard.progress.boot == self.boot:
            self.queue = [one for one in self.queue if one[0] > self.shard.progress.number]
        if not self.shard.report()["*"][0] and not any(kind == "begin" for _, kind, _ in self.queue):
            self.relist()
        for seen in self.groups.values():
            # What was not archived may be forgotten.
            seen.acked = set(seen.settled)
            self.join(seen)
        return self.shard

    def join(self, seen: Seen, held: Sequence[tuple[str, int, int]] = ()) -> None:
        assert self.shard is not None
        identity = f"{seen.name}-{self.lives}".encode()
        self.groups[seen.name] = seen
        self.replicas[seen.name] = identity
        replica = Replica(
            identity, KnownReplica(identity.decode(), identity.decode(), 1, 1, "h"), 100, 1 << 20
        )
        self.shard.join(seen.name, GroupOptions(delivery=seen.delivery), replica, held)
        self.shard.flush()

    def deliver(
        self, verdict_of: Callable[[Event], int | None] = lambda event: DONE
    ) -> list[tuple[str, Event]]:
        """What is sent now; each is answered by ``verdict_of`` (None: not yet)."""
        assert self.shard is not None
        found = []
        for name, by_replica in self.shard.deliver():
            for event in by_replica.get(self.replicas[name], []):
                self.groups[name].send(event)
                found.append((name, event))
        for name, event in found:
            verdict = verdict_of(event)
            if verdict is None:
                continue
            row = event[1], event[0], event[7], verdict, 0, "" if verdict == DONE else "no"
            now = self.clock.wall_s()
            took = outcomes.acknowledge(self.shard.groups[name], self.replicas[name], [row], now)
            if took and verdict == DONE:
                self.groups[name].acknowledge(event)
        return found

    def flush(self) -> None:
        assert self.shard is not None
        self.shard.flush()
        assert self.shard.archive is not None
        if not self.shard.archive.is_behind:
            for seen in self.groups.values():
                seen.settled |= seen.acked

    def rest(self) -> None:
        """Everything is stored, sent and acknowledged."""
        while self.queue:
            self.pop()
        for _ in range(200):
            self.clock.advance(60.0)
            found = self.deliver()
            self.flush()
            if not found:
                return
        raise AssertionError("it does not come to rest")

    def leave(self, name: str) -> None:
        assert self.shard is not None
        self.shard.leave(name, self.replicas.pop(name), "gone", Departure.LEFT)

    def close(self) -> None:
        for host in self.hosts:
            host.kill()


__all__ = ["DEAD", "DONE", "KEYS", "RETRY", "Seen", "World"]
