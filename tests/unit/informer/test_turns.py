"""P7: no shard is served first for ever, and each group of a shard is looked at when its own time has come."""

from collections import Counter
from random import Random

import pytest

from deltawire.common.loop import Loop
from deltawire.informer.groups.events import RETRY
from deltawire.informer.turns import BusyShards, rotated
from tests.support.shard_rig import Handler, ShardRig


def test_each_is_first_equally_often() -> None:
    first = Counter(rotated("abcd", turn)[0] for turn in range(40))
    assert first == {"a": 10, "b": 10, "c": 10, "d": 10}


def test_all_are_served_each_turn_in_the_same_circle() -> None:
    assert [rotated("abc", turn) for turn in (0, 1, 2, 3)] == [
        list("abc"),
        list("bca"),
        list("cab"),
        list("abc"),
    ]


def test_nothing_is_nobodys_turn() -> None:
    assert rotated([], 7) == []


STEP_S = 0.05


class Worker:
    """A worker's turns around one shard to which nothing comes from outside."""

    turns = 0

    def __init__(self, rig: ShardRig) -> None:
        self.rig = rig
        self.loop = Loop(rig.clock, self)
        self.busy = BusyShards(self.loop, rig.clock)
        # How long the sending of a shard's events takes.
        self.sends_s = 0.0

    def show(self) -> None:
        pass

    def turn(self) -> None:
        self.loop.turn(wait_s_max=0)
        for shard, groups, _ in self.busy.take():
            for _, by_replica in shard.deliver(groups):
                for identity, events in by_replica.items():
                    self.rig.sent.setdefault(identity, []).extend(events)
            self.rig.clock.advance(self.sends_s)
            self.busy.settle(shard, groups)

    def sent_to(self, handler: Handler) -> list[str]:
        """The keys that it was sent since the last call."""
        return [event.key for event in self.rig.sent.pop(handler.identity, [])]

    def fails(self, handler: Handler, after_s: float) -> None:
        """The only event that the handler got fails, and is to be tried again."""
        (event,) = self.rig.sent.pop(handler.identity)
        handler.answer(event, RETRY, after_s=after_s, error="no")
        self.busy.acknowledged(self.rig.shard, self.rig.shard.groups[handler.group])
        self.turn()


@pytest.mark.parametrize("seed", range(8))
def test_what_is_tried_again_comes_in_time_though_that_of_other_groups_waits_for_room(rig: ShardRig, seed: int) -> None:
    random = Random(seed)
    full = [rig.join(f"full{n}", window=1) for n in range(random.randint(1, 3))]
    free = [rig.join(f"free{n}", delivery="every") for n in range(random.randint(1, 3))]
    worker = Worker(rig)
    rig.pop(("A", "a/k", "u1", "101"))
    worker.busy.touch(rig.shard)
    worker.turn()
    due_s = {}
    for handler in random.sample(full + free, len(full + free)):
        after_s = round(random.uniform(0.5, 5.0), 1)
        due_s[handler] = rig.clock.now_s() + after_s
        worker.fails(handler, after_s)
    rig.pop(("A", "a/l", "u2", "102"))
    worker.busy.touch(rig.shard)
    worker.turn()
    for handler in full + free:
        assert worker.sent_to(handler) == ["a/l"], "its call goes on to the end of the test"
    came_s: dict[Handler, float] = {}
    while rig.clock.now_s() < max(due_s.values()) + 1.0:
        rig.clock.advance(STEP_S)
        worker.turn()
        came_s |= {handler: rig.clock.now_s() for handler in full + free if worker.sent_to(handler)}
    assert came_s.keys() == set(free)
    for handler in free:
        assert abs(came_s[handler] - due_s[handler]) < 2 * STEP_S


@pytest.mark.parametrize("after_s", [0.3, 5.0])
def test_what_is_tried_again_comes_in_time_though_another_key_of_its_group_waits_for_an_idle_replica(
    rig: ShardRig, after_s: float
) -> None:
    worker, dying = Worker(rig), rig.join(name="r0")
    rig.pop(("A", "a/deadly", "u1", "101"))
    worker.busy.touch(rig.shard)
    worker.turn()
    handlers = [rig.join(name="r1"), rig.join(name="r2")]
    dying.die()
    worker.busy.touch(rig.shard)
    rig.pop(("A", "a/k", "u2", "102"), ("A", "a/l", "u3", "103"), ("A", "a/m", "u4", "104"))
    worker.turn()
    busiest = max(handlers, key=lambda handler: len(rig.sent[handler.identity]))
    kept = rig.sent[busiest.identity].pop()
    for handler in handlers:
        assert len(worker.sent_to(handler)) == 1, "its call goes on to the end of the test"
    rig.sent[busiest.identity] = [kept]
    worker.fails(busiest, after_s)
    sent: list[str] = []
    for _ in range(round((after_s + 1.0) / STEP_S)):
        rig.clock.advance(STEP_S)
        worker.turn()
        sent += [key for handler in handlers for key in worker.sent_to(handler)]
    assert sent == [kept.key], "and the deadly one waits for a replica that is idle"


def test_what_becomes_due_while_its_shard_has_its_turn_is_looked_at_in_the_next_one(rig: ShardRig) -> None:
    worker, handler = Worker(rig), rig.join()
    rig.pop(("A", "a/k", "u1", "101"))
    worker.busy.touch(rig.shard)
    worker.turn()
    worker.sends_s = 0.01
    worker.fails(handler, after_s=0.005)
    assert worker.sent_to(handler) == []
    worker.turn()
    assert worker.sent_to(handler) == ["a/k"], "nobody has seen yet that there is no room for it"


def test_a_group_sees_that_a_replica_of_before_is_dead_though_something_of_it_is_due(rig: ShardRig) -> None:
    handler = rig.join(name="r0")
    rig.pop(("A", "a/k", "u1", "101"), ("A", "a/l", "u2", "102"))
    failed, _ = handler.take()
    handler.answer(failed, RETRY, after_s=0.1, error="no")
    rig.shard.flush()
    rig.reopen()
    rig.clock.advance(0.2)
    worker, other = Worker(rig), rig.join(name="r1")
    worker.busy.touch(rig.shard)
    worker.turn()
    assert worker.sent_to(other) == [], "r0 may still be in its call"
    rig.dead.add("r0")
    for _ in range(round(0.5 / STEP_S)):
        rig.clock.advance(STEP_S)
        worker.turn()
    assert sorted(worker.sent_to(other)) == ["a/k", "a/l"]
