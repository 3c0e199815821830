"""One stream's decisions: list, watch, resume, back off. Pure: no socket, no thread, no clock of its own.

The shell reports what happened (a method each) and does what is returned (action.py). At any time there is
at most one request under way; the shell drops what a cancelled one still brings.

The rules are client-go's (semantics §1) but for these, which P6 asks for: a watch that fails for another
reason than 410 or worse is opened again at the same version, never answered with a list; lists ask for
`floor`, and for "0" only where nothing was ever seen of the stream; a streaming list without its marker has
a deadline.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from deltawire.common.errors import CapacityError, DeltawireError, StatusError, TransportError
from deltawire.common.meta.versions import highest
from deltawire.reflector.action import Action, Cancel, Deltas, List, Mark, Params, Watch
from deltawire.reflector.backoff import Backoff
from deltawire.reflector.connection import Connection
from deltawire.reflector.open_list import OpenList
from deltawire.reflector.split import Batch, Page

PAGE_ITEMS = 500  # client-go's page (semantics §1.3 rule 18)
WATCH_S_MIN, WATCH_S_MAX = 300.0, 600.0  # semantics §1.4 rule 25
# A streaming list that brings nothing for so long and no marker: the server, or a proxy, ignores the wish.
MARKER_SILENCE_S_MAX = 10.0
# Real servers send the marker within moments of the first change; one that sends so many has no marker.
CHANGES_WITHOUT_MARKER_MAX = 10_000
# A version that the server can no longer give a readable watch from is as good as gone.
UNREADABLE_WATCHES_MAX = 3
# A list so soon after the last one ended is no news but a loop.
LIST_LOOP_S = 2.0


class State(Enum):
    """The words of status."""

    WAITING = "waiting"  # for the broker's start
    LISTING = "listing"
    WATCHING = "watching"
    BACKOFF = "backoff"
    STOPPED = "stopped"


class _Phase(Enum):
    """What the request under way, or the next one after a back-off, is for."""

    PAGES = "pages"
    STREAMING_LIST = "streaming list"
    WATCH = "watch"


@dataclass(slots=True)
class ServerTraits:
    """What was learnt about one resource of a server; shared by its streams, kept while the process lives."""

    has_streaming_lists: bool = True


class Machine:
    """``random`` returns floats in [0, 1). All times are monotonic seconds."""

    def __init__(self, backoff: Backoff, traits: ServerTraits, random: Callable[[], float]) -> None:
        self.state = State.WAITING
        self.version = ""  # of the last event or bookmark; where a watch resumes
        self.floor = ""  # the highest version known of the stream
        self.error: DeltawireError | None = None
        self.retry_at_s: float | None = None
        self.lists = 0
        self.retries = 0
        self.idle_watches = 0
        self.watches = 0
        self._backoff = backoff
        self._traits = traits
        self._random = random
        self._page_items = PAGE_ITEMS
        self._phase = _Phase.WATCH
        self._check_cluster = False
        self._open_list = OpenList()
        self._connection = Connection()
        # of lists in a row
        self._is_floor_unavailable = False
        self._is_next_paged = False
        self._unmarked_lists = 0
        self._expired_tokens = 0
        self._listed_at_s: float | None = None
        self._unreadable_watches = 0

    # -- what happened

    def start(self, now_s: float, resume: str, floor: str, generation: int) -> list[Action]:
        """The broker's `start`: watch from ``resume``, or list at ``floor``. Ends whatever was under way."""
        actions = self._abandon()
        self._open_list.reset(generation)
        self.version, self.floor, self.error = resume, highest(floor, resume), None
        self._is_floor_unavailable = self._is_next_paged = False
        self._unmarked_lists = self._expired_tokens = self._unreadable_watches = 0
        self._listed_at_s = None
        self._check_cluster = True
        return actions + (self._watch(now_s) if resume else self._list(now_s))

    def stop(self, error: DeltawireError | None = None) -> list[Action]:
        """Stopped with ``error`` until the next start; without one, waiting (the session was lost)."""
        actions = self._abandon()
        self.state = State.STOPPED if error else State.WAITING
        self.error = error
        return actions

    def opened(self) -> list[Action]:
        """The server accepted the watch."""
        self.error = None
        self._check_cluster = False
        return []

    def page(self, now_s: float, page: Page) -> list[Action]:
        """A part of a LIST answer."""
        self.error = None
        self._open_list.version = self._open_list.version or page.version
        actions: list[Action] = [*self._open_list.items(page.deltas)]
        if not page.is_last:
            return actions
        if page.continue_token:
            # The server refuses a version beside a token (semantics §1.3 rule 19).
            params = {"limit": str(self._page_items), "continue": page.continue_token}
            self._open_list.pages += 1
            return [*actions, List(params, is_first=False)]
        return actions + self._end(now_s, self._open_list.version) + self._watch(now_s)

    def batch(self, now_s: float, batch: Batch) -> list[Action]:
        """Events of the watch or the streaming list."""
        self._connection.events += len(batch.deltas) + batch.is_bookmark
        if batch.error is None:
            self.error = None
        if self._phase is _Phase.STREAMING_LIST:
            return self._list_batch(now_s, batch)
        actions = self._watch_batch(batch)
        if batch.is_bookmark:
            self._connection.note_bookmark(now_s)
        if batch.error is not None:
            actions += [Cancel(), *self._watch_failed(now_s, batch.error)]
        return actions

    def closed(self, now_s: float) -> list[Action]:
        """The server ended the watch properly."""
        if self._phase is _Phase.STREAMING_LIST:
            # Twice in a row: paged, this once (client-go tries for ever, semantics §1.5 rule 42).
            self._unmarked_lists += 1
            self._is_next_paged = self._unmarked_lists > 1
        if self._connection.is_short(now_s):
            error = TransportError("the server closes the watch at once", reason="reset")
            return self._back_off(now_s, error)
        return self._retry(now_s)

    def failed(self, now_s: float, error: DeltawireError) -> list[Action]:
        """The request failed, before or after it was accepted."""
        if isinstance(error, TransportError):
            self._check_cluster = True
        if self._phase is _Phase.WATCH:
            return self._watch_failed(now_s, error)
        if self._phase is _Phase.STREAMING_LIST:
            return self._streaming_list_failed(now_s, error)
        return self._pages_failed(now_s, error)

    def tick(self, now_s: float, reading_since_s: float | None) -> list[Action]:
        """Time passes. ``reading_since_s``: since when the reader waits for bytes of the open connection;
        None while it does not, so that silence of our own making (no credit) is not counted."""
        if self.retry_at_s is not None:
            return self._retry(now_s) if now_s >= self.retry_at_s else []
        if reading_since_s is None or self.state not in (State.LISTING, State.WATCHING):
            return []
        silent_s = now_s - reading_since_s
        if self._phase is _Phase.STREAMING_LIST and silent_s >= MARKER_SILENCE_S_MAX:
            return self._without_streaming_lists(now_s)
        if self._phase is _Phase.WATCH and silent_s >= self._connection.idle_s:
            self.error = TransportError(f"the watch carried nothing for {silent_s:.0f} s", reason="timeout")
            self._check_cluster = True
            self.idle_watches += 1
            return [Cancel(), *self._watch_or_list(now_s)]
        return []

    @property
    def has_streaming_lists(self) -> bool:
        """False once the server was found to have none."""
        return self._traits.has_streaming_lists

    @property
    def bookmark_interval_s(self) -> float | None:
        """The longest interval seen on this connection; None until two bookmarks came."""
        return self._connection.bookmark_interval_s

    # -- lists

    def _list(self, now_s: float) -> list[Action]:
        self.state, self.retry_at_s = State.LISTING, None
        self.lists += 1
        self._open_list.reset()
        self._connection = Connection(now_s)
        at = "" if self._is_floor_unavailable else self.floor
        if self._traits.has_streaming_lists and not self._is_next_paged:
            # One request is both: the whole list, and the watch that goes on from it.
            self.watches += 1
            self._phase = _Phase.STREAMING_LIST
            params = self._watch_params() | {"sendInitialEvents": "true"}
            params["resourceVersionMatch"] = "NotOlderThan"
            if at:
                params["resourceVersion"] = at
            return [Watch(params, is_list=True, check_cluster=True)]
        self._phase = _Phase.PAGES
        params = {"limit": str(self._page_items)}
        if at:
            # Without the match, limit and a version mean Exact, and 410 again (semantics §1.2 rule 11).
            params |= {"resourceVersion": at, "resourceVersionMatch": "NotOlderThan"}
        elif not self._is_floor_unavailable:
            params["resourceVersion"] = "0"
        return [List(params, is_first=True)]

    def _end(self, now_s: float, version: str) -> list[Action]:
        publications = self._open_list.end(version)
        # Also where it is lower: after a quorum list the server's word counts (design: lineage).
        self.version = self.floor = version
        self._is_floor_unavailable = self._is_next_paged = False
        self._unmarked_lists = self._expired_tokens = self._unreadable_watches = 0
        self._listed_at_s = now_s
        self._check_cluster = False
        return [*publications]

    def _list_batch(self, now_s: float, batch: Batch) -> list[Action]:
        actions: list[Action] = []
        if batch.deltas:
            actions += self._open_list.items(batch.deltas)
        if batch.is_marker:
            actions += self._end(now_s, batch.version)
            self._phase, self.state = _Phase.WATCH, State.WATCHING
        elif batch.error is not None:
            actions += [Cancel(), *self._streaming_list_failed(now_s, batch.error)]
        elif batch.changes_before_marker > CHANGES_WITHOUT_MARKER_MAX:
            actions += self._without_streaming_lists(now_s)
        return actions

    def _without_streaming_lists(self, now_s: float) -> list[Action]:
        self._traits.has_streaming_lists = False
        return [Cancel(), *self._list(now_s)]

    def _streaming_list_failed(self, now_s: float, error: DeltawireError) -> list[Action]:
        if isinstance(error, StatusError):
            if error.is_expired or error.is_too_large_version:
                return self._floor_is_unavailable(now_s, error)
            if error.code in (400, 405, 422, 501):
                # Not understood. Remembered: asking again would be refused again.
                self._traits.has_streaming_lists = False
                return self._list(now_s)
            # Any other answer that is not about us or the load: paged, this once (semantics §1.5 rule 43).
            self._is_next_paged = error.code not in (401, 403, 404, 429)
        elif isinstance(error, TransportError) and error.reason == "garbage":
            self._is_next_paged = True
        return self._back_off(now_s, error)

    def _pages_failed(self, now_s: float, error: DeltawireError) -> list[Action]:
        if isinstance(error, CapacityError):
            # Servers ignore the limit at "0"; elsewhere smaller pages help.
            if self.floor or self._is_floor_unavailable:
                self._page_items = max(1, self._page_items // 4)
            self._is_floor_unavailable = True
        elif isinstance(error, StatusError) and (error.is_expired or error.is_too_large_version):
            if self._open_list.pages == 0:
                return self._floor_is_unavailable(now_s, error)
            # The snapshot behind the token is gone: from the start, as a new list.
            self._expired_tokens += 1
            if self._expired_tokens == 1:
                return self._list(now_s)
        return self._back_off(now_s, error)

    def _floor_is_unavailable(self, now_s: float, error: StatusError) -> list[Action]:
        """List at "" at once (semantics §1.2 rule 12); if that fails likewise, later."""
        if self._is_floor_unavailable:
            return self._back_off(now_s, error)
        self._is_floor_unavailable = True
        return self._list(now_s)

    # -- watches

    def _watch_or_list(self, now_s: float) -> list[Action]:
        """Watch again at the held version. Where there is none, what went meanwhile can only be seen by a list."""
        return self._watch(now_s) if self.version else self._list(now_s)

    def _watch(self, now_s: float) -> list[Action]:
        self.state, self.retry_at_s, self._phase = State.WATCHING, None, _Phase.WATCH
        self.watches += 1
        self._open_list.reset()
        self._connection = Connection(now_s)
        params = self._watch_params()
        if self.version:
            params["resourceVersion"] = self.version
        return [Watch(params, is_list=False, check_cluster=self._check_cluster)]

    def _watch_params(self) -> Params:
        seconds = int(WATCH_S_MIN + (WATCH_S_MAX - WATCH_S_MIN) * self._random())
        return {"allowWatchBookmarks": "true", "timeoutSeconds": str(seconds)}

    def _watch_batch(self, batch: Batch) -> list[Action]:
        if not (batch.version or batch.deltas):
            return []
        self._unreadable_watches = 0
        is_synthetic = (
            self.version in ("", "0") and not batch.is_bookmark and all(d[0] == "A" for d in batch.deltas)
        )
        if batch.version and not is_synthetic:
            self.version = batch.version
            self.floor = highest(self.floor, batch.version)
        # Synthetic events, of a server whose lists are at "0" or at no version, come in no order (semantics §1.4
        # rule 35). Neither they nor objects without a version say how far the stream is.
        return [Deltas(batch.deltas, self.version)] if batch.deltas else [Mark(batch.version)]

    def _watch_failed(self, now_s: float, error: DeltawireError) -> list[Action]:
        if isinstance(error, StatusError):
            if error.is_expired or error.is_too_large_version or error.code in (400, 422):
                return self._version_is_gone(now_s, error)
        elif isinstance(error, TransportError) and error.reason == "garbage":
            self._unreadable_watches += 1
            if self._unreadable_watches >= UNREADABLE_WATCHES_MAX:
                return self._version_is_gone(now_s, error)
        elif isinstance(error, TransportError) and error.reason == "reset" and self._connection.events:
            return self._watch_or_list(now_s)  # cut after it worked: as a normal close
        return self._back_off(now_s, error)

    def _version_is_gone(self, now_s: float, error: DeltawireError) -> list[Action]:
        """List at `floor`, from the server's cache: at "" only if that fails (semantics §1.4 rule 27)."""
        self._phase = _Phase.PAGES
        if self._listed_at_s is not None and now_s - self._listed_at_s < LIST_LOOP_S:
            return self._back_off(now_s, error)
        self.error = error
        return self._list(now_s)

    # -- both

    def _back_off(self, now_s: float, error: DeltawireError | None = None) -> list[Action]:
        self.retries += 1
        delay_s = self._backoff.next_s(now_s)
        if isinstance(error, StatusError) and error.retry_after_s is not None:
            delay_s = max(delay_s, error.retry_after_s)
        self.error = error or self.error
        self.state, self.retry_at_s = State.BACKOFF, now_s + delay_s
        return []

    def _retry(self, now_s: float) -> list[Action]:
        return self._watch_or_list(now_s) if self._phase is _Phase.WATCH else self._list(now_s)

    def _abandon(self) -> list[Action]:
        busy = self.state in (State.LISTING, State.WATCHING)
        self.retry_at_s = None
        self._open_list.reset()
        return [Cancel()] if busy else []
