"""The event loop of async functions, and who notices that one of them blocks it.

Not here: what is run in it (``calls``), the loop of a debugged process (``inline``).
"""

import logging
import sys
import sysconfig
import threading
from collections.abc import Awaitable
from types import FrameType
from typing import TYPE_CHECKING, Any, Protocol

from deltawire.handlers.forks import end_if_forked, fork_depth

if TYPE_CHECKING:
    import asyncio

log = logging.getLogger(__name__)

# A loop that did not turn for so long is blocked: all other calls of async functions wait for one.
BLOCKED_S = 0.25
# So many places are remembered as reported; after that nothing new is looked for.
PLACES_MAX = 100
_LIBRARIES = (*{sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")}, "<")
_OURS = "deltawire."
# A client that is made when it is first asked for loads libraries: no mistake of the author, and once a process.
_MAKES_CLIENTS = ("deltawire.handlers.reach", "deltawire.client.aio")


class AsyncRunner(Protocol):
    """Runs the coroutines of async functions."""

    def run(self, awaitable: Awaitable[Any]) -> Any: ...

    def close(self, timeout_s: float) -> None: ...


class AsyncLoop:
    """One event loop in a thread of its own, started when the first async function is called.

    While calls are in it, a second thread sees whether it turns; where it does not for `BLOCKED_S`, the line that
    blocks it is logged, each line once.
    """

    def __init__(self, *, blocked_s: float = BLOCKED_S) -> None:
        self._blocked_s = blocked_s
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._busy = threading.Event()
        self._calls = 0
        self._reported: set[str] = set()

    def run(self, awaitable: Awaitable[Any]) -> Any:
        """The result of ``awaitable``, which runs in the loop's thread; from any other thread."""
        # Imported when first used: it costs 15 ms and 3 MiB, and most plug-ins are not async.
        import asyncio

        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=_turn, args=(self._loop,), name="async", daemon=True
                )
                self._thread.start()
                threading.Thread(target=self._look, name="async-look", daemon=True).start()
            self._calls += 1
            self._busy.set()

        forks = fork_depth()

        async def main() -> Any:
            failed = True
            try:
                returned = await awaitable
                failed = False
                return returned
            finally:
                end_if_forked(forks, failed=failed)

        try:
            return asyncio.run_coroutine_threadsafe(main(), self._loop).result()
        finally:
            with self._lock:
                self._calls -= 1
                if not self._calls:
                    self._busy.clear()

    @property
    def tasks(self) -> int:
        """The tasks in the loop."""
        loop = self._loop
        if loop is None:
            return 0
        import asyncio  # loaded with the loop

        try:
            return len(asyncio.all_tasks(loop))
        except RuntimeError:
            return 0  # they change faster than they can be counted

    def close(self, timeout_s: float) -> None:
        with self._lock:
            self._closing.set()
            self._busy.set()
            if self._loop is None or self._thread is None:
                return
            import asyncio  # loaded with the loop

            loop = self._loop
            # Connections that functions left open are async generators' to close (client/aio/connection).
            ended = asyncio.run_coroutine_threadsafe(loop.shutdown_asyncgens(), loop)
            ended.add_done_callback(lambda _: loop.call_soon_threadsafe(loop.stop))
            self._thread.join(timeout_s)
            if not self._thread.is_alive():
                self._loop.close()
            self._loop = None

    def _look(self) -> None:
        while len(self._reported) < PLACES_MAX:
            self._busy.wait()
            loop, thread = self._loop, self._thread
            if self._closing.is_set() or loop is None or thread is None:
                return
            turned = threading.Event()
            try:
                loop.call_soon_threadsafe(turned.set)
            except RuntimeError:
                return  # closed meanwhile
            while not turned.wait(self._blocked_s) and not self._closing.is_set():
                self._report(thread.ident or 0)
            if self._closing.wait(self._blocked_s):
                return

    def _report(self, ident: int) -> None:
        frame = sys._current_frames().get(ident)
        place = "" if _makes_client(frame) else place_in_plugin(frame)
        if place and place not in self._reported:
            self._reported.add(place)
            log.warning(
                "%s: blocks the event loop, so that all other async calls wait (for over %g s now); "
                "await it, use asyncio.to_thread, or make the function a plain one, which gets a thread",
                place,
                self._blocked_s,
            )


def _turn(loop: "asyncio.AbstractEventLoop") -> None:
    """Turn until the loop is stopped."""
    while True:
        try:
            return loop.run_forever()
        except (SystemExit, KeyboardInterrupt):
            # asyncio gives these to who awaits the task, and ends the loop as well: all others would wait for ever.
            continue


def _makes_client(frame: FrameType | None) -> bool:
    """Of what the plug-in's innermost frame called, something is of `_MAKES_CLIENTS`."""
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if name.startswith(_MAKES_CLIENTS):
            return True
        if not name.startswith(_OURS) and not frame.f_code.co_filename.startswith(_LIBRARIES):
            return False
        frame = frame.f_back
    return False


def place_in_plugin(frame: FrameType | None) -> str:
    """``file.py:12 in function`` of the innermost frame that is no library's; "" where there is none."""
    while frame is not None:
        code = frame.f_code
        is_ours = frame.f_globals.get("__name__", "").startswith(_OURS)
        if not is_ours and not code.co_filename.startswith(_LIBRARIES):
            return f"{code.co_filename}:{frame.f_lineno} in {code.co_name}"
        frame = frame.f_back
    return ""
