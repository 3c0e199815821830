"""Random changes, acks, failures, deaths of handlers and workers, and filters that change: at rest the functions of a
clause have exactly the objects that it wants, in their last state, and were told of all that left or was deleted."""

import random
from pathlib import Path

import msgspec
import pytest

from deltawire.common.meta.clauses import Clause
from deltawire.common.wire.messages.group import EventRow as Event
from tests.support.messages import work
from tests.support.shard_rig import Handler, ShardRig

COLORS = ["red", "blue", ""]
KEYS = [f"{namespace}/k{number}" for namespace in "ab" for number in range(3)]
CLAUSES = [
    Clause(labels="color=red"),
    Clause(labels="color=blue"),
    Clause(namespaces=["a"]),
    Clause(labels="color=red", changed=["{.spec}"]),
    Clause(changed=["{.spec}"]),
]


def wants(clause: Clause, key: str, color: str) -> bool:
    return (not clause.namespaces or key[0] in clause.namespaces) and (
        not clause.labels or clause.labels == f"color={color}"
    )


class Known:
    """What the functions of one clause have, by key: (uid, version, spec)."""

    def __init__(self, clause: Clause) -> None:
        self.clause = clause
        self.held: dict[str, tuple[str, int, int]] = {}

    def take(self, letter: str, event: Event) -> None:
        key, uid, version = event[1], event[3], int(event[4])
        held = self.held.get(key)
        if letter in "DL":
            if held is not None and held[0] == uid:
                del self.held[key]
            return
        body = msgspec.json.decode(event[9])
        assert wants(self.clause, key, body["metadata"]["labels"]["color"]), (
            f"{key}: {letter} of what it does not want"
        )
        assert held is None or held[0] == uid, f"{key}: {letter} of {uid} without the end of {held}"
        assert held is None or version >= held[1], f"{key}: back from {held} to {version}"
        self.held[key] = (uid, version, body["spec"])


