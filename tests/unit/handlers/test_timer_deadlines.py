"""A timer's call that does not return is named with its line, as a call for an event is."""

import threading

import pytest

from deltawire import Handler
from deltawire.common.clock import FakeClock
from deltawire.common.errors import PluginError
from deltawire.handlers.async_loop import AsyncLoop
from deltawire.handlers.hooks import LOOK_S_MAX, LOOK_S_MIN, Hooks
from tests.support.patience import wait_until


def hooks_of(handler, clock, *, deadline_s=10.0):
    return Hooks(handler.hooks, lambda is_async: None, AsyncLoop(), replica=0, clock=clock, deadline_s=deadline_s)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_timer_that_does_not_return_is_named_with_its_line_after_its_deadline(kind):
    handler, clock, leave, begun = Handler("h"), FakeClock(), threading.Event(), threading.Event()

    def sweep():
        begun.set()
        leave.wait()

    async def sweep_async():
        import asyncio

        begun.set()
        await asyncio.to_thread(leave.wait)

    function = sweep if kind == "sync" else sweep_async
    handler.timer(every_s=1)(function)
    hooks = hooks_of(handler, clock)
    hooks.start()
    try:
        wait_until(begun.is_set, "the timer's first call")
        clock.advance(9)
        assert hooks.overdue() == ""
        clock.advance(2)
        first = function.__code__.co_firstlineno
        told = hooks.overdue()
        assert f"the timer {__file__}:{first} takes longer than 10 s" in told
        line = first + 2 if kind == "sync" else first
        assert f"it is at {__file__}:{line} in {function.__name__}" in told
        assert "give what it waits for a time-out" in told
    finally:
        leave.set()
        hooks.stop(5.0)
        hooks._asyncs.close(5.0)
    assert hooks.overdue() == "", "it has returned"


def test_a_timer_may_have_a_deadline_of_its_own_and_zero_is_none():
    handler = Handler("h")
    handler.timer(every_s=1, deadline_s=0)(lambda: None)
    assert hooks_of(handler, FakeClock()).look_s is None
    handler.timer(every_s=1, deadline_s=2)(lambda: None)
    assert hooks_of(handler, FakeClock()).look_s == 0.5
    handler.timer(every_s=1, deadline_s=0.01)(lambda: None)
    assert hooks_of(handler, FakeClock()).look_s == LOOK_S_MIN
    other = Handler("o")
    other.timer(every_s=1)(lambda: None)
    assert hooks_of(other, FakeClock(), deadline_s=300.0).look_s == LOOK_S_MAX
    assert hooks_of(other, FakeClock(), deadline_s=0.0).look_s is None
    with pytest.raises(PluginError, match="is negative"):
        handler.timer(every_s=1, deadline_s=-1)
