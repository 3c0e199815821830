"""Acks leave in batches, but no later than anybody can feel: the rules of `LateAcks` and `HotKeys`."""

from deltawire.handlers.late_acks import (
    ACKS_MAX,
    HOT_S,
    KEYS_MAX,
    LATE_S,
    RIDE_PART,
    SOON_S,
    HotKeys,
    LateAcks,
)


def handed_out() -> LateAcks:
    """At 10.0, closely behind others."""
    late = LateAcks(256)
    late.handed_out(9.999)
    late.handed_out(10.0)
    return late


def test_acks_of_cold_keys_wait_for_others_until_5_ms_after_their_calls_were_handed_out():
    late = handed_out()
    late.handed_out(10.003)
    assert not late.ended(1, is_urgent=False, now_s=10.001)
    assert not late.ended(1, is_urgent=False, now_s=10.004)
    assert late.due_s == 10.0 + SOON_S
    assert late.due()


def test_calls_further_apart_than_5_ms_are_acknowledged_at_once_and_without_a_timer():
    late = LateAcks(256)
    for second in (10.0, 10.01, 10.02):
        late.handed_out(second)
        assert late.due_s is None
        assert late.ended(1, is_urgent=False, now_s=second)
        late.left(second, calls_out=0)


def test_32_acks_leave_at_once():
    late = handed_out()
    assert not late.ended(ACKS_MAX - 1, is_urgent=False, now_s=10.0)
    assert late.ended(1, is_urgent=False, now_s=10.0)


def test_the_ack_of_a_hot_key_leaves_at_once_and_takes_along_what_waits():
    late = handed_out()
    assert not late.ended(1, is_urgent=False, now_s=10.0)
    assert late.ended(1, is_urgent=True, now_s=10.0)
    late.left(10.0, calls_out=0)
    assert not late.ended(1, is_urgent=False, now_s=10.001), "what left is urgent no more"


def test_an_event_that_ends_without_an_ack_makes_nothing_leave():
    late = handed_out()
    assert not late.ended(0, is_urgent=True, now_s=10.0)
    assert not late.ended(1, is_urgent=False, now_s=10.001), "what comes later is not urgent for that"


def test_the_ack_of_a_call_that_took_longer_leaves_when_the_call_ends():
    late = handed_out()
    assert not late.due()
    assert late.due_s is None, "no timer runs while a call is slow"
    assert late.ended(1, is_urgent=False, now_s=10.2)


def test_calls_that_are_out_when_acks_leave_are_looked_for_5_ms_later():
    late = handed_out()
    late.ended(ACKS_MAX, is_urgent=False, now_s=10.001)
    late.left(10.001, calls_out=3)
    assert late.due_s == 10.001 + SOON_S
    late.left(10.002, calls_out=0)
    assert late.due_s is None


def test_acks_of_a_worker_that_asks_for_them_wait_for_100_ms_and_go_with_an_event_that_comes_just_before():
    late = LateAcks(256)
    late.late_s = LATE_S
    late.handed_out(9.985)
    late.handed_out(10.0)
    assert not late.ended(1, is_urgent=False, now_s=10.001)
    assert late.due_s == 10.0 + LATE_S
    assert not late.may_ride(10.0 + LATE_S - 2 * RIDE_PART * LATE_S)
    assert late.may_ride(10.0 + LATE_S - RIDE_PART * LATE_S / 2)


def test_acks_that_are_asked_for_leave_at_once_and_what_ends_later_is_looked_for_soon():
    late = LateAcks(256)
    late.late_s = LATE_S
    late.handed_out(9.985)
    late.handed_out(10.0)
    assert not late.asked(10.001)
    assert late.due_s == 10.001 + SOON_S
    late.ended(1, is_urgent=False, now_s=10.002)
    assert late.asked(10.003)


def test_acks_that_wait_never_fill_a_window():
    for window, acks in ((1, 1), (4, 1), (9, 2), (256, ACKS_MAX)):
        late = LateAcks(window)
        late.late_s = LATE_S
        late.handed_out(9.985)
        late.handed_out(10.0)
        assert [late.ended(1, is_urgent=False, now_s=10.0) for _ in range(acks)][-1], f"a window of {window}"


def test_acks_that_wait_leave_room_for_each_call_that_can_be_made_at_a_time():
    for window, calls, acks in ((8, 8, 1), (64, 60, 4), (64, 100, 1), (256, 4, ACKS_MAX), (256, 250, 6)):
        assert LateAcks(window, calls).acks_max == acks, f"a window of {window}, {calls} calls at a time"


def test_behind_an_urgent_ack_the_calls_that_are_out_are_looked_for_soon():
    late = LateAcks(256)
    late.late_s = LATE_S
    late.handed_out(9.985)
    late.handed_out(10.0)
    assert late.is_far(10.0), "what is urgent must not wait for that"
    assert late.ended(1, is_urgent=True, now_s=10.001)
    late.left(10.001, calls_out=2)
    assert late.due_s == 10.001 + SOON_S
    assert not late.is_far(10.001)
    late.ended(1, is_urgent=False, now_s=10.002)
    assert late.due()
    late.left(10.006, calls_out=1)
    assert late.due_s == 10.006 + LATE_S


def test_acks_of_what_nobody_asked_for_wait_like_others():
    late = LateAcks(256)
    assert not late.ended(1, is_urgent=False, now_s=10.0)
    assert late.due_s == 10.0 + SOON_S


def test_a_key_is_remembered_for_50_ms_after_its_last_event():
    keys = HotKeys()
    keys.came_s["n/a"] = 10.0
    keys.forget(10.0 + 0.9 * HOT_S)
    assert keys.came_s == {"n/a": 10.0}
    keys.forget(10.2)
    assert not keys.came_s


def test_keys_are_forgotten_by_age_and_beyond_a_number():
    keys = HotKeys()
    for number in range(2 * KEYS_MAX):
        keys.came_s[f"n/{number}"] = 10.0
        keys.forget(10.0)
    assert len(keys.came_s) == KEYS_MAX
    assert "n/0" not in keys.came_s, "forgotten, so it counts as cold: its ack comes 5 ms later"
    keys.came_s["n/x"] = 10.0 + 2 * HOT_S
    keys.forget(10.0 + 2 * HOT_S)
    assert list(keys.came_s) == ["n/x"]
