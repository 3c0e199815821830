"""Random deltas, acks, failures, deaths of handlers and workers, groups that come, go and come again: whatever
happened, at rest every group has seen the last state or the deletion of every key, in order, no deletion was missed,
and `every` has seen each version from the one at its birth on (P2, P3, P4, P9)."""

import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deltawire.common.wire.messages.group import EventRow as Event
from deltawire.informer.groups.delivery import OUTSTANDING_MAX
from deltawire.informer.groups.events import COALESCED, GAP
from tests.support.shard_rig import Handler, ShardRig

GROUPS_MAX = 4
FORGET_AFTER_S = 300.0
KEYS = [f"{namespace}/k{number}" for namespace in "ab" for number in range(4)]


@dataclass
class Seen:
    """What one group has been sent and has acknowledged, checked at each step.

    ``born``: what was stored when it came. ``ended``: lives that had ended before. ``before``: how many versions of
    each life had been stored.
    """

    delivery: str
    born: dict[str, tuple[str, int]]
    ended: set[str]
    before: dict[str, int]
    stored: dict[str, list[int]]
    holes: set[tuple[str, int | None]]
    live: dict[str, tuple[str, int]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    versions: dict[str, list[int]] = field(default_factory=dict)
    sent: dict[str, set[str]] = field(default_factory=dict)
    # What was sent, how far each life is acknowledged (places in ``stored``), the newest change when a worker came.
    changes: set[int] = field(default_factory=set)
    sent_versions: set[tuple[str, int]] = field(default_factory=set)
    reached: dict[str, int] = field(default_factory=dict)
    worker_from: int = 0
    # Lists of which it must get a notice; how often it got each; what was found before the present worker.
    owed: set[int] = field(default_factory=set)
    told: dict[int, int] = field(default_factory=dict)
    old_notices: set[int] = field(default_factory=set)

    def notice(self, generation: int, times: int) -> None:
        """``generation``: of the list, 0 for having been forgotten."""
        assert self.delivery == "every" or not generation, "the latest state has no gaps"
        assert generation in self.owed or not generation, f"list {generation} lost nothing of this group"
        told = self.told.get(generation, 0)
        if generation in self.old_notices or told:
            assert times > 1, f"list {generation} is told again as attempt {times}"
        else:
            assert times == 1, f"list {generation} is told for the first time as attempt {times}"
        self.told[generation] = told + 1

    def send(self, event: Event) -> None:
        seq, key, kind, uid, version, _, attempt, *_ = event
        if seq in self.changes:
            assert attempt > 1, f"{key}: change {seq} comes again as attempt {attempt}"
        elif self.delivery == "every" and seq > self.worker_from:
            assert attempt == 1, f"{key}: change {seq} comes for the first time as attempt {attempt}"
        self.changes.add(seq)
        self.sent.setdefault(uid, set()).add(kind)
        if kind != "D":
            self.sent_versions.add((uid, int(version)))

    def merged(self, uid: str, version: int | None) -> tuple[bool, bool]:
        """Between what is acknowledged and this version (None: the deletion): is one not sent? Is there one at all?"""
        first = self.reached.get(uid, max(-1, self.before.get(uid, 0) - 2))
        versions = self.stored.get(uid, [])
        last = len(versions) if version is None else len(versions) - 1 - versions[::-1].index(version)
        between = versions[first + 1 : last]
        return any((uid, number) not in self.sent_versions for number in between), bool(between)

    def check_gap(self, event: Event, number: int | None) -> None:
        """Said for what a relist found, by the groups that want every version, if they were born before it."""
        _, key, kind, uid, version, *_ = event
        place = len(self.stored.get(uid, [])) if number is None else self.stored[uid].index(number)
        expected = (
            self.delivery == "every" and (uid, number) in self.holes and place >= self.before.get(uid, 0)
        )
        assert bool(event[8] & GAP) == expected, f"{key}: {kind} {version} of {uid}: a gap is {expected}"

    def acknowledge(self, event: Event) -> None:
        _, key, kind, uid, version, *_ = event
        number = int(version)
        left_out, is_one = self.merged(uid, None if kind == "D" else number)
        is_marked = bool(event[8] & COALESCED)
        assert is_marked or not left_out, f"{key}: {kind} {version} of {uid} hides a version"
        assert is_one or not is_marked, f"{key}: {kind} {version} of {uid} hides nothing"
        self.check_gap(event, None if kind == "D" else number)
        if kind != "D":
            versions = self.stored[uid]
            self.reached[uid] = len(versions) - 1 - versions[::-1].index(number)
        assert uid not in self.ended, f"{key}: {kind} of {uid}, which had ended before the group came"
        assert uid not in self.deleted or kind == "D", f"{key}: {kind} of {uid} after its deletion"
        held = self.live.get(key)
        if kind == "D":
            assert held is None or held[0] == uid, f"{key}: deletion of {uid}, but {held} is live"
            self.live.pop(key, None)
            self.deleted.add(uid)
            return
        assert held is None or held[0] == uid, f"{key}: {kind} of {uid} without the deletion of {held}"
        if held is not None:
            assert number >= held[1], f"{key}: back from {held[1]} to {number}"
        if kind == "U":
            assert held is not None, f"{key}: an update before its add"
        self.live[key] = (uid, number)
        versions = self.versions.setdefault(uid, [])
        if not versions or versions[-1] != number:
            versions.append(number)


class World:
    """A cluster of a few keys, one shard, groups of both deliveries."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.rig = ShardRig(folder)
        self.version = 100
        self.uids = 0
        self.truth: dict[str, tuple[str, int]] = {}
        # What was stored, in order, by uid.
        self.versions: dict[str, list[int]] = {}
        # What only a list has brought: (uid, version), None for a deletion.
        self.holes: set[tuple[str, int | None]] = set()
        self.generation = 0
        self.seen: dict[str, Seen] = {}
        self.handlers: dict[str, list[tuple[Handler, list[Event]]]] = {}
        self.names = 0
        self.groups = 0

    def change(self) -> None:
        deltas = []
        for _ in range(self.random.randint(1, 5)):
            key = self.random.choice(KEYS)
            self.version += 1
            held = self.truth.get(key)
            if held is None:
                self.uids += 1
                self.truth[key] = (f"u{self.uids}", self.version)
                kind = "A"
            elif self.random.random() < 0.3:
                deltas.append(("D", key, held[0], str(self.version)))
                del self.truth[key]
                continue
            else:
                self.truth[key] = (held[0], self.version)
                kind = "U"
            uid, version = self.truth[key]
            deltas.append((kind, key, uid, str(version)))
            self.versions.setdefault(uid, []).append(version)
        self.rig.pop(*deltas)

    def miss_and_relist(self) -> None:
        """Changes that the watch did not bring, then a list; perhaps one that is cut in the middle."""
        for key in self.random.sample(KEYS, 3):
            self.version += 1
            self.uids += 1
            if self.random.random() < 0.5:
                self.truth.pop(key, None)
            else:
                self.truth[key] = (f"u{self.uids}", self.version)
        known = {uid for uid, _ in self.rig.stored().values()}
        self.holes |= {(uid, None) for uid in known - {uid for uid, _ in self.truth.values()}}
        self.generation += 1
        self.rig.begin(self.generation)
        items = [("R", key, uid, str(version)) for key, (uid, version) in self.truth.items()]
        self.random.shuffle(items)
        if self.random.random() < 0.3:
            self.list_items(items[: len(items) // 2])
            if self.random.random() < 0.5:
                self.rig.reopen()
                self.lose_handlers()
            self.generation += 1
            self.rig.begin(self.generation)
        self.list_items(items)
        self.rig.end(str(self.version), self.generation)
        for seen in self.seen.values():
            if seen.delivery == "every":
                seen.owed.add(self.generation)

    def list_items(self, items: list[tuple[str, str, str, str]]) -> None:
        if items:
            self.rig.pop(*items)
        for _, _, uid, version in items:
            versions = self.versions.setdefault(uid, [])
            if versions[-1:] != [int(version)]:
                self.holes.add((uid, int(version)))
                versions.append(int(version))

    def join(self) -> None:
        """A new group, or one more replica of one that is known."""
        names = list(self.seen)
        if len(names) < GROUPS_MAX and (not names or self.random.random() < 0.3):
            self.groups += 1
            self.come(f"g{self.groups}", self.random.choice(["latest", "every"]))
            return
        name = self.random.choice(names)
        if len(self.handlers[name]) < 2:
            self.come(name, self.seen[name].delivery)

    def come(self, name: str, delivery: str, window: int | None = None) -> None:
        known = self.rig.shard.groups.get(name)
        if known is None or known.record.state.forgotten:
            born = {key: (uid, int(version)) for key, (uid, version) in self.rig.stored().items()}
            alive = {uid for uid, _ in born.values()}
            before = {uid: len(versions) for uid, versions in self.versions.items()}
            self.seen[name] = Seen(
                delivery, born, set(self.versions) - alive, before, self.versions, self.holes
            )
            self.handlers.setdefault(name, [])
        self.names += 1
        window = window or self.random.choice([1, 2, 100])
        handler = self.rig.join(name, f"r{self.names}", window=window, delivery=delivery)
        self.handlers[name].append((handler, []))

    def remove(self) -> None:
        """A group is removed from the config; it may come again, or another in its place."""
        if not self.seen:
            return
        name = self.random.choice(list(self.seen))
        delivery = self.seen[name].delivery
        for handler, _ in self.handlers.pop(name):
            handler.die()
        assert self.rig.shard.forget(name)
        del self.seen[name]
        fate = self.random.random()
        if fate < 0.4:
            self.come(name, delivery)
        elif fate < 0.8:
            self.groups += 1
            self.come(f"g{self.groups}", delivery)

    def stay_away(self) -> None:
        """So long that groups without a replica are forgotten."""
        self.rig.clock.advance(FORGET_AFTER_S + 1)
        self.rig.shard.forget_absent(FORGET_AFTER_S)

    def lose_handlers(self) -> None:
        """The worker is gone: its handlers' sessions too, and here the handlers themselves."""
        for name, found in self.handlers.items():
            for handler, _ in found:
                self.rig.dead.add(handler.nonce)
            found.clear()
            seen = self.seen[name]
            seen.worker_from = self.rig.shard.seq
            seen.old_notices = {0} | seen.owed | set(seen.told)

    def tell_gaps(self) -> None:
        """As the worker does: one replica gets the notice, and may see it."""
        for name, group in self.rig.shard.groups.items():
            identity = next(iter(group.members.here), None)
            for gap, times in group.gaps.untold(identity) if identity is not None else ():
                self.seen[name].notice(gap.generation, times)
                if self.random.random() < 0.7:
                    assert group.gaps.seen(gap.number)
                    group.record.touch()

    def handle(self) -> None:
        self.tell_gaps()
        for group, by_replica in self.rig.shard.deliver():
            for handler, inbox in self.handlers[group]:
                inbox += by_replica.get(handler.identity, [])
                for event in by_replica.get(handler.identity, []):
                    self.seen[group].send(event)
        for group, found in self.handlers.items():
            for handler, inbox in found:
                self.random.shuffle(inbox)
                for event in [inbox.pop() for _ in range(self.random.randint(0, len(inbox)))]:
                    if self.random.random() < 0.15:
                        assert handler.answer(event, 1, after_s=0.1, error="try again")
                    elif handler.answer(event):
                        self.seen[group].acknowledge(event)
                    else:
                        raise AssertionError("an ack of a held event was refused")

    def step(self) -> None:
        choice = self.random.random()
        if choice < 0.45:
            self.change()
        elif choice < 0.8:
            self.handle()
        elif choice < 0.86:
            self.join()
        elif choice < 0.9:
            self.miss_and_relist()
        elif choice < 0.93:
            self.lose_one()
        elif choice < 0.95:
            # Nothing that a group acknowledged is lost once it is committed.
            self.rig.shard.flush()
            self.rig.reopen()
            self.lose_handlers()
        elif choice < 0.96:
            self.remove()
        elif choice < 0.965:
            self.stay_away()
        else:
            self.rig.clock.advance(0.2)

    def lose_one(self) -> None:
        here = [name for name, found in self.handlers.items() if found]
        if here:
            handler, _ = self.handlers[self.random.choice(here)].pop()
            handler.die()

    def settle(self) -> None:
        for name in list(self.seen):
            if not self.handlers[name]:
                self.come(name, self.seen[name].delivery, window=256)
        shard = self.rig.shard
        for _ in range(20_000):
            self.rig.clock.advance(1.0)
            self.handle()
            if not any(shard.pending(group) for group in shard.groups.values()):
                break
        shard.flush()

    def check(self) -> None:
        assert set(self.rig.shard.groups) == set(self.seen)
        expected = {key: (uid, str(version)) for key, (uid, version) in self.truth.items()}
        assert self.rig.stored() == expected
        for group, seen in self.seen.items():
            assert seen.live == self.truth, group
            state = self.rig.shard.groups[group]
            assert self.rig.shard.pending(state) == 0
            assert state.track.position == self.rig.shard.seq
            if seen.delivery == "every":
                self.check_versions(group, seen)
            gone = {uid for uid, kinds in seen.sent.items() if kinds - {"D"}}
            alive = {uid for uid, _ in self.truth.values()}
            assert gone - alive <= seen.deleted, "a deletion was missed"
            assert seen.owed <= set(seen.told), "nobody was told of a list"
        for rows in (b"gone", b"history", b"parked", b"owed"):
            assert self.rig.shard.indexer.rows(rows) == []

    def check_versions(self, group: str, seen: Seen) -> None:
        """Each version from the one at birth on, and none of before."""
        for uid, versions in self.versions.items():
            if uid not in seen.ended:
                first = max(0, seen.before.get(uid, 0) - 1)
                assert seen.versions.get(uid, []) == versions[first:], f"{group}: {uid}"


@pytest.mark.parametrize("seed", range(60))
def test_whatever_happened_every_group_sees_the_store_at_rest(tmp_path: Path, seed: int) -> None:
    world = World(tmp_path / "shard", seed)
    world.generation = 1
    world.rig.list("100")
    world.join()
    for _ in range(250):
        world.step()
    world.settle()
    world.check()
    world.rig.shard.close(clean=False)


@pytest.mark.parametrize("seed", range(20))
def test_versions_that_were_merged_are_counted_one_by_one_also_of_keys_that_failed(
    tmp_path: Path, seed: int
) -> None:
    world = World(tmp_path / "shard", seed)
    world.rig.list("100")
    world.come("g", "latest", window=2)
    for _ in range(200):
        world.random.choice([world.change, world.change, world.handle])()
        world.rig.clock.advance(0.05)
    world.settle()
    stored = {(uid, number) for uid, versions in world.versions.items() for number in versions}
    counted = world.rig.shard.groups["g"].counters.coalesced
    assert counted == len(stored - world.seen["g"].sent_versions)
    world.rig.shard.close(clean=False)


def test_every_sees_each_version_that_was_stored_after_it_came(tmp_path: Path) -> None:
    rig = ShardRig(tmp_path / "shard")
    rig.list("100")
    handler = rig.join("e", delivery="every", window=1)
    versions = [str(v) for v in range(101, 131)]
    for version in versions:
        rig.pop(("A" if version == "101" else "U", "a/k", "u1", version))
    first = handler.take()
    rig.shard.flush()
    rig.dead.add(handler.nonce)
    rig.reopen()
    rest = rig.join("e", "r1", delivery="every", window=1).work()
    assert [event[4] for event in first] == ["101"]
    assert [event[4] for event in rest] == versions
    assert [event[2] for event in rest] == ["A"] + ["U"] * 29
    rig.shard.close(clean=False)


def test_a_slow_key_stops_the_scan_only_at_its_bound(tmp_path: Path) -> None:
    rig = ShardRig(tmp_path / "shard")
    rig.list("1")
    handler = rig.join(window=10)
    rig.pop(("A", "a/slow", "s", "2"))
    (slow,) = handler.take()
    for number in range(OUTSTANDING_MAX + 50):
        if number % 500 == 0:
            handler.work()
        rig.pop(("A", f"a/k{number}", f"u{number}", str(number + 3)))
    handler.work()
    group = rig.shard.groups["g"]
    assert len(group.track.order) == OUTSTANDING_MAX
    assert group.track.position < slow[0]
    assert handler.answer(slow)
    handler.work()
    assert rig.shard.pending(group) == 0
    rig.shard.close(clean=False)
