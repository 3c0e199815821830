"""The loop of a role: sources when they can be read, timers when they are due, nothing else."""

import os
import signal
import threading
import time
from itertools import pairwise

import pytest

from deltawire.common.clock import FakeClock, SystemClock
from deltawire.common.loop import IDLE_S, Loop
from deltawire.common.waker import Waker


class Failed(Exception):
    """What an action raises here."""


class Turns:
    def __init__(self) -> None:
        self.turns = 0
        self.shown = 0

    def show(self) -> None:
        self.shown += 1


@pytest.fixture
def turns() -> Turns:
    return Turns()


@pytest.fixture
def loop(turns: Turns) -> Loop:
    return Loop(SystemClock(), turns)


def test_only_sources_that_can_be_read_are_read(loop):
    wakers = [Waker(), Waker()]
    read = []
    for number, waker in enumerate(wakers):
        loop.reads(waker.fileno(), lambda number=number, waker=waker: (waker.clear(), read.append(number)))
    loop.turn(wait_s_max=0)
    assert read == []
    wakers[1].wake()
    loop.turn()
    assert read == [1]
    loop.forgets(wakers[0].fileno())
    wakers[0].wake()
    wakers[1].wake()
    loop.turn()
    assert read == [1, 1]
    for waker in wakers:
        waker.close()


def test_what_was_not_read_is_offered_again_at_once(loop):
    waker = Waker()
    count = []
    loop.reads(waker.fileno(), lambda: count.append(1))
    waker.wake()
    for _ in range(3):
        loop.turn()
    assert len(count) == 3
    waker.close()


def test_a_wake_from_another_thread_ends_a_sleep(loop):
    waker = Waker()
    seen = []
    loop.reads(waker.fileno(), lambda: (waker.clear(), seen.append(1)))
    loop.turn(wait_s_max=0)
    threading.Timer(0.01, waker.wake).start()
    while not seen:
        loop.turn(wait_s_max=60)
    waker.close()


def test_a_wake_between_clear_and_look_rings_again(loop):
    waker = Waker()
    waker.wake()
    waker.clear()
    waker.wake()
    assert os.read(waker.fileno(), 10) == b"!"
    waker.close()


def test_a_wake_after_the_end_writes_into_nobodys_file(tmp_path):
    waker = Waker()
    waker.close()
    with (tmp_path / "other").open("wb+") as other:
        waker.wake()
        waker.close()
        assert other.seek(0, os.SEEK_END) == 0


def test_timers_are_called_once_when_due_in_their_order(loop):
    called = []
    first, second, third = (loop.timer(lambda n=n: called.append(n)) for n in (1, 2, 3))
    now_s = SystemClock().now_s()
    second.set(now_s + 0.02)
    first.set(now_s + 0.01)
    third.set(now_s + 60)
    while len(called) < 2:
        loop.turn(wait_s_max=60)
    assert called == [1, 2]
    loop.turn(wait_s_max=0)
    assert called == [1, 2]


def test_a_timer_that_is_set_anew_or_cancelled_is_not_called_at_its_old_time(loop):
    called = []
    moved, hurried, cancelled = (
        loop.timer(lambda n=n: called.append(n)) for n in ("moved", "hurried", "cancelled")
    )
    now_s = SystemClock().now_s()
    moved.set(now_s)
    moved.set(now_s + 60)
    hurried.set(now_s + 60)
    hurried.hurry(now_s)
    hurried.hurry(now_s + 30)
    cancelled.set(now_s)
    cancelled.cancel()
    loop.turn(wait_s_max=0)
    assert called == ["hurried"]


def test_what_repeats_begins_at_once_and_survives_its_own_error(loop):
    called = []

    def fail() -> None:
        called.append(1)
        raise Failed

    loop.every(0.001, fail)
    for _ in range(2):
        with pytest.raises(Failed):
            while True:
                loop.turn(wait_s_max=60)
    assert len(called) == 2


def test_what_repeats_in_one_loop_shares_its_turns(turns):
    clock = FakeClock()
    loop = Loop(clock, turns, idle_s=1.0)
    called = {0.5: [], 1.0: [], 2.0: []}
    for interval_s, at in called.items():
        clock.advance(0.3)
        loop.every(interval_s, lambda at=at: at.append(round(clock.now_s(), 3)))
    for _ in range(100):
        loop.turn(wait_s_max=0)
        clock.advance(0.1)
    after = {interval_s: set(at[1:]) for interval_s, at in called.items()}
    assert after[2.0] < after[1.0] < after[0.5]
    assert len(after[2.0]) == 5
    for interval_s, at in called.items():
        assert len(at[1:]) == len(set(at[1:])), "twice in one beat"
        assert all(abs(b - a - interval_s) < 0.11 for a, b in pairwise(at[1:]))


def test_soon_is_the_next_turn_only(loop):
    loop.turn(wait_s_max=0)
    loop.soon()
    began = time.monotonic()
    loop.turn(wait_s_max=60)
    assert loop._is_soon is False
    assert time.monotonic() - began < 60


def test_what_is_put_off_to_the_end_comes_after_all_else(loop):
    said = []
    loop.at_end(lambda: said.append("end"))
    loop.turn(lambda: (said.append("after"), loop.at_end(lambda: said.append("end 2"))), wait_s_max=0)
    assert said == ["after", "end", "end 2"]


def test_an_idle_loop_shows_that_it_turns_and_sees_the_stop(loop, turns):
    stop = threading.Event()
    thread = threading.Thread(target=lambda: loop.run(stop, until=lambda: False))
    thread.start()
    while turns.shown < 3:
        time.sleep(IDLE_S / 10)
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
    assert turns.turns >= turns.shown


def test_it_ends_when_its_role_wants_to(loop):
    loop.run(threading.Event(), until=lambda: True)


def test_a_signal_wakes_a_loop_that_sleeps_long_and_stops_it(turns):
    """Without that it would sleep for longer than any test may take."""
    loop = Loop(SystemClock(), turns, idle_s=3600)
    stop = threading.Event()
    before = signal.signal(signal.SIGUSR1, lambda *_: stop.set())
    wakeup_fd = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(wakeup_fd)

    def interrupt() -> None:
        while not turns.turns:
            time.sleep(0.001)
        os.kill(os.getpid(), signal.SIGUSR1)

    sender = threading.Thread(target=interrupt)
    sender.start()
    try:
        loop.run(stop, until=lambda: False)
    finally:
        sender.join()
        signal.signal(signal.SIGUSR1, before)
    assert stop.is_set()
    assert signal.set_wakeup_fd(wakeup_fd) == wakeup_fd, "as it was before"


def test_a_loop_in_another_thread_sees_soon_that_it_is_to_stop(turns):
    loop = Loop(SystemClock(), turns, idle_s=3600)
    stop = threading.Event()
    thread = threading.Thread(target=loop.run, args=(stop,), kwargs={"until": lambda: False}, daemon=True)
    thread.start()
    stop.set()
    thread.join(30)
    assert not thread.is_alive()
