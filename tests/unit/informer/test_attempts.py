"""`attempt` is 1 only for what no handler can have been sent before (P3), and that costs no commit an event."""


import pytest

from deltawire.informer.groups.replica import Departure
from deltawire.informer.groups.sent_ahead import SENT_AHEAD
from tests.support.shard_rig import ShardRig

RETRY = 1
MANY = 4 * SENT_AHEAD


def kill(rig: ShardRig, *names: str) -> None:
    rig.dead.update(names or {"r0"})
    rig.reopen()


@pytest.mark.parametrize("delivery", ["latest", "every"])
def test_what_was_sent_and_not_acknowledged_comes_again_as_a_second_attempt(
    rig: ShardRig, delivery: str
) -> None:
    rig.pop(("A", "a/k", "u1", "101"))
    assert [event[6] for event in rig.join(delivery=delivery).take()] == [1]
    kill(rig)
    assert [event[6] for event in rig.join(name="r1", delivery=delivery).work()] == [2]


def test_what_was_acknowledged_and_not_committed_comes_again_as_a_second_attempt(rig: ShardRig) -> None:
    rig.pop(("A", "a/k", "u1", "101"))
    handler = rig.join()
    (event,) = handler.take()
    assert handler.answer(event)
    kill(rig)
    assert [event[6] for event in rig.join(name="r1").work()] == [2]


def test_what_was_stored_after_the_kill_and_what_was_far_from_being_sent_are_first_attempts(
    rig: ShardRig,
) -> None:
    rig.pop(*(("A", f"a/k{n:04d}", f"u{n}", str(101 + n)) for n in range(MANY)))
    assert len(rig.join(window=1).take()) == 1
    kill(rig)
    rig.pop(("A", "a/new", "v", "9999"))
    attempts = {event[1]: event[6] for event in rig.join(name="r1", window=9999).work()}
    assert attempts["a/k0000"] == 2
    assert attempts[f"a/k{MANY - 1:04d}"] == attempts["a/new"] == 1
    assert sum(attempt == 2 for attempt in attempts.values()) <= 2 * SENT_AHEAD


def test_a_wish_that_may_have_been_sent_before_the_kill_is_a_second_attempt(rig: ShardRig) -> None:
    rig.pop(("A", "a/k", "u1", "101"))
    handler = rig.join()
    (event,) = handler.take()
    handler.answer(event, RETRY, after_s=5.0)
    rig.shard.flush()
    rig.clock.advance(5.0)
    assert [event[6] for event in handler.take()] == [1]
    kill(rig)
    assert [event[6] for event in rig.join(name="r1").work()] == [2]


def test_what_a_session_took_with_it_may_have_been_handled_and_what_a_leaver_gave_back_was_not(
    rig: ShardRig,
) -> None:
    rig.pop(("A", "a/k", "u1", "101"))
    handler = rig.join()
    handler.take()
    rig.shard.leave("g", handler.identity, "it has left", Departure.LEFT)
    second = rig.join(name="r1")
    assert [event[6] for event in second.take()] == [1]
    rig.shard.leave("g", second.identity, "said hello again", Departure.SESSION)
    rig.clock.advance(5.0)
    assert [event[6] for event in rig.join(name="r2").take()] == [2]
    assert rig.shard.groups["g"].counters.failed == 0


def test_a_second_attempt_that_is_no_failure_is_not_counted_towards_the_dead_letters(rig: ShardRig) -> None:
    rig.pop(("A", "a/k", "u1", "101"))
    rig.join(attempts_max=2).take()
    kill(rig)
    handler = rig.join(name="r1", attempts_max=2)
    (event,) = handler.take()
    assert event[6] == 2
    handler.answer(event, RETRY, error="boom")
    assert rig.shard.groups["g"].lot.dead_letters() == []
    (event,) = handler.take()
    handler.answer(event, RETRY, error="boom")
    assert len(rig.shard.groups["g"].lot.dead_letters()) == 1


def test_what_waits_behind_a_retry_of_its_key_and_may_have_been_sent_before_the_kill_is_a_second_attempt(
    rig: ShardRig,
) -> None:
    first = rig.join(delivery="every")
    rig.pop(("A", "a/k", "u1", "101"))
    rig.pop(("U", "a/k", "u1", "102"))
    for version in ("101", "102"):
        (event,) = first.take()
        assert (event[4], event[6]) == (version, 1)
        assert first.answer(event)
    kill(rig)
    again = rig.join(name="r1", delivery="every")
    (event,) = again.take()
    assert event[4] == "101"
    again.answer(event, RETRY, after_s=5.0, error="boom")
    assert again.take() == []
    rig.clock.advance(5.0)
    assert [(event[4], event[6]) for event in again.work()] == [("101", 2), ("102", 2)]


def test_what_waited_behind_a_retry_of_its_key_and_was_sent_is_a_second_attempt_after_a_kill(
    rig: ShardRig,
) -> None:
    rig.pop(("A", "a/k", "u1", "101"))
    handler = rig.join(delivery="every")
    (event,) = handler.take()
    handler.answer(event, RETRY, after_s=5.0, error="boom")
    rig.pop(("U", "a/k", "u1", "102"))
    assert handler.take() == []
    rig.clock.advance(5.0)
    (event,) = handler.take()
    assert (event[4], event[6]) == ("101", 2)
    assert handler.answer(event)
    (event,) = handler.take()
    assert (event[4], event[6]) == ("102", 1)
    kill(rig)
    assert ("102", 2) in [(event[4], event[6]) for event in rig.join(name="r1", delivery="every").work()]


def test_sending_costs_no_commit_an_event(rig: ShardRig) -> None:
    handler = rig.join()
    handler.work()
    _, before = rig.shard.indexer.readers()
    for number in range(100):
        rig.pop(("A", f"a/k{number}", f"u{number}", str(101 + number)))
        assert len(handler.take()) == 1
    _, after = rig.shard.indexer.readers()
    assert after - before == 100  # those of the batches
