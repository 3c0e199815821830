"""A call may end in ways that would end more than itself: exits, forks, texts that no message can carry."""

import asyncio
import logging
import os
import signal
import sys
import threading

import msgspec
import pytest

from deltawire import Dead, Handler, Retry
from deltawire.common.clock import SystemClock
from deltawire.handlers.async_loop import AsyncLoop
from deltawire.handlers.dispatch import DONE
from deltawire.handlers.executor import Results
from deltawire.handlers.hooks import Hooks
from deltawire.handlers.pool import Pool
from deltawire.handlers.testing import Harness
from tests.support.patience import wait_until
from tests.unit.handlers.test_pool import call_of

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "ns"}}
# A file's name that is no UTF-8, as `os.fsdecode` gives it.
NO_TEXT = os.fsdecode(b"/tmp/\xff")


class Unreadable(Exception):
    def __str__(self):
        raise RuntimeError("no text")


@pytest.fixture
def asyncs():
    made = AsyncLoop()
    yield made
    made.close(5.0)


def end_of(asyncs, function):
    """What becomes of a call of ``function``: what it returned, or raised."""
    ends = []

    def call():
        try:
            ends.append(asyncs.run(function()))
        except BaseException as error:
            ends.append(type(error))

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    wait_until(lambda: ends, "the end of the call", seconds=20)
    return ends[0]


async def five():
    return 5


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt])
def test_an_async_function_that_wants_to_exit_fails_its_own_call_and_no_other(asyncs, end):
    async def leave():
        raise end

    assert end_of(asyncs, leave) is end
    assert end_of(asyncs, five) == 5


def test_a_task_of_an_async_function_that_wants_to_exit_ends_no_call(asyncs):
    async def leave():
        sys.exit(3)

    async def outlive():
        task = asyncio.create_task(leave())
        await asyncio.wait([task])
        return type(task.exception())

    assert end_of(asyncs, outlive) is SystemExit
    assert end_of(asyncs, five) == 5


class Forks:
    """Forks when called; in the child, the function returns as in the parent."""

    def __init__(self):
        self.child = 0

    def __call__(self):
        self.child = os.fork()

    def ended_with(self):
        wait_until(lambda: self.child, "the fork", seconds=20)
        found = []

        def reaped():
            pid, status = os.waitpid(self.child, os.WNOHANG)
            if pid:
                found.append(os.waitstatus_to_exitcode(status))
            return pid

        try:
            wait_until(reaped, "the child's end", seconds=20)
        except BaseException:
            os.kill(self.child, signal.SIGKILL)
            os.waitpid(self.child, 0)
            raise
        return found[0]


def test_a_forked_child_that_comes_back_from_a_function_ends_and_takes_no_turn():
    forks = Forks()

    class Program:
        def run(self, call):
            forks()
            return DONE

        def close(self):
            pass

    results = Results()
    pool = Pool(Program(), 1, results, clock=SystemClock())
    pool.submit([call_of("ns/a")])
    try:
        assert forks.ended_with() == 0
        wait_until(lambda: results.waiting, "the parent's outcome", seconds=20)
    finally:
        assert pool.close(20)
        results.close()


def test_a_child_that_an_async_function_forked_ends_where_the_function_does(asyncs):
    forks = Forks()

    async def fork():
        forks()
        raise ValueError

    assert end_of(asyncs, fork) is ValueError
    assert forks.ended_with() == 1
    assert end_of(asyncs, five) == 5


def test_a_child_that_a_timer_forked_ends_where_the_function_does(asyncs):
    forks, handler = Forks(), Handler("h")

    @handler.timer(every_s=3600)
    def fork():
        forks()

    hooks = Hooks(handler.hooks, lambda is_async: None, asyncs, replica=0, clock=SystemClock())
    hooks.start()
    try:
        assert forks.ended_with() == 0
    finally:
        hooks.stop(5.0)


def test_a_timer_that_wants_to_exit_is_told_and_the_timers_go_on(caplog):
    handler, ticks = Handler("h"), []

    @handler.timer(every_s=0.01)
    def leave(ctx):
        ticks.append(ctx)
        sys.exit(3)

    hooks = Harness(handler)._program.hooks("dev", 0)
    hooks.start()
    try:
        wait_until(lambda: len(ticks) > 2, "more calls of the timer", seconds=20)
    finally:
        hooks.stop(5.0)
    assert "SystemExit" in caplog.text


@pytest.mark.parametrize(
    "error, verdict",
    [
        (Unreadable(), "retry"),
        (OSError(NO_TEXT), "retry"),
        (Retry(NO_TEXT), "retry"),
        (Dead(NO_TEXT), "dead"),
        (Dead(Unreadable()), "dead"),
        (Retry(OSError("why")), "retry"),
    ],
)
def test_whatever_the_text_of_a_failure_is_a_message_can_carry_it(caplog, error, verdict):
    # pytest's workers cannot send a captured log with such a text.
    caplog.set_level(logging.CRITICAL + 1)
    handler = Handler("h")

    @handler.on_add("pods")
    def added(pod):
        raise error

    [handled] = Harness(handler).apply(POD)
    assert handled.verdict == verdict
    assert msgspec.msgpack.encode([handled.error, handled.traceback])
