"""One stream's decisions: list, watch, resume, back off. Pure: no socket, no thread, no clock of its own.

The shell reports what happened (a method each) and does what is returned (action.py). At any time there is
at most one request under way; the shell drops what a cancelled one still brings.

The rules are client-go's (docs/contracts.md, reflector 3-19) with three exceptions, which P6 asks for. A watch that
ends is opened again at the same version; only one that cannot be kept there is answered with a list, within bounds
(docs/watches.md). Lists ask for `floor`, and for "0" only where nothing was ever seen of the stream. A streaming list
without its marker has a deadline.
"""

import math
from collections.abc import Callable

from deltawire.common.errors import DeltawireError, StatusError, TransportError
from deltawire.common.meta.versions import highest, is_below
from deltawire.reflector.action import Action, Cancel, Deltas, Mark, Params, Watch
from deltawire.reflector.backoff import Backoff
from deltawire.reflector.connection import Connection
from deltawire.reflector.keeping import Keeping
from deltawire.reflector.list_plan import ListPlan, ServerTraits
from deltawire.reflector.list_progress import ListProgress
from deltawire.reflector.open_list import OpenList
from deltawire.reflector.relists import ListGate, Relists
from deltawire.reflector.split import Batch, Page
from deltawire.reflector.states import BUSY, Phase, State
from deltawire.reflector.verdicts import EARLY_S, Verdict

WATCH_S_MIN, WATCH_S_MAX = 300.0, 600.0  # docs/contracts.md, reflector 11
# A list that is due so soon after the last one ended is part of a loop.
LIST_LOOP_S = 2.0


