"""The system's clock waits, the fake one moves only by hand."""

import threading
import time

import pytest

from deltawire.common.clock import Clock, FakeClock, SystemClock
from tests.support.patience import Patience


@pytest.mark.parametrize("clock", [SystemClock(), FakeClock()])
def test_a_sleep_ends_at_once_when_stop_is_set(clock: Clock) -> None:
    stop = threading.Event()
    stop.set()
    before_s = clock.now_s()
    assert clock.sleep(30, stop) is True
    assert clock.now_s() - before_s < 5


@pytest.mark.parametrize("clock", [SystemClock(), FakeClock()])
def test_a_sleep_without_stop_lasts_its_time(clock: Clock) -> None:
    before_s = clock.now_s()
    assert clock.sleep(0.01) is False
    assert clock.now_s() - before_s >= 0.01


def test_a_wait_past_its_deadline_returns_at_once() -> None:
    condition = threading.Condition()
    for clock in (SystemClock(), FakeClock()):
        with condition:
            clock.wait_until(condition, clock.now_s() - 1)


def test_advancing_past_the_deadline_ends_a_wait_and_stopping_short_does_not() -> None:
    clock, condition, woken = FakeClock(), threading.Condition(), threading.Event()

    def wait() -> None:
        with condition:
            clock.wait_until(condition, 10.0)
        woken.set()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    patience = Patience(5)
    while not clock.waiters() and not patience.is_over():
        time.sleep(0.001)
    clock.advance(9.5)
    assert not woken.wait(0.05)
    clock.advance(0.5)
    assert woken.wait(5)
    thread.join(5)
    assert clock.waiters() == 0


def test_the_fake_wall_moves_with_its_monotonic_time() -> None:
    clock = FakeClock(wall_s=1000.0)
    clock.advance(2.5)
    assert (clock.now_s(), clock.wall_s()) == (2.5, 1002.5)
