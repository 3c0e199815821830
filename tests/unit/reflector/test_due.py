"""A stream that nothing happens to is looked at when it said so, and has missed nothing by then."""

import math

import pytest

from deltawire.common.errors import StatusError
from deltawire.reflector.connection import IDLE_S
from deltawire.reflector.list_progress import WINDOW_S
from deltawire.reflector.states import State
from deltawire.reflector.verdicts import EARLY_S
from tests.support.reflector_bench import REFUSED, Bench, bookmark, failed_event, marker

FORBIDDEN = StatusError(403, "Forbidden", "pods is forbidden")
INTERNAL = StatusError(500, "InternalError", "etcd leader changed")


def watching(bench):
    bench.watching()


def opening(bench):
    bench.start(resume="10")


def refused(bench):
    bench.start(resume="10")
    bench.failed(REFUSED)


def listing(bench):
    bench.start()
    bench.opened()


def list_forbidden(bench):
    bench.start()
    bench.failed(FORBIDDEN)


def ended_by_an_error(bench):
    """For the second time: the list that follows has to wait."""
    bench.watching()
    for _ in range(2):
        bench.batch(failed_event(INTERNAL))
        if bench.machine.state is State.LISTING:
            bench.batch(marker("20"))
    assert bench.machine.state is State.BACKOFF


def doubtful_and_open(bench):
    bench.watching()
    for _ in range(2):
        bench.closed(after_s=0.1)
        bench.later(30.0)
        bench.opened()


def bookmarks_come(bench):
    bench.watching()
    for version in ("11", "12", "13"):
        bench.now_s += 20.0
        bench.batch(bookmark(version))


CASES = [
    watching,
    opening,
    refused,
    listing,
    list_forbidden,
    ended_by_an_error,
    doubtful_and_open,
    bookmarks_come,
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_before_it_is_due_time_changes_nothing_and_then_it_does(case):
    """The reader waits for bytes all the time."""
    bench = Bench()
    case(bench)
    since_s = bench.now_s
    for _ in range(6):
        due_s = bench.machine.due_s(bench.now_s, since_s)
        assert due_s > bench.now_s
        state = bench.machine.state
        began_s = bench.now_s
        for part in (0.2, 0.5, 0.999):
            now_s = began_s + part * (due_s - began_s)
            assert bench.machine.tick(now_s, since_s) == []
            assert bench.machine.state is state
        bench.now_s = due_s
        actions = bench.machine.tick(due_s, since_s)
        is_new_due = bench.machine.due_s(due_s, since_s) > due_s
        assert actions or is_new_due, "what is due is done, or put off"
        if actions:
            return
    raise AssertionError("nothing was ever due")


def test_a_stream_that_waits_for_the_broker_or_is_stopped_is_never_due():
    bench = Bench()
    assert bench.machine.due_s(bench.now_s, None) == math.inf
    bench.watching()
    bench.machine.stop(FORBIDDEN)
    assert bench.machine.state is State.STOPPED
    assert bench.machine.due_s(bench.now_s, None) == math.inf


def test_a_quiet_watch_is_due_when_it_would_be_silent_for_too_long():
    bench = Bench().watching()
    bench.later(EARLY_S)
    assert bench.machine.due_s(bench.now_s, bench.now_s - 1.0) == pytest.approx(bench.now_s - 1.0 + IDLE_S)
    # A reader that does not wait yet is not silent yet.
    assert bench.machine.due_s(bench.now_s, None) == pytest.approx(bench.now_s + IDLE_S)


def test_a_list_without_room_for_more_is_not_due():
    bench = Bench()
    listing(bench)
    assert bench.machine.due_s(bench.now_s, bench.now_s) == pytest.approx(bench.now_s + WINDOW_S)
    assert bench.machine.due_s(bench.now_s, None, has_room=False) == math.inf
