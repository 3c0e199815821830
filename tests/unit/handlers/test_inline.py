"""Calls in the main thread: who leaves a debugger gives the call back, and nothing there is ever late."""

import asyncio
import bdb
import os
import signal
import threading
import time

import pytest

from deltawire.common.clock import SystemClock
from deltawire.handlers.api import Handler
from deltawire.handlers.calls import Program
from deltawire.handlers.dispatch import DONE, Dispatch, Verdict
from deltawire.handlers.events import Delivery
from deltawire.handlers.executor import Results
from deltawire.handlers.inline import LEAVING, Inline, MainLoop
from deltawire.handlers.testing import Harness

PODS = "dev/pods"


@pytest.fixture(autouse=True)
def sigint():
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def made(function):
    handler = Handler("h")
    handler.on_add("pods")(function)
    surroundings = Harness(handler)
    program = Program(handler, [PODS], surroundings, clock=SystemClock(), asyncs=MainLoop(), leaving=LEAVING)
    return Inline(program, Results()), Dispatch(program.routes, attempts_max=0)


def submit(inline, dispatch, *keys):
    for seq, key in enumerate(keys, 1):
        body = b'{"metadata":{"name":"%b","namespace":"ns"}}' % key.encode()
        dispatch.arrive(
            [Delivery(0, PODS, 0, seq, f"ns/{key}", "A", f"uid-{key}", "1", 0, 1, 1, 0, body, None)]
        )
    for call in dispatch.take(len(keys)):
        inline.submit([call])


def test_calls_run_in_the_main_thread_async_ones_too():
    threads = []

    async def added(pod):
        threads.append(threading.current_thread())
        await asyncio.sleep(0)

    inline, dispatch = made(added)
    submit(inline, dispatch, "a", "b")
    assert inline.close(0.0)
    inline.work(lambda: None)
    assert threads == [threading.main_thread()] * 2
    assert [outcome for _, outcome in inline.results.take()] == [DONE, DONE]


@pytest.mark.parametrize("leaving", LEAVING)
def test_who_leaves_gives_the_call_back_and_it_has_not_failed(leaving):
    def added(pod):
        raise leaving

    inline, dispatch = made(added)
    submit(inline, dispatch, "a")
    with pytest.raises(leaving):
        inline.work(lambda: None)
    [(call, outcome)] = inline.results.take()
    assert (outcome.verdict, outcome.error) == (Verdict.REQUEUE, "")
    [ack] = dispatch.ended(call, outcome)
    assert (ack.verdict, ack.error) == (1, ""), "a wish to be called again, not a failure"
    assert not inline.is_in_call


def test_without_a_debugger_its_end_is_a_failure_like_any_other():
    handler = Handler("h")

    @handler.on_add("pods")
    def added(pod):
        raise bdb.BdbQuit

    [handled] = Harness(handler).apply({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}})
    assert handled.verdict == "retry"


def test_a_call_that_takes_however_long_is_not_overdue():
    inside, go_on = threading.Event(), threading.Event()

    def added(pod):
        inside.set()
        assert go_on.wait(60)

    inline, dispatch = made(added)
    submit(inline, dispatch, "a")
    found = []

    def look():
        assert inside.wait(60)
        found.append((inline.is_in_call, inline.overdue(time.monotonic() + 1e6), inline.close(0.0)))
        go_on.set()

    looker = threading.Thread(target=look)
    looker.start()
    inline.work(lambda: None)
    looker.join()
    assert found == [(True, [], False)]


def test_ctrl_c_breaks_into_a_call_and_between_calls_asks_to_leave():
    asked = []

    def added(pod):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(60)

    inline, dispatch = made(added)
    submit(inline, dispatch, "a")
    with pytest.raises(KeyboardInterrupt):
        inline.work(lambda: None)

    before = signal.getsignal(signal.SIGINT)

    def interrupt():
        while signal.getsignal(signal.SIGINT) is before:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    def interrupted():
        asked.append("leave")
        inline.close(0.0)

    thread = threading.Thread(target=interrupt)
    thread.start()
    inline.work(interrupted)
    thread.join()
    assert asked == ["leave"]


def test_a_debugger_that_put_its_own_hand_on_ctrl_c_loses_it_with_the_calls_end():
    theirs = []

    def added(pod):
        signal.signal(signal.SIGINT, lambda *_: theirs.append("pdb"))

    inline, dispatch = made(added)
    submit(inline, dispatch, "a")
    asked = []

    def interrupted():
        asked.append("leave")
        inline.close(0.0)

    def interrupt():
        while not inline.results.take():
            time.sleep(0.01)
        # The main thread puts its own back and waits for the next call.
        while signal.getsignal(signal.SIGINT).__name__ != "on_sigint":
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    inline.work(interrupted)
    thread.join()
    assert (asked, theirs) == (["leave"], [])
