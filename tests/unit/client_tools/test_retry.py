import threading
from collections.abc import Callable

import pytest

from deltawire.client.tools.backoff import BackoffById
from deltawire.client.tools.retry import DEFAULT_BACKOFF, DEFAULT_RETRY, Steps, on_error, retry_on_conflict
from deltawire.common.clock import FakeClock
from deltawire.common.errors import ConfigError, StatusError, TransportError

CONFLICT = StatusError(409, "Conflict", "modified")


def failing(*errors: Exception) -> tuple[Callable[[], str], list[int]]:
    """A call that raises each error once, then returns; and how often it was called."""
    left, calls = list(errors), []

    def call() -> str:
        calls.append(1)
        if left:
            raise left.pop(0)
        return "done"

    return call, calls


def test_a_conflict_is_tried_again():
    call, calls = failing(CONFLICT, CONFLICT)
    assert retry_on_conflict(call, clock=FakeClock()) == "done"
    assert len(calls) == 3


def test_the_last_conflict_is_raised_when_the_attempts_are_used_up():
    call, calls = failing(*[CONFLICT] * 9)
    with pytest.raises(StatusError) as found:
        retry_on_conflict(call, clock=FakeClock())
    assert found.value is CONFLICT
    assert len(calls) == DEFAULT_RETRY.attempts


def test_another_error_is_raised_at_once():
    call, calls = failing(StatusError(404, "NotFound", "no"))
    with pytest.raises(StatusError):
        retry_on_conflict(call, clock=FakeClock())
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("steps", "waited_s"),
    [(DEFAULT_RETRY, 0.04), (DEFAULT_BACKOFF, 0.01 + 0.05 + 0.25), (Steps(1, 9, 9, 9), 0)],
)
def test_the_delays_are_those_of_the_steps(steps: Steps, waited_s: float):
    clock = FakeClock()
    call, _ = failing(*[CONFLICT] * 9)
    with pytest.raises(StatusError):
        retry_on_conflict(call, steps, clock=clock, random=lambda: 0.0)
    assert clock.now_s() == pytest.approx(waited_s)


def test_jitter_makes_a_delay_longer_by_at_most_its_part():
    clock = FakeClock()
    call, _ = failing(CONFLICT)
    retry_on_conflict(call, Steps(2, 1.0, 1.0, 0.5), clock=clock, random=lambda: 1.0)
    assert clock.now_s() == pytest.approx(1.5)


def test_a_stop_ends_the_wait_with_the_last_error():
    stop = threading.Event()
    stop.set()
    call, calls = failing(CONFLICT, CONFLICT)
    with pytest.raises(StatusError):
        retry_on_conflict(call, stop=stop, clock=FakeClock())
    assert len(calls) == 1


def test_what_is_retriable_is_the_callers_choice():
    call, calls = failing(TransportError("cut"), CONFLICT)
    with pytest.raises(StatusError):
        on_error(call, lambda error: isinstance(error, TransportError), clock=FakeClock())
    assert len(calls) == 2


def test_each_failure_doubles_the_delay_up_to_the_cap():
    clock = FakeClock()
    backoff = BackoffById(1, 10, clock=clock)
    seen = []
    for _ in range(6):
        backoff.next("a", clock.now_s())
        seen.append(backoff.get_s("a"))
    assert seen == [1, 2, 4, 8, 10, 10]
    assert backoff.get_s("b") == 0


def test_success_and_silence_begin_again():
    clock = FakeClock()
    backoff = BackoffById(1, 10, clock=clock)
    for _ in range(3):
        backoff.next("a", clock.now_s())
    backoff.reset("a")
    backoff.next("a", clock.now_s())
    assert backoff.get_s("a") == 1
    backoff.next("a", clock.now_s())
    clock.advance(20.5)
    assert not backoff.is_in_backoff_since("a", clock.now_s())
    backoff.next("a", clock.now_s())
    assert backoff.get_s("a") == 1


def test_an_id_is_in_backoff_for_its_delay_after_the_event():
    clock = FakeClock()
    backoff = BackoffById(4, 10, clock=clock)
    backoff.next("a", 0)
    clock.advance(3.9)
    assert backoff.is_in_backoff_since("a", 0)
    assert backoff.is_in_backoff_since_update("a", 3.9)
    clock.advance(0.1)
    assert not backoff.is_in_backoff_since("a", 0)
    assert not backoff.is_in_backoff_since_update("a", 4)
    assert not backoff.is_in_backoff_since("unknown", 0)


def test_old_ids_are_forgotten_and_young_ones_kept():
    clock = FakeClock()
    backoff = BackoffById(1, 10, clock=clock)
    backoff.next("old", 0)
    clock.advance(15)
    backoff.next("young", clock.now_s())
    clock.advance(6)
    backoff.gc()
    assert (backoff.get_s("old"), backoff.get_s("young"), len(backoff)) == (0, 1, 1)


def test_the_first_delay_has_jitter_and_the_cap_holds():
    backoff = BackoffById(1, 1.5, jitter=1.0, clock=FakeClock(), random=lambda: 0.25)
    backoff.next("a", 0)
    assert backoff.get_s("a") == 1.25
    backoff.next("a", 0)
    assert backoff.get_s("a") == 1.5


@pytest.mark.parametrize("arguments", [(0, 1), (2, 1)])
def test_a_backoff_that_makes_no_sense_is_refused(arguments: tuple[float, float]):
    with pytest.raises(ConfigError):
        BackoffById(*arguments)
