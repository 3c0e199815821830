"""Watches over HTTP: a chunked response fed from a cursor.

Each write joins what is ready and never waits for more. A watch that cannot keep up holds one batch and its
place in the window; when the window moves past it, it ends with 410 in the stream. Every way out but a broken
connection sends the final chunk.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from deltawire.apiserver.core.batches import Change
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.core.watches import WatchCursor
from deltawire.apiserver.faults.fault import (
    BLACK_HOLE,
    CUT,
    ERROR_EVENT,
    GARBAGE,
    HALF,
    NO_BOOKMARKS,
    NO_INITIAL_END,
    SLOW,
    WATCH_FAULTS,
    Came,
    Fault,
)
from deltawire.apiserver.faults.plan import FaultPlan
from deltawire.apiserver.http.frames import JoinedFrames, bookmark_frame, error_frame, joined
from deltawire.apiserver.http.sabotage import NONSENSE, given_failure
from deltawire.apiserver.http.wakeups import Wakeups
from deltawire.common.errors import StatusError

# Bytes of bodies joined into one write. Larger gains nothing; smaller costs a call for each few events.
WRITE_BYTES_MAX = 256 << 10
# A bookmark precedes the end of a watch by this much, so that the next one resumes from a fresh version.
LAST_BOOKMARK_BEFORE_END_S = 2.0
# A watch that has not taken its end by then reads no more: its connection is dropped.
DROP_AFTER_END_S = 2.0


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """``render`` turns a stored body into what this client sees; None sends it as it is stored."""

    timeout_s: float
    bookmark_interval_s: float
    allow_bookmarks: bool
    render: Callable[[bytes], bytes] | None = None


class OpenStreams:
    """The watches that are open now: to cut them, and to end them when the server stops.

    ``lagged`` counts those that lost their place because they did not read in time. Other long requests (logs,
    terminals, ports) are told of the stop, too.
    """

    def __init__(self) -> None:
        self.lagged = 0
        self.frames = JoinedFrames()
        self._wakeups = Wakeups()
        self._open: set[WatchStream] = set()
        self._at_stop: set[Callable[[], None]] = set()
        self._lingering: set[asyncio.Task[None]] = set()
        self.is_stopping = False

    def __len__(self) -> int:
        return len(self._open)

    def add(self, stream: "WatchStream") -> None:
        self._open.add(stream)
        self._wakeups.join(stream.window, stream)

    def discard(self, stream: "WatchStream") -> None:
        self._open.discard(stream)
        self._wakeups.leave(stream.window, stream)

    def cut(self, storage: str = "") -> int:
        """Drop the connections of the open watches, of one resource or all, without a word."""
        chosen = [stream for stream in self._open if storage in ("", stream.storage)]
        for stream in chosen:
            stream.abort()
        return len(chosen)

    def bookmark(self, storage: str = "") -> int:
        """Make the open watches that allow bookmarks send one now."""
        chosen = [stream for stream in self._open if storage in ("", stream.storage)]
        for stream in chosen:
            stream.bookmark_now()
        return len(chosen)

    def wake(self) -> None:
        """Let every open watch look around: faults were set or cleared."""
        for stream in self._open:
            stream.wake()

    def stop(self) -> None:
        """Let every open watch end in good order."""
        self.is_stopping = True
        for stream in self._open:
            stream.wake()
        for wake in tuple(self._at_stop):
            wake()

    @contextlib.contextmanager
    def waking(self, wake: Callable[[], None]) -> Iterator[None]:
        """Call ``wake`` when the server stops, as long as the block lasts."""
        self._at_stop.add(wake)
        try:
            yield
        finally:
            self._at_stop.discard(wake)

    def linger(self, task: asyncio.Task[None]) -> None:
        """Let ``task`` go on after the request it belongs to, until it or the server ends."""
        self._lingering.add(task)
        task.add_done_callback(self._lingering.discard)

    async def finish(self) -> None:
        """End what lingers; after `stop`."""
        tasks = list(self._lingering)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Sink(Protocol):
    """What a watch needs of its response."""

    async def write(self, data: bytes, /) -> None: ...

    async def write_eof(self) -> None: ...


class WatchStream:
    """One open watch."""

    def __init__(
        self,
        request: web.Request,
        resource: Resource,
        cursor: WatchCursor,
        options: StreamOptions,
        streams: OpenStreams,
        plan: FaultPlan,
        user: str,
    ) -> None:
        self.storage = resource.storage
        self._came = Came(resource.storage, "watch", request.path, user)
        self.window = cursor.window
        self._plan = plan
        # The faults that met this watch, by kind, and the events it may still send before it is cut.
        self._faults: dict[str, Fault] = {}
        self._events_left = float("inf")
        self._faults_seen = -1
        self._request = request
        self._resource = resource
        self._cursor = cursor
        self._options = options
        self._streams = streams
        self._ready = asyncio.Event()
        self._sleeps = False
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._ends_at = self._loop.time() + options.timeout_s
        self._bookmark_at = self._next_bookmark(self._loop.time())

    def wake(self) -> None:
        self._ready.set()

    def wake_for_news(self) -> None:
        if self._sleeps and not self._ready.is_set() and self._cursor.has_news():
            self._ready.set()

    def abort(self) -> None:
        if self._request.transport is not None:
            self._request.transport.abort()

    def _drop(self) -> None:
        if BLACK_HOLE not in self._faults:
            self.abort()

    def bookmark_now(self) -> None:
        if self._options.allow_bookmarks:
            self._bookmark_at = self._loop.time()
            self.wake()

    async def run(self, response: Sink) -> None:
        """Send until the time is up, the place is lost, the resource goes or the server stops."""
        self._streams.add(self)
        overdue = self._loop.call_at(self._ends_at + DROP_AFTER_END_S, self._drop)
        try:
            await self._pump(self._cursor, response)
            await response.write_eof()
        except ConnectionError:
            pass  # the client left
        finally:
            overdue.cancel()
            self._streams.discard(self)
            if self._timer is not None:
                self._timer.cancel()

    async def _pump(self, cursor: WatchCursor, response: Sink) -> None:
        while not self._streams.is_stopping:
            self._ready.clear()
            self._meet_faults()
            if BLACK_HOLE in self._faults:
                # Open, silent, past any time-out: only the client can notice.
                await self._ready.wait()
                continue
            if GARBAGE in self._faults:
                await response.write(NONSENSE)
                return
            failing = self._faults.get(ERROR_EVENT)
            if failing is not None:
                await response.write(error_frame(given_failure(failing)))
                return
            try:
                changes = cursor.take(self._write_bytes_max)
            except StatusError as error:
                self._streams.lagged += 1
                await response.write(error_frame(error))
                return
            if changes and not await self._send(response, changes):
                return
            # What follows is due on a busy watch, too, which is never at the head.
            if cursor.owes_initial_end and not cursor.has_initial:
                cursor.owes_initial_end = False
                if NO_INITIAL_END not in self._faults:
                    await response.write(self._bookmark(cursor, ends_initial=True))
            now = self._loop.time()
            if now >= self._bookmark_at and not cursor.has_initial:
                self._bookmark_at = self._next_bookmark(now)
                if NO_BOOKMARKS not in self._faults:
                    await response.write(self._bookmark(cursor))
            if now >= self._ends_at or cursor.is_over:
                return
            if not cursor.is_at_head:
                # write() yields only when the socket is full: let the others have a turn.
                await asyncio.sleep(0)
                continue
            self._wake_at(min(self._ends_at, self._bookmark_at))
            self._sleeps = True
            await self._ready.wait()
            self._sleeps = False

    async def _send(self, response: Sink, changes: list[Change]) -> bool:
        """False if the stream was cut, as a fault wanted: after so many events, without its final chunk.

        Raises ConnectionResetError where it was cut within an event.
        """
        is_last = len(changes) >= self._events_left
        if is_last:
            changes = changes[: int(self._events_left)]
        self._events_left -= len(changes)
        frames = self._frames(changes)
        is_halved = HALF in self._faults and bool(frames)
        if frames:
            await response.write(frames[: len(frames) // 2] if is_halved else frames)
        if (is_last or is_halved) and self._request.transport is not None:
            self._request.transport.close()
            raise ConnectionResetError("cut on purpose")
        slow = self._faults.get(SLOW)
        if slow is not None:
            await asyncio.sleep(len(frames) / slow.amount)
        return not is_last

    @property
    def _write_bytes_max(self) -> int:
        slow = self._faults.get(SLOW)
        return WRITE_BYTES_MAX if slow is None else max(int(slow.amount / 10), 1)

    def _meet_faults(self) -> None:
        """Apply faults that were set since; those that were cleared end."""
        if self._faults_seen == self._plan.changes:
            return
        self._faults_seen = self._plan.changes
        self._faults = {k: f for k, f in self._faults.items() if not self._plan.is_cleared(f)}
        wanted = tuple(kind for kind in WATCH_FAULTS if kind not in self._faults)
        for fault in self._plan.take(wanted, self._came):
            self._faults.setdefault(fault.kind, fault)
        cut = self._faults.get(CUT)
        if cut is None:
            self._events_left = float("inf")
        elif cut.kind in wanted:
            self._events_left = cut.amount

    def _frames(self, changes: list[Change]) -> bytes:
        render = self._options.render
        return self._streams.frames.of(changes) if render is None else joined(changes, render)

    def _bookmark(self, cursor: WatchCursor, *, ends_initial: bool = False) -> bytes:
        return bookmark_frame(self._resource, cursor.bookmark_version, ends_initial=ends_initial)

    def _next_bookmark(self, now: float) -> float:
        """When the next bookmark is due: at the interval, and once shortly before the end."""
        if not self._options.allow_bookmarks:
            return self._ends_at + 1
        last = self._ends_at - LAST_BOOKMARK_BEFORE_END_S
        due = now + self._options.bookmark_interval_s
        return last if now < last <= due else due

    def _wake_at(self, when: float) -> None:
        if self._timer is not None:
            if self._timer.when() == when and not self._timer.cancelled():
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(when, self.wake)


async def open_response(request: web.Request) -> web.StreamResponse:
    """The head of a watch, sent at once, even while there is nothing to say."""
    response = web.StreamResponse(
        headers={"Content-Type": "application/json", "Cache-Control": "no-cache, private"}
    )
    response.enable_chunked_encoding()
    await response.prepare(request)
    return response
