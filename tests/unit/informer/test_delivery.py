"""What a group is sent, when, and what an ack or a death changes."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deltawire.common.store.layout import FINAL_STATE_UNKNOWN
from deltawire.informer.groups import parking
from deltawire.informer.groups.events import COALESCED, GAP, INITIAL
from deltawire.informer.groups.replica import Departure
from tests.support.shard_rig import ShardRig, body_of, brief

RETRY, DEAD = 1, 2


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[ShardRig]:
    rig = ShardRig(tmp_path / "shard")
    rig.list("100", ("a/k", "u1", "50"))
    yield rig
    rig.shard.close(clean=False)


def stop(rig: ShardRig, *names: str) -> None:
    rig.dead.update(names or {"r0"})


def test_a_new_group_gets_what_is_stored_as_initial_adds_and_is_synced_after_them(rig: ShardRig) -> None:
    rig.pop(("U", "a/k", "u1", "110"), ("A", "a/l", "u2", "111"))
    handler = rig.join()
    events = handler.take()
    assert brief(events) == [("A", "a/k", "110"), ("A", "a/l", "111")]
    assert all(event[8] & INITIAL for event in events)
    group = rig.shard.groups["g"]
    assert not group.is_synced
    for event in events:
        handler.answer(event)
    assert group.is_synced
    rig.pop(("A", "a/m", "u3", "112"))
    (later,) = handler.work()
    assert not later[8] & INITIAL


def test_a_group_that_came_before_the_first_list_is_synced_after_it(tmp_path: Path) -> None:
    rig = ShardRig(tmp_path / "new")
    handler = rig.join()
    rig.begin()
    rig.pop(("R", "a/k", "u1", "50"))
    (event,) = handler.work()
    assert event[8] & INITIAL
    assert not rig.shard.groups["g"].is_synced
    rig.end("60")
    assert rig.shard.groups["g"].is_synced
    rig.shard.close(clean=False)


def test_every_is_synced_by_the_versions_that_were_stored_when_it_came(rig: ShardRig) -> None:
    # Under churn that never ends, waiting for the newest version of each would wait for ever.
    rig.pop(("U", "a/k", "u1", "110"), ("A", "a/l", "u2", "111"))
    handler = rig.join(delivery="every", window=1)
    (first,) = handler.take()
    rig.pop(("U", "a/l", "u2", "112"))
    assert handler.answer(first)
    (second,) = handler.take()
    assert brief([second]) == [("A", "a/l", "111")]
    assert handler.answer(second)
    assert rig.shard.groups["g"].is_synced
    assert brief(handler.work()) == [("U", "a/l", "112")]


def test_an_initial_object_that_changes_before_it_is_sent_holds_synced_up(rig: ShardRig) -> None:
    rig.pop(("A", "a/l", "u2", "101"))
    handler = rig.join(window=1)
    (first,) = handler.take()
    rig.pop(("U", "a/l", "u2", "102"))
    handler.answer(first)
    group = rig.shard.groups["g"]
    assert not group.is_synced
    assert brief(handler.work()) == [("A", "a/l", "102")]
    assert group.is_synced


def test_one_event_a_key_is_in_flight_and_the_next_waits_for_its_ack(rig: ShardRig) -> None:
    handler = rig.join()
    handler.work()
    rig.pop(("U", "a/k", "u1", "101"))
    (first,) = handler.take()
    rig.pop(("U", "a/k", "u1", "102"))
    rig.pop(("U", "a/k", "u1", "103"))
    assert handler.take() == []
    handler.answer(first)
    (second,) = handler.take()
    assert brief([second]) == [("U", "a/k", "103")]
    assert second[8] & COALESCED
    assert second[10] == body_of("a/k", "u1", "101")


def test_old_is_what_the_group_acknowledged_last(rig: ShardRig) -> None:
    handler = rig.join()
    handler.work()
    rig.pop(("U", "a/k", "u1", "101"))
    (event,) = handler.work()
    assert event[10] == body_of("a/k", "u1", "50")
    stop(rig)
    rig.reopen()
    rig.pop(("U", "a/k", "u1", "102"))
    (event,) = rig.join(name="r1").work()
    assert (event[2], event[4]) == ("U", "102")


def test_a_replica_that_comes_again_without_having_left_holds_nothing_up(rig: ShardRig) -> None:
    rig.pop(("U", "a/k", "u1", "101"))
    first = rig.join()
    (sent,) = first.take()
    again = rig.join()
    assert again.identity == first.identity
    rig.clock.advance(10)
    (event,) = again.work()
    assert event[:5] == sent[:5]
    assert not rig.shard.groups["g"].in_flight


@pytest.mark.parametrize("delivery", ["latest", "every"])
def test_old_is_neither_sent_nor_kept_for_who_does_not_want_it(rig: ShardRig, delivery: str) -> None:
    handler = rig.join(delivery=delivery, wants_old=False)
    handler.work()
    for version in ("101", "102"):
        rig.pop(("U", "a/k", "u1", version))
    assert [event[10] for event in handler.work()] == [None] * (1 if delivery == "latest" else 2)
    assert rig.shard.groups["g"].olds.get("a/k") is None
    # From when a replica comes that wants it, what the group acknowledges is kept for its next event.
    other = rig.join(name="r1", delivery=delivery)
    handler.die()
    rig.pop(("U", "a/k", "u1", "103"))
    assert [event[10] for event in other.work()] == [body_of("a/k", "u1", "102")]


def test_a_name_deleted_and_created_again_while_the_group_is_away_is_both(rig: ShardRig) -> None:
    rig.join().work()
    stop(rig)
    rig.reopen()
    rig.pop(("D", "a/k", "u1", "101"), ("A", "a/k", "u2", "102"))
    rig.reopen()
    rig.pop(("U", "a/k", "u2", "103"))
    events = rig.join(name="r1").work()
    assert brief(events) == [("D", "a/k", "101"), ("A", "a/k", "103")]
    assert events[0][9] == body_of("a/k", "u1", "101")


def test_a_deletion_is_kept_until_every_group_is_past_it(rig: ShardRig) -> None:
    here, away = rig.join("here"), rig.join("away", "r9")
    here.work()
    away.work()
    away.die()
    rig.pop(("D", "a/k", "u1", "101"))
    assert brief(here.work()) == [("D", "a/k", "101")]
    assert len(rig.shard.indexer.rows(b"gone")) == 1
    rig.reopen()
    assert brief(rig.join("away", "r10").work()) == [("D", "a/k", "101")]
    rig.shard.flush()
    assert rig.shard.indexer.rows(b"gone") == []


def test_a_group_gets_no_deletion_from_before_it_came(rig: ShardRig) -> None:
    rig.join("other").take()
    rig.pop(("D", "a/k", "u1", "101"))
    assert rig.join("new", "r1").work() == []


def test_what_is_acknowledged_and_committed_does_not_come_again_after_a_kill(rig: ShardRig) -> None:
    rig.pop(*(("A", f"a/n{i}", f"v{i}", str(101 + i)) for i in range(6)))
    handler = rig.join()
    events = handler.take()
    for event in events[1:]:
        handler.answer(event)
    rig.shard.flush()
    stop(rig)
    rig.reopen()
    assert brief(rig.join(name="r1").work()) == brief(events[:1])


def test_an_add_that_was_handled_but_not_committed_comes_again_as_add(rig: ShardRig) -> None:
    handler = rig.join()
    (event,) = handler.take()
    handler.answer(event)
    stop(rig)
    rig.reopen()
    rig.pop(("U", "a/k", "u1", "101"))
    assert brief(rig.join(name="r1").work()) == [("A", "a/k", "101")]


def test_a_failure_is_tried_again_when_asked_and_holds_nothing_up(rig: ShardRig) -> None:
    rig.pop(("A", "a/l", "u2", "101"))
    handler = rig.join()
    bad, good = handler.take()
    handler.answer(bad, RETRY, after_s=5.0, error="boom")
    handler.answer(good)
    group = rig.shard.groups["g"]
    assert group.track.position == rig.shard.seq
    assert handler.take() == []
    assert rig.shard.pending(group) == 1
    rig.clock.advance(5.0)
    (again,) = handler.take()
    assert brief([again]) == [("A", "a/k", "50")]
    assert again[6] == 2
    handler.answer(again)
    assert rig.shard.pending(group) == 0


def test_attempts_outlive_the_worker_and_end_in_a_dead_letter(rig: ShardRig) -> None:
    for attempt in (1, 2, 3):
        handler = rig.join(name=f"r{attempt}", attempts_max=3)
        (event,) = handler.take()
        assert event[6] == attempt
        handler.answer(event, RETRY, error="boom")
        rig.shard.flush()
        stop(rig, f"r{attempt}")
        rig.reopen()
    group = rig.shard.groups["g"]
    assert [(d.key, d.attempts, d.error) for d in group.lot.dead_letters()] == [("a/k", 3, "boom")]
    assert rig.join(name="r4").take() == []


def test_a_requeue_without_an_error_is_no_failure(rig: ShardRig) -> None:
    handler = rig.join(attempts_max=2)
    for _ in range(5):
        (event,) = handler.take()
        assert event[6] == 1
        handler.answer(event, RETRY, after_s=1.0)
        rig.clock.advance(1.0)
    assert rig.shard.groups["g"].counters.failed == 0


def test_a_retry_delivers_the_current_state(rig: ShardRig) -> None:
    handler = rig.join()
    (event,) = handler.take()
    handler.answer(event, RETRY, after_s=60.0, error="boom")
    rig.pop(("U", "a/k", "u1", "101"))
    (now,) = handler.take()
    assert (now[2], now[4], now[6]) == ("A", "101", 2)
    handler.answer(now)
    rig.clock.advance(60.0)
    assert handler.take() == []


def test_a_parked_deletion_keeps_its_place_before_the_next_life_of_the_name(rig: ShardRig) -> None:
    handler = rig.join()
    handler.work()
    rig.pop(("D", "a/k", "u1", "101"))
    (gone,) = handler.take()
    handler.answer(gone, RETRY, after_s=10.0, error="boom")
    rig.pop(("A", "a/k", "u2", "102"))
    assert handler.take() == []
    stop(rig)
    rig.shard.flush()
    rig.reopen()
    rig.pop(("U", "a/k", "u2", "103"))
    handler = rig.join(name="r1")
    assert handler.take() == []
    rig.clock.advance(10.0)
    events = handler.work()
    assert brief(events) == [("D", "a/k", "101"), ("A", "a/k", "103")]
    assert events[0][9] == body_of("a/k", "u1", "101")


def test_every_keeps_the_order_of_a_key_behind_a_failure(rig: ShardRig) -> None:
    handler = rig.join(delivery="every")
    (first,) = handler.take()
    handler.answer(first, RETRY, after_s=10.0, error="boom")
    rig.pop(("U", "a/k", "u1", "101"))
    rig.pop(("U", "a/k", "u1", "102"))
    assert handler.take() == []
    assert rig.shard.groups["g"].track.position == rig.shard.seq
    rig.clock.advance(10.0)
    events = handler.work()
    assert brief(events) == [("A", "a/k", "50"), ("U", "a/k", "101"), ("U", "a/k", "102")]
    assert [event[10] for event in events] == [
        None,
        body_of("a/k", "u1", "50"),
        body_of("a/k", "u1", "101"),
    ]


def test_a_dead_letter_is_out_of_the_way_and_its_retry_delivers_the_current_state(rig: ShardRig) -> None:
    handler = rig.join()
    (event,) = handler.take()
    handler.answer(event, DEAD, error="no use")
    rig.shard.flush()
    stop(rig)
    rig.reopen()
    handler = rig.join(name="r1")
    group = rig.shard.groups["g"]
    (dead,) = group.lot.dead_letters()
    assert group.lot.retry_dead(dead.seq, rig.clock.wall_s())
    assert brief(handler.work()) == [("A", "a/k", "50")]
    assert group.lot.dead_letters() == []
    assert not group.lot.drop_dead(dead.seq)


def test_a_dead_letter_of_a_deleted_object_is_dropped_by_its_retry(rig: ShardRig) -> None:
    handler = rig.join()
    (event,) = handler.take()
    handler.answer(event, DEAD, error="no use")
    rig.pop(("D", "a/k", "u1", "101"))
    assert brief(handler.work()) == [("D", "a/k", "101")]
    group = rig.shard.groups["g"]
    for dead in group.lot.dead_letters():
        group.lot.retry_dead(dead.seq, rig.clock.wall_s())
    assert handler.work() == []
    assert rig.shard.pending(group) == 0


def test_too_many_dead_letters_stop_the_group_until_somebody_looks(
    rig: ShardRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parking, "DEAD_MAX", 1)
    rig.pop(("A", "a/l", "u2", "101"))
    handler = rig.join(window=1)
    (event,) = handler.take()
    handler.answer(event, DEAD, error="no use")
    assert handler.take() == []
    rig.shard.groups["g"].lot.drop_dead(event[0])
    assert brief(handler.work()) == [("A", "a/l", "101")]


def test_a_dead_replica_fails_its_keys_and_its_late_acks_are_refused(rig: ShardRig) -> None:
    first, second = rig.join(name="r0"), rig.join(name="r1")
    events = first.take()
    holder, other = (first, second) if events else (second, first)
    (event,) = events or second.take()
    holder.die()
    rig.clock.advance(60.0)
    (again,) = other.take()
    assert again[6] == event[6] + 1
    assert again[7] > event[7]
    assert not holder.answer(event)
    assert rig.shard.groups["g"].counters.late == 1
    assert other.answer(again)


def test_keys_that_may_have_killed_a_handler_are_sent_one_at_a_time(rig: ShardRig) -> None:
    rig.pop(*(("A", f"a/n{i}", f"v{i}", str(101 + i)) for i in range(3)))
    handler = rig.join()
    assert len(handler.take()) == 4
    handler.die()
    rig.clock.advance(60.0)
    fresh = rig.join(name="r1")
    rig.pop(("A", "a/innocent", "v9", "120"))
    for _ in range(4):
        (alone,) = fresh.take()
        assert alone[6] == 2
        fresh.answer(alone)
    assert brief(fresh.work()) == [("A", "a/innocent", "120")]


def test_a_key_that_kills_its_handlers_ends_as_a_dead_letter_and_spares_the_others(rig: ShardRig) -> None:
    rig.pop(*(("A", f"a/n{i}", f"v{i}", str(101 + i)) for i in range(3)))
    handled = set()
    for number in range(60):
        handler = rig.join(name=f"r{number}", attempts_max=3)
        while events := handler.take():
            if any(event[1] == "a/k" for event in events):
                handler.die()
                break
            for event in events:
                handled.add(event[1])
                handler.answer(event)
        rig.clock.advance(60.0)
    group = rig.shard.groups["g"]
    assert [dead.key for dead in group.lot.dead_letters()] == ["a/k"]
    assert handled == {"a/n0", "a/n1", "a/n2"}
    assert rig.shard.pending(group) == 0


def test_a_session_that_ends_while_the_process_lives_is_no_failure(rig: ShardRig) -> None:
    rig.pop(("A", "a/l", "u2", "101"))
    handler = rig.join()
    held, waiting = handler.take()
    rig.shard.leave("g", handler.identity, "said hello again", Departure.SESSION)
    again = rig.join(name="r0", held=[(held[1], held[0], held[7])])
    assert again.take() == []
    assert again.answer(held)
    rig.clock.advance(3.0)
    (event,) = again.take()
    assert brief([event]) == brief([waiting])
    assert event[6] == 2  # no failure, but an ack may have been lost with the session
    assert again.answer(event)
    assert rig.shard.pending(rig.shard.groups["g"]) == 0


def test_what_a_replica_that_left_was_sent_goes_to_another_at_once_and_is_no_failure(rig: ShardRig) -> None:
    handler = rig.join()
    sent = handler.take()
    rig.shard.leave("g", handler.identity, "it has left", Departure.LEFT)
    another = rig.join(name="r1")
    again = another.take()
    assert brief(again) == brief(sent)
    assert [event[6] for event in again] == [1]  # the first attempt
    assert rig.shard.groups["g"].counters.failed == 0
    assert another.answer(again[0])
    assert rig.shard.pending(rig.shard.groups["g"]) == 0


def test_calls_that_outlive_the_worker_are_not_handed_to_another(rig: ShardRig) -> None:
    rig.pop(("A", "a/l", "u2", "101"))
    handler = rig.join()
    held, _ = handler.take()
    rig.shard.flush()
    rig.reopen()
    stranger = rig.join(name="r1")
    # The replica that the group had before may still be in a call.
    assert stranger.take() == []
    back = rig.join(name="r0", held=[(held[1], held[0], held[7])])
    assert [event[1] for event in [*stranger.take(), *back.take()]] == ["a/l"]
    assert back.answer(held)
    assert held[1] not in rig.shard.groups["g"].in_flight


def test_a_worker_waits_one_lease_for_a_replica_that_does_not_come_back(rig: ShardRig) -> None:
    rig.join().take()
    rig.shard.flush()
    rig.reopen()
    stranger = rig.join(name="r1")
    rig.clock.advance(5.9)
    assert stranger.take() == []
    rig.clock.advance(0.2)
    assert len(stranger.take()) == 1


def test_a_worker_does_not_wait_for_a_replica_that_is_known_to_be_dead(rig: ShardRig) -> None:
    rig.join().take()
    rig.shard.flush()
    stop(rig)
    rig.reopen()
    assert len(rig.join(name="r1").take()) == 1


def test_a_full_window_stops_only_that_group(rig: ShardRig) -> None:
    rig.pop(*(("A", f"a/n{i}", f"v{i}", str(101 + i)) for i in range(5)))
    slow, fast = rig.join("slow", window=2), rig.join("fast", "r1")
    assert len(slow.take()) == 2
    assert len(fast.work()) == 6


def test_replicas_of_a_group_share_its_keys(rig: ShardRig) -> None:
    rig.pop(*(("A", f"a/n{i}", f"v{i}", str(101 + i)) for i in range(5)))
    one, two = rig.join(name="r0"), rig.join(name="r1")
    assert [len(one.take()), len(two.take())] == [3, 3]


def test_a_resync_repeats_what_is_live_and_acknowledged(rig: ShardRig) -> None:
    handler = rig.join(resync_s=30.0)
    handler.work()
    rig.clock.advance(30.0)
    assert brief(handler.work()) == [("S", "a/k", "50")]
    assert handler.work() == []
    rig.clock.advance(30.0)
    rig.pop(("U", "a/k", "u1", "101"))
    assert brief(handler.work()) == [("U", "a/k", "101")]


def test_a_group_that_stayed_away_too_long_gets_all_again_and_is_told(rig: ShardRig) -> None:
    rig.pop(("A", "a/l", "u2", "101"))
    handler = rig.join()
    handler.work()
    handler.die()
    rig.shard.flush()
    rig.clock.advance(100.0)
    rig.shard.forget_absent(60.0)
    rig.pop(("D", "a/l", "u2", "102"))
    rig.shard.flush()
    assert rig.shard.indexer.rows(b"gone") == []
    rig.reopen()
    events = rig.join(name="r1").work()
    assert brief(events) == [("A", "a/k", "50")]
    assert not events[0][8] & GAP
    (gap,) = rig.shard.groups["g"].gaps.waiting
    assert (gap.reason, gap.stream) == ("forgotten", "*")


def test_forgetting_a_group_frees_its_rows(rig: ShardRig) -> None:
    handler = rig.join()
    (event,) = handler.take()
    handler.answer(event, DEAD, error="no use")
    assert not rig.shard.forget("g")
    handler.die()
    rig.pop(("D", "a/k", "u1", "101"))
    assert rig.shard.forget("g")
    for name in (b"groups", b"parked", b"owed", b"gone"):
        assert rig.shard.indexer.rows(name) == []


def test_versions_given_up_at_the_byte_bound_are_told(rig: ShardRig) -> None:
    handler = rig.join(delivery="every", window=1)
    (first,) = handler.take()
    for version in ("101", "102", "103"):
        rig.pop(("U", "a/k", "u1", version))
    assert len(rig.shard.indexer.rows(b"history")) == 3
    rig.shard.give_up_history()
    handler.answer(first)
    (event,) = handler.work()
    assert (event[2], event[4]) == ("U", "103")
    assert event[8] & COALESCED


def test_deletions_shortened_at_the_byte_bound_keep_the_identity(rig: ShardRig) -> None:
    handler = rig.join()
    handler.work()
    rig.pop(("D", "a/k", "u1", "101"), spec={"long": "x" * 500})
    rig.shard.shorten_gone()
    (event,) = handler.work()
    assert event[9] == body_of("a/k", "u1", "101")
    assert event[8] & FINAL_STATE_UNKNOWN


@pytest.mark.parametrize("how", list(Departure))
def test_what_a_lost_replica_or_session_left_behind_is_not_said_to_be_handled_until_somebody_answers(
    rig: ShardRig, how: Departure
) -> None:
    handler = rig.join()
    (event,) = handler.take()
    group = rig.shard.groups["g"]
    stop(rig)
    rig.shard.leave("g", handler.identity, "it is gone", how)
    assert group.track.position >= event[0], "it holds nothing up"
    assert group.handled_to < event[0]
    another = rig.join(name="r1")
    rig.clock.advance(60.0)
    (again,) = another.take()
    assert group.handled_to < event[0]
    assert another.answer(again)
    assert group.handled_to >= event[0]


def test_what_a_handler_asked_to_see_again_later_is_parked_by_its_word(rig: ShardRig) -> None:
    handler = rig.join()
    (event,) = handler.take()
    assert rig.shard.groups["g"].handled_to < event[0]
    assert handler.answer(event, RETRY, after_s=30.0, error="busy")
    assert rig.shard.groups["g"].handled_to >= event[0]


def test_a_key_that_kills_again_and_again_waits_for_a_retry_and_withdraws_nothing(rig: ShardRig) -> None:
    group = None
    for number in range(2):
        handler = rig.join(name=f"r{number}")
        rig.clock.advance(60.0)
        (event,) = handler.take()
        handler.die()
        group = rig.shard.groups["g"]
        assert (group.handled_to >= event[0]) == bool(number)
