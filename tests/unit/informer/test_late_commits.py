"""What groups acknowledged may reach the disk late; nothing else may (docs/wire.md §7, ADR 7)."""

from pathlib import Path

import pytest

from deltawire.common.clock import FakeClock
from deltawire.common.loop import Loop
from deltawire.informer.groups.events import RETRY
from deltawire.informer.groups.replica import Departure
from deltawire.informer.turns import COMMIT_LATE_S, BusyShards
from tests.support.shard_rig import ShardRig, brief


@pytest.fixture
def rig(tmp_path: Path) -> ShardRig:
    made = ShardRig(tmp_path / "shard")
    made.list("100")
    return made


def settle(rig: ShardRig) -> bool:
    """As the worker's loop at the end of a turn: commit what cannot wait. True if there was anything."""
    return rig.shard.flush_urgent()


def test_acknowledgements_wait_and_everything_else_does_not(rig: ShardRig) -> None:
    handler = rig.join()
    rig.pop(("A", "a/k", "u1", "101"), ("A", "a/l", "u2", "102"))
    done, failed = handler.take()
    assert handler.answer(done)
    assert not settle(rig)
    assert rig.shard.has_writes
    handler.answer(failed, RETRY, error="boom")
    assert settle(rig), "an attempt that failed is known to the next worker"
    assert not rig.shard.has_writes, "what waited rode along"
    rig.shard.leave("g", handler.identity, "killed", Departure.DIED)
    assert settle(rig), "who may be in a call is known to the next worker"


def test_an_acknowledgement_rides_along_with_the_next_batch(rig: ShardRig) -> None:
    handler = rig.join()
    rig.pop(("A", "a/k", "u1", "101"))
    (event,) = handler.take()
    handler.answer(event)
    rig.pop(("A", "a/l", "u2", "102"))
    assert not rig.shard.has_writes
    rig.dead.add("r0")
    rig.reopen()
    assert [event[1] for event in rig.join(name="r1").work()] == ["a/l"]


def test_after_a_kill_comes_again_what_was_acknowledged_late_and_says_so(rig: ShardRig) -> None:
    handler = rig.join()
    rig.pop(("A", "a/k", "u1", "101"))
    (event,) = handler.take()
    handler.answer(event)
    settle(rig)
    rig.dead.add("r0")
    rig.reopen()
    (again,) = rig.join(name="r1").work()
    assert (again[1], again[6]) == ("a/k", 2)


def test_no_fence_comes_twice_though_nothing_of_the_group_was_committed_since(rig: ShardRig) -> None:
    fences = []
    for life in range(4):
        handler = rig.join(name=f"r{life}")
        rig.pop(("U", "a/k", "u1", str(101 + life)))
        fences += [event[7] for event in handler.take()]
        settle(rig)
        rig.dead.add(f"r{life}")
        rig.reopen()
    assert len(fences) == len(set(fences)) == 4
    assert fences == sorted(fences)


def test_a_key_does_not_run_twice_at_once_though_its_replica_was_never_acknowledged(rig: ShardRig) -> None:
    """The replica is on the disk before its first event; its call goes on while the worker is killed."""
    handler = rig.join()
    rig.pop(("A", "a/k", "u1", "101"))
    (event,) = handler.take()
    settle(rig)
    rig.reopen()
    other = rig.join(name="r1")
    assert other.take() == [], "r0 may still be in its call"
    back = rig.join(name="r0", held=[("a/k", event[0], event[7])])
    assert other.take() == back.take() == []
    assert back.answer(event)


def test_a_deletion_that_is_parked_is_on_the_disk_before_its_tombstone_is_trimmed(rig: ShardRig) -> None:
    handler = rig.join()
    rig.pop(("A", "a/k", "u1", "101"), ("A", "a/l", "u2", "102"))
    handler.work()
    rig.pop(("D", "a/k", "u1", "103"))
    (event,) = handler.take()
    handler.answer(event, RETRY, after_s=60.0, error="boom")
    # The position is past the deletion: this commit trims the tombstone, and takes the parked row along.
    rig.pop(("U", "a/l", "u2", "104"))
    rig.dead.add("r0")
    rig.reopen()
    handler = rig.join(name="r1")
    assert brief(handler.work()) == [("U", "a/l", "104")]
    rig.clock.advance(61.0)
    assert brief(handler.work()) == [("D", "a/k", "103")]


def test_a_version_that_was_acknowledged_late_is_not_lost_where_it_comes_again(rig: ShardRig) -> None:
    """`every`: what is overwritten after its acknowledgement needs no history, since both are one commit."""
    handler = rig.join(delivery="every")
    rig.pop(("A", "a/k", "u1", "101"))
    (event,) = handler.take()
    handler.answer(event)
    rig.pop(("U", "a/k", "u1", "102"))
    (event,) = handler.take()
    handler.answer(event)
    rig.dead.add("r0")
    rig.reopen()
    again = rig.join(name="r1", delivery="every").work()
    assert brief(again) == [("U", "a/k", "102")]


class Turns:
    """The worker's turns around one shard, on a clock of its own."""

    turns = 0

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.loop = Loop(self.clock, self)
        self.busy = BusyShards(self.loop, self.clock)

    def show(self) -> None:
        pass

    def after(self, seconds: float) -> list[bool]:
        """Of each shard with a turn then: whether all that its groups did must be committed."""
        self.clock.advance(seconds)
        self.loop.turn(wait_s_max=0)
        return [is_due for _, _, is_due in self.busy.take()]


@pytest.fixture
def turns() -> Turns:
    return Turns()


def test_an_ack_after_which_there_is_nothing_to_send_is_committed_in_time_and_no_turn_before(
    rig: ShardRig, turns: Turns
) -> None:
    handler = rig.join()
    rig.pop(("A", "a/k", "u1", "101"))
    handler.work()
    group = rig.shard.groups["g"]
    assert group.is_synced
    turns.busy.acknowledged(rig.shard, group)
    assert turns.after(0.0) == []
    assert turns.after(COMMIT_LATE_S) == [True]


def test_an_ack_after_which_there_is_something_to_send_or_to_commit_at_once_is_a_turn(
    rig: ShardRig, turns: Turns
) -> None:
    handler = rig.join()
    rig.pop(("A", "a/k", "u1", "101"))
    (first,) = handler.take()
    rig.pop(("U", "a/k", "u1", "102"))
    group = rig.shard.groups["g"]
    handler.answer(first)
    turns.busy.acknowledged(rig.shard, group)
    assert turns.after(0.0) == [False], "the next event of the key"
    assert group.is_synced
    (second,) = handler.take()
    handler.answer(second, RETRY, error="boom")
    turns.busy.acknowledged(rig.shard, group)
    assert turns.after(0.0) == [False], "an attempt that failed"
