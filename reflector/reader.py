"""The thread of one stream: one request at a time, what it brings is split and left in a bounded inbox."""

import logging
import threading
from collections import deque
from collections.abc import Callable

import msgspec

from deltawire.common.clock import Clock
from deltawire.common.errors import DeltawireError, TransportError
from deltawire.common.limits import MIB
from deltawire.reflector.action import List, Request, Watch
from deltawire.reflector.gather import Gatherer
from deltawire.reflector.listwatch import ByteStream, ListerWatcher
from deltawire.reflector.proof import Reading
from deltawire.reflector.split import Batch, Counters, ObjectReader, Page, Trim, WatchSplitter, split_list

log = logging.getLogger(__name__)

# Objects that were read and not taken yet. At the bound the thread stops reading, so that TCP slows the
# server down; what is held beside it is one chunk of a watch or one page of a list.
INBOX_BYTES_MAX = 1 * MIB
# A read that had to wait so long found nothing before: all that the server had sent until then was read.
WAITED_S = 0.002
# A watch whose server makes no such pause is looked at so often: whether nothing is left to read.
LOOK_EVERY_US = 20_000


class Opened(msgspec.Struct, frozen=True):
    """The server accepted the watch."""


class Read(msgspec.Struct, frozen=True):
    """A part of what the request brought. ``at_us``: when it was read, µs since the epoch."""

    part: Batch | Page
    at_us: int


class Closed(msgspec.Struct, frozen=True):
    """The server ended the watch properly."""


class Failed(msgspec.Struct, frozen=True):
    error: DeltawireError


News = Opened | Read | Closed | Failed


