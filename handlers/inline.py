"""Calls in the main thread, one at a time, for a debugger on a terminal: ``deltawire handler NAME --inline``.

The role's loop runs in a thread beside it, so that leases, heartbeats and acknowledgements go on however long a person
looks at a call. The exceptions of `LEAVING` (Ctrl-C, the debugger's ``q``) end the process in order: the call is given
back and has not failed.

Not here: threads for calls (``pool``), what a call does (``calls``).
"""

import asyncio
import bdb
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn

from deltawire.common.process import EXIT_FAILED, EXIT_INTERRUPTED
from deltawire.handlers.calls import Program
from deltawire.handlers.dispatch import Call, Outcome, Verdict
from deltawire.handlers.executor import Results
from deltawire.handlers.forks import end_if_forked, fork_depth

log = logging.getLogger(__name__)

# Raised to leave the process; no failure of the event.
LEAVING: tuple[type[BaseException], ...] = (KeyboardInterrupt, bdb.BdbQuit)
# An event that is given back comes again no sooner than this: a worker that does not know yet that we leave would
# send it to us again.
AGAIN_AFTER_S = 0.25


class MainLoop:
    """The event loop of async functions; it turns only while one of them is called. An `AsyncRunner`."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, awaitable: Awaitable[Any]) -> Any:
        """The result of ``awaitable``, which runs in this thread."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()

        async def main() -> Any:
            return await awaitable

        return self._loop.run_until_complete(main())

    def close(self, timeout_s: float) -> None:
        if self._loop is not None:
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()
            self._loop = None


class Inline:
    """Makes calls in the thread that calls `work`, the main thread. An `Executor`; no call is ever overdue."""

    # What has not begun stays with `dispatch`, which can give it back.
    capacity = 1

    def __init__(self, program: Program, results: Results) -> None:
        self.results = results
        self.failure = ""
        self.malformed = 0
        self._program = program
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._is_in_call = False
        self._forks = fork_depth()

    @property
    def is_in_call(self) -> bool:
        return self._is_in_call

    def submit(self, calls: Sequence[Call]) -> None:
        for call in calls:
            self._calls.put(call)

    def overdue(self, since_s: float) -> list[str]:
        return []

    def close(self, grace_s: float) -> bool:
        self._calls.put(None)
        return not self._is_in_call

    def work(self, interrupted: Callable[[], None]) -> None:
        """Make calls until `close`. Ctrl-C raises KeyboardInterrupt within a call, and else calls ``interrupted``.

        Raises what `LEAVING` names, after the call was given back.
        """

        def on_sigint(*_: object) -> None:
            if self._is_in_call:
                raise KeyboardInterrupt
            interrupted()

        signal.signal(signal.SIGINT, on_sigint)
        while (call := self._calls.get()) is not None:
            if call.begin():
                self._make(call)
                # A debugger that continued has put its own in the place.
                signal.signal(signal.SIGINT, on_sigint)
        self._program.close()

    def _make(self, call: Call) -> None:
        self._is_in_call = True
        try:
            outcome = self._program.run(call)
            end_if_forked(self._forks, failed=outcome.verdict > Verdict.REQUEUE)
            self._is_in_call = False
        except LEAVING:
            self._is_in_call = False
            self.results.put(call, Outcome(Verdict.REQUEUE, AGAIN_AFTER_S))
            raise
        self.results.put(call, outcome)


def run_beside(loop: Callable[[threading.Event], int], inline: Inline, stop: threading.Event) -> int:
    """Run the role's ``loop`` in a thread and its calls in this one, the main thread. Its exit code, or its error.

    Ctrl-C, or the debugger's ``q``, asks it to drain; another Ctrl-C ends the process at once. Where a call
    goes on past the drain's deadline, the process ends around it.
    """
    codes: list[int] = []
    errors: list[BaseException] = []

    def turn() -> None:
        try:
            codes.append(loop(stop))
        except BaseException as error:
            errors.append(error)
            if inline.is_in_call:
                log.error("%s", error)
        if not inline.close(0.0):
            _end_now(codes[0] if codes else EXIT_FAILED)

    def interrupted() -> None:
        if stop.is_set():
            _end_now(EXIT_INTERRUPTED)
        stop.set()

    thread = threading.Thread(target=turn, name="loop", daemon=True)
    thread.start()
    try:
        inline.work(interrupted)
    except LEAVING:
        stop.set()
    thread.join()
    if errors:
        raise errors[0]
    return codes[0]


def _end_now(code: int) -> NoReturn:
    """The other thread is in code that cannot be broken off."""
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)