class World:
    """One shard, one group whose filter changes."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.rig = ShardRig(folder)
        self.delivery = self.random.choice(["latest", "every"])
        self.version = 100
        self.uids = self.names = 0
        # Key → uid, version, color, spec.
        self.truth: dict[str, tuple[str, int, str, int]] = {}
        self.clauses: list[Clause] = []
        self.known: list[Known] = []
        # All that any function ever got, and of what it was told the end.
        self.got: set[str] = set()
        self.over: set[str] = set()
        self.handlers: list[tuple[Handler, list[Event]]] = []
        self.new_filter()

    def new_filter(self) -> None:
        """The functions are others now; one that stays knows what it knew."""
        wanted = self.random.sample(CLAUSES, self.random.randint(1, 2))
        self.known = [next((k for k in self.known if k.clause == c), None) or Known(c) for c in wanted]
        self.clauses = wanted

    def change(self) -> None:
        for _ in range(self.random.randint(1, 4)):
            key = self.random.choice(KEYS)
            self.version += 1
            held = self.truth.get(key)
            kind = "U"
            if held is None:
                self.uids += 1
                kind, held = "A", (f"u{self.uids}", 0, self.random.choice(COLORS), 0)
            elif self.random.random() < 0.2:
                kind = "D"
            uid, _, color, spec = held
            if kind == "U" and self.random.random() < 0.4:
                color = self.random.choice(COLORS)
            if kind == "U" and self.random.random() < 0.4:
                spec += 1
            self.truth[key] = (uid, self.version, color, spec)
            self.put(kind, key)
            if kind == "D":
                del self.truth[key]

    def put(self, kind: str, key: str) -> None:
        uid, version, color, spec = self.truth[key]
        namespace, _, name = key.partition("/")
        metadata = {"namespace": namespace, "name": name, "uid": uid, "labels": {"color": color}}
        body = msgspec.json.encode({"metadata": metadata, "spec": spec, "status": version})
        rig = self.rig
        rig.number += 1
        rows = [[namespace, name, [[rig.number, kind, "*", uid, str(version), 1, body]]]]
        rig.shard.apply([work("pop", [rig.boot, rig.number, rig.number, rows, []])])

    def come(self, window: int | None = None) -> None:
        self.names += 1
        window = window or self.random.choice([1, 2, 100])
        clauses = tuple(self.clauses)
        handler = self.rig.join("g", f"r{self.names}", window=window, delivery=self.delivery, clauses=clauses)
        self.handlers.append((handler, []))

    def handle(self) -> None:
        for _, by_replica in self.rig.shard.deliver():
            for handler, inbox in self.handlers:
                inbox += by_replica.get(handler.identity, [])
        for handler, inbox in self.handlers:
            self.random.shuffle(inbox)
            for event in [inbox.pop() for _ in range(self.random.randint(0, len(inbox)))]:
                if self.random.random() < 0.15:
                    assert handler.answer(event, 1, after_s=0.1, error="try again")
                else:
                    self.acknowledge(event)
                    assert handler.answer(event)

    def acknowledge(self, event: Event) -> None:
        parts = event[11]
        assert len(parts) == len(self.known)
        assert parts.strip("-"), "an event for nobody"
        for letter, known in zip(parts, self.known, strict=True):
            if letter != "-":
                known.take(letter, event)
        (self.over if set(parts) & set("DL") else self.got).add(event[3])

    def all_leave(self, *, die: bool) -> None:
        for handler, _ in self.handlers:
            if die:
                handler.die()
            self.rig.dead.add(handler.nonce)
        self.handlers.clear()

    def step(self) -> None:
        choice = self.random.random()
        if choice < 0.45:
            self.change()
        elif choice < 0.85:
            self.handle()
        elif choice < 0.89:
            if len(self.handlers) < 2:
                self.come()
        elif choice < 0.92 and self.handlers:
            handler, _ = self.handlers.pop()
            handler.die()
        elif choice < 0.94:
            self.all_leave(die=True)
            self.new_filter()
            self.come()
            # Past the lease of replicas from before: a filter that never got its turn was none.
            self.rig.clock.advance(10)
            self.handle()
        elif choice < 0.96:
            # What was acknowledged is committed, since only what was sent twice would show else.
            self.rig.shard.flush()
            self.rig.reopen()
            self.all_leave(die=False)
        else:
            self.rig.clock.advance(0.2)

    def settle(self) -> None:
        if not self.handlers:
            self.come(window=256)
        shard = self.rig.shard
        for _ in range(2_000):
            self.rig.clock.advance(1.0)
            self.handle()
            group = shard.groups["g"]
            if not shard.pending(group) and not group.scope.has_work:
                break
        shard.flush()

    def check(self) -> None:
        group = self.rig.shard.groups["g"]
        assert self.rig.shard.pending(group) == 0
        assert group.track.position == self.rig.shard.seq
        for known in self.known:
            for key, (uid, version, color, spec) in self.truth.items():
                held = known.held.get(key)
                if not wants(known.clause, key, color):
                    assert held is None, f"{key}: {known.clause.text} was not told that it left"
                    continue
                assert held is not None, f"{key}: {known.clause.text} never got it {self.delivery}"
                if known.clause.changed:
                    assert (held[0], held[2]) == (uid, spec), (
                        f"{key}: a change of its spec was missed {self.delivery}"
                    )
                else:
                    assert held[:2] == (uid, version), f"{key}: {held} is not {version}"
            assert set(known.held) <= set(self.truth), "a deletion was missed"
        alive = {uid for uid, *_ in self.truth.values()}
        assert self.got - alive <= self.over, "the end of an object was missed"
        for rows in (b"gone", b"history", b"parked", b"owed"):
            assert self.rig.shard.indexer.rows(rows) == []
        wanted = {
            k for k, (_, _, color, _) in self.truth.items() if any(wants(c, k, color) for c in self.clauses)
        }
        assert len(self.rig.shard.indexer.rows(b"matched")) == len(wanted), "rows are of what is wanted"


@pytest.mark.parametrize("seed", range(60))
def test_whatever_happened_each_function_has_what_its_filter_wants(tmp_path: Path, seed: int) -> None:
    world = World(tmp_path / "shard", seed)
    world.rig.list("100")
    world.come()
    for _ in range(200):
        world.step()
    world.settle()
    world.check()
    world.rig.shard.close(clean=False)