class Machine:
    """``random`` returns floats in [0, 1), ``gate`` is shared by a cluster's streams. Times are monotonic seconds."""

    def __init__(
        self,
        backoff: Backoff,
        traits: ServerTraits,
        random: Callable[[], float],
        gate: ListGate | None = None,
    ) -> None:
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
        self._random = random
        self._phase = Phase.WATCH
        self._open_list = OpenList()
        self._connection = Connection()
        self._plan = ListPlan(traits)
        self._progress = ListProgress(0.0)
        self._keeping = Keeping(Relists(gate or ListGate(random), random))
        self._is_relist = False  # of the list under way: the version is still held
        self._listed_at_s: float | None = None

    # -- what happened

    def start(self, now_s: float, resume: str, floor: str, generation: int) -> list[Action]:
        """The broker's `start`: watch from ``resume``, or list at ``floor``. Ends whatever was under way."""
        actions = self._abandon()
        self._open_list.reset(generation)
        self.version, self.floor, self.error = resume, highest(floor, resume), None
        self._plan.forget()
        self._keeping.trust()
        self._listed_at_s = None
        return actions + (self._watch(now_s) if resume else self._list(now_s))

    def stop(self, error: DeltawireError | None = None) -> list[Action]:
        """Stopped with ``error`` until the next start; without one, waiting (the session was lost)."""
        actions = self._abandon()
        self.state = State.STOPPED if error else State.WAITING
        self.error = error
        return actions

    def relist(self, now_s: float) -> list[Action]:
        """A person wants a list of what the API server has now, whatever was seen before. Nothing while the stream
        waits or is stopped."""
        if self.state in (State.WAITING, State.STOPPED):
            return []
        actions = self._abandon()
        self._plan.quorum()
        return actions + self._list(now_s)

    def opened(self, now_s: float) -> list[Action]:
        """The server accepted the watch."""
        self._connection.opened(now_s)
        if self._phase is not Phase.WATCH:
            self.error, self._progress = None, ListProgress(now_s)
        elif not self.is_doubtful:  # else it must do more: it was accepted before, too
            self._is_kept()
        return []

    def page(self, now_s: float, page: Page) -> list[Action]:
        """A part of a LIST answer."""
        self.error = None
        self._open_list.version = self._open_list.version or page.version
        actions: list[Action] = [*self._open_list.items(page.deltas)]
        if not page.is_last:
            return actions
        if page.continue_token:
            return [*actions, self._plan.next_page(page.continue_token)]
        return actions + self._end(now_s, self._open_list.version) + self._watch(now_s)

    def batch(self, now_s: float, batch: Batch) -> list[Action]:
        """Events of the watch or the streaming list."""
        self._connection.events += len(batch.deltas) + batch.is_bookmark
        if self._phase is Phase.STREAMING_LIST:
            if batch.error is None:
                self.error = None
            return self._list_batch(now_s, batch)
        if self._is_set_back(batch):
            return [Cancel(), *self._set_back(now_s, batch.version)]
        actions = self._watch_batch(batch)
        if batch.is_bookmark:
            self._connection.note_bookmark(now_s)
        if batch.error is not None:
            actions += [Cancel(), *self._watch_failed(now_s, batch.error, in_stream=True)]
        return actions

    def moves_on(self, version: str, count: int) -> bool:
        """The short way of `batch` for ``count`` deltas up to ``version``, without a bookmark or an error: True where a
        watch that has shown that it works goes on, and nothing else changes.

        The deltas are then to be published at that version. False: nothing was done.
        """
        connection = self._connection
        if self.state is not State.WATCHING or self._phase is not Phase.WATCH or not connection.events:
            return False
        if not version or self.version in ("", "0") or is_below(version, self.version):
            return False
        connection.events += count
        self.floor = version if self.floor == self.version else highest(self.floor, version)
        self.version = version
        return True

    def closed(self, now_s: float) -> list[Action]:
        """The server ended the watch properly."""
        is_short = self._connection.is_short(now_s)
        error = TransportError("the server closes the watch at once", reason="reset")
        if self._phase is Phase.STREAMING_LIST:
            self._plan.ended_unmarked(self._connection.lived_s(now_s))
            return self._back_off(now_s, error) if is_short else self._list(now_s)
        self._keeping.ended(now_s, self._connection, None)
        if is_short or self.is_doubtful:
            return self._relist_or_back_off(now_s, error)
        return self._watch_or_list(now_s)

    def failed(self, now_s: float, error: DeltawireError) -> list[Action]:
        """The request failed, before or after it was accepted."""
        if self._phase is Phase.WATCH:
            return self._watch_failed(now_s, error)
        return self._list_failed(now_s, error)

    def tick(self, now_s: float, reading_since_s: float | None, *, has_room: bool = True) -> list[Action]:
        """Time passes. ``reading_since_s``: since when the reader waits for bytes of the open connection;
        None while it does not. ``has_room``: what it read is taken. So delays of our own making (no credit) are not
        counted as the server's."""
        if self._phase is Phase.WATCH and self.state in (State.BACKOFF, State.OPENING):
            if self._keeping.relists.is_due(now_s):
                return [*self._abandon(), *self._relist(now_s, self.error)]
            is_open = self.state is State.OPENING and self._connection.is_open
            if is_open and self._keeping.lives_on(now_s, self._connection):
                self._is_kept()
        if self.retry_at_s is not None:
            return self._retry(now_s) if now_s >= self.retry_at_s else []
        if self.state not in BUSY:
            return []
        if self._phase is Phase.STREAMING_LIST:
            if self._connection.is_open and self._progress.is_stalled(now_s, has_room=has_room):
                return self._without_streaming_lists(now_s)
        elif self._phase is Phase.WATCH and reading_since_s is not None:
            silent_s = now_s - reading_since_s
            if silent_s >= self._connection.idle_s:
                return self._fell_silent(now_s, silent_s)
        return []

    def due_s(self, now_s: float, reading_since_s: float | None, *, has_room: bool = True) -> float:
        """When `tick` has something to do at the earliest if nothing happens until then; inf: never. It may lie in the
        past, where `tick` has done what it could. Without room nothing is due: who makes room calls `tick`."""
        due_s = math.inf if self.retry_at_s is None else self.retry_at_s
        is_busy = self.state in BUSY
        if self._phase is Phase.STREAMING_LIST:
            return min(due_s, self._progress.due_s) if is_busy and has_room and self._connection.is_open else due_s
        if self._phase is not Phase.WATCH:
            return due_s
        if is_busy:
            # A reader that begins to wait later is silent later.
            due_s = min(due_s, (now_s if reading_since_s is None else reading_since_s) + self._connection.idle_s)
        if self.state in (State.BACKOFF, State.OPENING):
            due_s = min(due_s, self._keeping.relists.due_s)
            opened_at_s = self._connection.opened_at_s
            if self.state is State.OPENING and opened_at_s is not None and opened_at_s + EARLY_S > now_s:
                due_s = min(due_s, opened_at_s + EARLY_S)
        return due_s

    @property
    def is_doubtful(self) -> bool:
        """True while the watch may miss what happens: the server did not let it stay at its version."""
        return self._keeping.is_doubtful

    @property
    def has_streaming_lists(self) -> bool:
        """False once the server was found to have none."""
        return self._plan.traits.has_streaming_lists

    @property
    def bookmark_interval_s(self) -> float | None:
        """The longest interval seen on this connection; None until two bookmarks came."""
        return self._connection.bookmark_interval_s

    # -- lists

    def _list(self, now_s: float) -> list[Action]:
        self.state, self.retry_at_s, self._is_relist = State.LISTING, None, False
        self.lists += 1
        self._open_list.reset()
        self._connection, self._progress = Connection(now_s), ListProgress(now_s)
        request = self._plan.request(self.floor, self._watch_params())
        if isinstance(request, Watch):
            self.watches += 1
        self._phase = Phase.STREAMING_LIST if isinstance(request, Watch) else Phase.PAGES
        return [request]

    def _relist(self, now_s: float, error: DeltawireError | None) -> list[Action]:
        """The watch cannot be kept at its version: list, and watch again there if that is refused, too."""
        self._keeping.relists.made(now_s)
        self.error = error
        actions = self._list(now_s)
        self._is_relist = True
        return actions

    def _end(self, now_s: float, version: str) -> list[Action]:
        publications = self._open_list.end(version)
        # Also where it is lower: after a quorum list the server's word counts.
        self.version = self.floor = version
        self._plan.forget()
        self._keeping.trust()
        self._listed_at_s = now_s
        return [*publications]

    def _list_batch(self, now_s: float, batch: Batch) -> list[Action]:
        actions: list[Action] = []
        if batch.deltas:
            actions += self._open_list.items(batch.deltas)
        size = sum(len(delta.object) for delta in batch.deltas)
        is_list = self._progress.took(now_s, len(batch.deltas), size, batch.changes_before_marker)
        if batch.is_marker:
            actions += self._end(now_s, batch.version)
            self._phase, self.state = Phase.WATCH, State.WATCHING
        elif batch.error is not None:
            actions += [Cancel(), *self._list_failed(now_s, batch.error)]
        elif not is_list:
            actions += self._without_streaming_lists(now_s)
        return actions

    def _without_streaming_lists(self, now_s: float) -> list[Action]:
        self._plan.traits.has_streaming_lists = False
        return [Cancel(is_silent=True), *self._list(now_s)]

    def _list_failed(self, now_s: float, error: DeltawireError) -> list[Action]:
        if self._phase is Phase.STREAMING_LIST:
            at_once = self._plan.streaming_failed(error)
        else:
            at_once = self._plan.pages_failed(error, self.floor)
        if at_once:
            was_relist = self._is_relist
            actions = self._list(now_s)
            self._is_relist = was_relist
            return actions
        if self._is_relist and not self._open_list.has_begun:
            # The version is still held: watch there until the next such list may be made.
            self._phase = Phase.WATCH
            self._keeping.relists.want(certain=False)
        return self._back_off(now_s, error)

    # -- watches

    def _watch_or_list(self, now_s: float) -> list[Action]:
        """Watch again at the held version. Without one only a list can show what was deleted since."""
        return self._watch(now_s) if self.version else self._list(now_s)

    def _watch(self, now_s: float) -> list[Action]:
        if self.is_doubtful or self.state not in (State.WATCHING, State.SILENT):
            self.state = State.OPENING
        self.retry_at_s, self._phase = None, Phase.WATCH
        self.watches += 1
        self._open_list.reset()
        self._connection = Connection(now_s)
        params = self._watch_params()
        if self.version:
            params["resourceVersion"] = self.version
        return [Watch(params, is_list=False)]

    def _watch_params(self) -> Params:
        seconds = int(WATCH_S_MIN + (WATCH_S_MAX - WATCH_S_MIN) * self._random())
        return {"allowWatchBookmarks": "true", "timeoutSeconds": str(seconds)}

    def _watch_batch(self, batch: Batch) -> list[Action]:
        if not (batch.version or batch.deltas):
            return []
        self._keeping.trust()
        self._is_kept()
        is_synthetic = (
            self.version in ("", "0") and not batch.is_bookmark and all(d[0] == "A" for d in batch.deltas)
        )
        if batch.version and not is_synthetic:
            self.version = batch.version
            self.floor = highest(self.floor, batch.version)
        # Synthetic events, of a server whose lists are at "0" or at no version, come in no order (docs/contracts.md,
        # reflector 16). Neither they nor objects without a version say how far the stream is.
        return [Deltas(batch.deltas, self.version)] if batch.deltas else [Mark(batch.version)]

    def _is_set_back(self, batch: Batch) -> bool:
        """True if the server's versions are lower than what was seen: it is an older state than the one we hold.
        Some servers give a deletion the version of the object's last change, so that one says nothing."""
        if self.version == "0" or not is_below(batch.version, self.version):
            return False
        return batch.is_bookmark or any(d[0] != "D" and d[4] == batch.version for d in batch.deltas)

    def _set_back(self, now_s: float, version: str) -> list[Action]:
        """What is held may never have existed: a quorum list decides, and begins a new lineage."""
        error = TransportError(
            f"the API server is at version {version} and was at {self.version}: its state was set back",
            reason="garbage",
        )
        self._plan.quorum()
        self._keeping.relists.want()
        return self._relist_or_back_off(now_s, error)

    def _watch_failed(
        self, now_s: float, error: DeltawireError, *, in_stream: bool = False
    ) -> list[Action]:
        verdict = self._keeping.ended(now_s, self._connection, error, in_stream=in_stream)
        if verdict is Verdict.LIST_NOW:
            return self._version_is_gone(now_s, error)
        if verdict is Verdict.RESUME:
            return self._watch_or_list(now_s)
        return self._relist_or_back_off(now_s, error)

    def _relist_or_back_off(self, now_s: float, error: DeltawireError) -> list[Action]:
        if self._keeping.relists.is_due(now_s):
            return self._relist(now_s, error)
        return self._back_off(now_s, error)

    def _version_is_gone(self, now_s: float, error: DeltawireError) -> list[Action]:
        """List at `floor`, from the server's cache: at "" only if that fails."""
        self._phase = Phase.PAGES
        self._is_relist = False
        if self._listed_at_s is not None and now_s - self._listed_at_s < LIST_LOOP_S:
            return self._back_off(now_s, error)
        self.error = error
        return self._list(now_s)

    def _fell_silent(self, now_s: float, silent_s: float) -> list[Action]:
        self.error = TransportError(f"the watch carried nothing for {silent_s:.0f} s", reason="timeout")
        self.idle_watches += 1
        self.state = State.SILENT
        return [Cancel(is_silent=True), *self._watch_or_list(now_s)]

    # -- both

    def _is_kept(self) -> None:
        self.state, self.error = State.WATCHING, None

    def _back_off(self, now_s: float, error: DeltawireError | None = None) -> list[Action]:
        self.retries += 1
        delay_s = self._backoff.next_s(now_s)
        if isinstance(error, StatusError) and error.retry_after_s is not None:
            delay_s = max(delay_s, error.retry_after_s)
        self.error = error or self.error
        self.state, self.retry_at_s = State.BACKOFF, now_s + delay_s
        return []

    def _retry(self, now_s: float) -> list[Action]:
        return self._watch_or_list(now_s) if self._phase is Phase.WATCH else self._list(now_s)

    def _abandon(self) -> list[Action]:
        busy = self.state in BUSY
        self.retry_at_s = None
        self._open_list.reset()
        return [Cancel()] if busy else []