class Reader:
    """Carries out requests in its own thread; results are fetched with `take`, after ``wake`` was called.

    One request at a time: `submit` after the result that ends the last one, or after `cancel`. ``wake`` is
    called from the reader's thread. ``pass_on(request, batch, at_us)`` takes what a watch brought at once if it can;
    else it goes the way of all others. It may ask `is_next`. ``gather_s``: how closely parts of a watch may follow each
    other (`Gatherer`).
    """

    def __init__(
        self,
        name: str,
        source: ListerWatcher,
        *,
        trim: Trim | None,
        counters: Counters,
        clock: Clock,
        wake: Callable[[], None],
        gather_s: float = 0.0,
        pass_on: Callable[[int, Batch, int], bool] = lambda number, batch, at_us: False,
    ) -> None:
        self._source = source
        self._trim = trim
        self._counters = counters
        self._clock = clock
        self._wake = wake
        self._gather_s = gather_s
        # To be set before the first request.
        self.pass_on = pass_on
        self._changed = threading.Condition()
        self._request: Request | None = None
        self._number = 0  # of the request that is wanted; results of any other are dropped
        self._is_closing = False
        self._inbox: deque[tuple[News, int]] = deque()
        self._inbox_bytes = 0
        self._stream: ByteStream | None = None
        self._reading_since_s: float | None = None
        self._drained_us = self._heard_us = self._looked_us = 0
        self._is_whole = True  # what was read ends with an event's end
        self._thread = threading.Thread(target=self._run, name=f"reader {name}", daemon=True)
        self._thread.start()

    @property
    def reading_since_s(self) -> float | None:
        """Since when the thread waits for the next bytes of an open watch; None while it does not."""
        return self._reading_since_s

    @property
    def inbox_bytes(self) -> int:
        return self._inbox_bytes

    def is_next(self, number: int) -> bool:
        """True if request ``number`` is wanted, and nothing that it brought before waits."""
        return number == self._number and not self._inbox

    def reading(self) -> Reading:
        """How far the open watch is known to be read."""
        since_s = self._reading_since_s
        has_waited = since_s is not None and self._clock.now_s() - since_s >= WAITED_S
        return Reading(self._drained_us, has_waited and self._is_whole, self._heard_us)

    def oldest_us(self) -> int | None:
        """When the oldest part was read that was not taken yet; None where all was taken."""
        with self._changed:
            return next((news.at_us for news, _ in self._inbox if isinstance(news, Read)), None)

    def submit(self, request: Request) -> None:
        with self._changed:
            self._number += 1
            self._request = request
            self._changed.notify_all()

    def cancel(self, *, is_dead: bool = False) -> None:
        """End the request under way; `take` gives none of its results any more. ``is_dead``: its connection was."""
        with self._changed:
            self._number += 1
            self._request = None
            self._inbox.clear()
            self._inbox_bytes = 0
            self._reading_since_s = None
            stream, self._stream = self._stream, None
            self._changed.notify_all()
        if stream is not None:
            stream.close()
        if is_dead:
            self._source.connection_ended(is_dead=True)

    def take(self) -> News | None:
        """The next result, without waiting."""
        with self._changed:
            if not self._inbox:
                return None
            news, size = self._inbox.popleft()
            if self._inbox_bytes >= INBOX_BYTES_MAX:
                self._changed.notify_all()
            self._inbox_bytes -= size
            return news

    def close(self) -> None:
        """End the thread, as soon as it does not wait for a server to answer a request."""
        with self._changed:
            self._is_closing = True
        self.cancel()

    def join(self, timeout_s: float) -> bool:
        """True if the thread has ended."""
        self._thread.join(max(0.0, timeout_s))
        return not self._thread.is_alive()

    # -- in the thread

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._request is None and not self._is_closing:
                    self._changed.wait()
                if self._is_closing:
                    return
                request, self._request = self._request, None
                number = self._number
            try:
                if isinstance(request, List):
                    self._list(number, request)
                elif isinstance(request, Watch):
                    self._watch(number, request)
            except DeltawireError as error:
                self._source.connection_ended(is_dead=isinstance(error, TransportError))
                self._put(number, Failed(error))
            except Exception as error:
                log.exception("a bug in the reader of a stream")
                self._put(number, Failed(DeltawireError(f"a bug: {type(error).__name__}: {error}")))

    def _list(self, number: int, request: List) -> None:
        if request.is_first:
            self._source.check_cluster()
        reader = self._object_reader()
        body = self._source.list(request.params)
        at_us = self._now_us()
        for page in split_list(body, reader):
            if not self._put(number, Read(page, at_us), sum(len(delta.object) for delta in page.deltas)):
                return

    def _watch(self, number: int, request: Watch) -> None:
        self._source.check_cluster()
        splitter = WatchSplitter(self._object_reader(), initial=request.is_list)
        stream = self._source.watch(request.params)
        self._is_whole = True
        try:
            with self._changed:
                if number != self._number:
                    return
                self._stream = stream
            self._put(number, Opened())
            gatherer = Gatherer(stream, self._clock, self._gather_s)
            while True:
                self._reading_since_s = since_s = self._clock.now_s()
                try:
                    chunk = gatherer.read()
                finally:
                    self._reading_since_s = None
                at_us = self._now_us()
                has_found_nothing = self._is_whole and self._clock.now_s() - since_s >= WAITED_S
                drained_us = at_us if has_found_nothing else 0
                if chunk:
                    self._heard_us = at_us
                    chunk = gatherer.with_more(chunk)
                    drained_us = drained_us or self._empty_at_us(stream)
                batches = splitter.feed(chunk) if chunk else splitter.finish()
                self._is_whole = splitter.is_between
                for batch in batches:
                    if self.pass_on(number, batch, at_us):
                        continue
                    size = sum(len(delta.object) for delta in batch.deltas)
                    if not self._put(number, Read(batch, at_us), size) or batch.error is not None:
                        return
                if drained_us and self._is_whole:
                    # Not before what the chunk brought has been passed on: a proof must not overtake it.
                    self._drained_us = drained_us
                if not chunk:
                    self._put(number, Closed())
                    return
        finally:
            with self._changed:
                if self._stream is stream:
                    self._stream = None
            stream.close()
            self._source.connection_ended(is_dead=False)

    def _empty_at_us(self, stream: ByteStream) -> int:
        """Now, if nothing is left to read, as far as that is looked at; else 0."""
        now_us = self._now_us()
        if 0 <= now_us - self._looked_us < LOOK_EVERY_US:
            return 0
        self._looked_us = now_us
        return now_us if stream.is_empty() else 0

    def _object_reader(self) -> ObjectReader:
        resource = self._source.resource()
        return ObjectReader(resource.kind, resource.api_version, self._counters, self._trim)

    def _put(self, number: int, news: News, size: int = 0) -> bool:
        """False if the request was cancelled. Waits while the inbox is full."""
        with self._changed:
            while self._inbox_bytes >= INBOX_BYTES_MAX and number == self._number:
                self._changed.wait()
            if number != self._number:
                return False
            self._inbox.append((news, size))
            self._inbox_bytes += size
        self._wake()
        return True

    def _now_us(self) -> int:
        return int(self._clock.wall_s() * 1_000_000)
