"""Deltas of a pop become changes of a shard's store. Pure: it reads through a small Protocol and hands changes out.

The rules (docs/design.md §2-§4):

- A delta numbered at or below the last one applied of this broker's life is skipped: it came again.
- A delta of the watch at or below the shard's resume version of its stream is dropped: another shard was
  behind, and the watch began at its version. While the stream waits for a list, at or below its floor.
- A lower version of the same uid is stale and ignored.
- An object without a version is never old and moves nothing: what came last is the newest.
- Another uid under the same key is a deletion and an add, never an update.
- A deletion of what is not held is nothing.
- The begin of a list takes the stream's resume version away; only the list's end sets it again.
- While a list is open every upsert marks its key; the end sweeps what was not marked.
- A lost life goes on, as an add, where its uid is named again; else it has ended, and that is a deletion. Where an
  archive has its version, it goes on under its number, or as an update.
"""

from collections.abc import Callable, Sequence

from deltawire.common.meta.versions import as_number, highest, is_at_or_below, is_below
from deltawire.common.store.layout import FINAL_STATE_UNKNOWN, HISTORY_LOST, OUT_OF_SCOPE, Row
from deltawire.common.store.meta import StreamState
from deltawire.common.wire.messages.shard import ListBegin, ListEnd, Pop
from deltawire.common.wire.messages.shard import Row as Delta
from deltawire.informer.changes import (
    Change,
    Counters,
    ForgetMarks,
    Hole,
    Mark,
    Reads,
    Remove,
    Restore,
    SetAside,
    Settle,
)
from deltawire.informer.progress import Progress
from deltawire.informer.store.lost import NO_CONTENT

ALL_NAMESPACES = "*"
# Types of deltas by which a watch brings a state of an object.
_CHANGED = ("A", "U")


def prefix_of(stream: str) -> str:
    """What the keys of a stream start with."""
    return "" if stream == ALL_NAMESPACES else f"{stream}/"


class Apply:
    """Applies batches to a shard, in order, inside one transaction of its store."""

    def __init__(
        self,
        progress: Progress,
        counters: Counters,
        reads: Reads,
        put: Callable[[Row, Row | None], object],
        make: Callable[[Change], object],
    ) -> None:
        """``progress``: a draft, which is moved along. ``put`` stores a row in the place of the version of the same uid
        that is held, None for an add; ``make`` carries any other change out; ``reads`` finds what they did.
        """
        self._progress = progress
        self._counters = counters
        self._reads = reads
        self._put = put
        self._make = make
        # Of the batch that is being applied: the last number applied before it, and by stream the newest delta of its
        # watch with the version that it reached.
        self._applied = 0
        self._reached: dict[str, tuple[int, str]] = {}

    def pop(self, pop: Pop) -> None:
        """Deltas of the list and the watch, then marks of how far streams are."""
        progress = self._progress
        if pop.last:
            self._applied = progress.number if pop.boot == progress.boot else 0
            if progress.advance(pop.boot, pop.first, pop.last):
                self._reached = {}
                for namespace, name, deltas in pop.keys:
                    self._apply_key(f"{namespace}/{name}", deltas)
                for stream_name, (_, version) in self._reached.items():
                    self._complete_up_to(stream_name, version)
            else:
                self._counters.repeated += pop.last - pop.first + 1
        for stream_name, version in pop.marks:
            self._complete_up_to(stream_name, version)

    def begin_list(self, begin: ListBegin) -> None:
        """A list begins; an open one is aborted by it. Only the list's end sets a resume version again.

        Not the first item alone takes it away: a streaming list may begin with a deletion, whose version would
        then be taken for one that the whole shard has reached.
        """
        progress = self._progress
        if not progress.advance(begin.boot, begin.number, begin.number):
            self._counters.repeated += 1
            return
        if begin.stream not in progress.streams:
            self._counters.foreign_streams += 1
            return
        stream = progress.change(begin.stream)
        if begin.generation <= stream.generation:
            # A queue that was lost gives generations again; what an earlier list of this one named says nothing.
            self._make(ForgetMarks(prefix_of(begin.stream)))
        stream.open = begin.generation
        stream.give_up_resume()
        stream.generation = max(stream.generation, begin.generation)

    def end_list(self, end: ListEnd, scope: str, at: int) -> None:
        """The list is complete: sweep what it did not name. ``scope``: hash of what it asked for; ``at``: µs."""
        progress, reads = self._progress, self._reads
        if not progress.advance(end.boot, end.number, end.number):
            self._counters.repeated += 1
            return
        stream_name, generation, version = end.stream, end.generation, end.version
        known = progress.streams.get(stream_name)
        if known is None or known.open != generation:
            self._counters.ended_lists_ignored += 1
            return
        stream = progress.change(stream_name)
        prefix = prefix_of(stream_name)
        if stream.floor and is_below(version, stream.floor):
            self._begin_lineage(stream, prefix)
        flags = FINAL_STATE_UNKNOWN | HISTORY_LOST
        if stream.scope and stream.scope != scope:
            flags |= OUT_OF_SCOPE
        self.sweep(reads.unmarked(prefix, generation), flags, at)
        self.end_lost(reads.lost_under(prefix), flags, at)
        if stream.lost_from and stream.lost_from != version:
            self._make(Hole(stream_name, generation, stream.lost_from, version, at))
        stream.open = 0
        stream.lost_from = ""
        stream.resume, stream.unversioned = version, not version
        stream.floor = highest(stream.floor, version)
        stream.scope = scope
        self._make(ForgetMarks(prefix))

    def sweep(self, keys: Sequence[str], flags: int, at: int) -> None:
        """Delete stored keys that no event reported; ``flags`` say why."""
        for key in keys:
            held = self._reads.held(key)
            if held is not None:
                self._counters.swept += 1
                self._remove(held, held.version, held.object, flags, at)

    def end_lost(self, lost: Sequence[Row], flags: int, at: int) -> None:
        """Delete lost lives, which nothing names any more."""
        for row in lost:
            self._counters.swept += 1
            self._remove(row, row.version, row.object, flags, at)
            self._make(Settle(row.key, []))

    # ---- one key

    def _apply_key(self, key: str, deltas: Sequence[Delta]) -> None:
        """All deltas of one key in this batch; what the first ones change is what the later ones find."""
        progress, counters = self._progress, self._counters
        held, is_looked_up = None, False
        for delta in deltas:
            number, kind, name, uid, version, at, obj = delta
            stream = self._admit(number, kind, name, version)
            if stream is None:
                continue
            if not is_looked_up:
                held, is_looked_up = self._reads.held(key), True
            if (
                held is not None
                and uid == held.uid
                and is_below(held.version, version)
                and kind in _CHANGED
                and not (stream.open or held.flags & NO_CONTENT)
            ):
                # Mostly it is that: the watch brings a newer version, and no list is under way.
                new = Row(key, uid, version, progress.next_seq(), held.born, at, obj)
                counters.applied += 1
                self._put(new, held)
                held = new
            else:
                held = self._decide(key, held, delta, stream)

    def _decide(self, key: str, held: Row | None, delta: Delta, stream: StreamState) -> Row | None:
        """A delta of any kind, of what is held or not, while a list is under way or not. The row that is held then."""
        is_deletion = delta.type == "D"
        lost = self._reads.lost(key) if held is None else ()
        hole = self._hole_before(stream, key, held) if stream.open else 0
        if lost:
            if _is_behind(lost, delta):
                self._counters.stale += 1
                return held
            held = self._settle(lost, delta, hole)
            if is_deletion:
                self._counters.applied += 1
                return held
        if is_deletion:
            if not self._delete(held, delta, hole):
                return held
            # The next life has missed nothing that this deletion did not say.
            held = None
        else:
            held = self._upsert(key, held, delta, hole)
        if stream.open:
            self._make(Mark(key, stream.open))
        return held

    def _admit(self, number: int, kind: str, name: str, version: str) -> StreamState | None:
        """The stream of a delta that is to be applied; None of one that came again, or is of no use."""
        if number <= self._applied:
            self._counters.repeated += 1
            return None
        stream = self._progress.streams.get(name)
        if stream is None:
            self._counters.foreign_streams += 1
            return None
        if kind == "R":
            return self._note_item(name, stream, version)
        seen = stream.seen_up_to
        if seen and is_at_or_below(version, seen):
            self._counters.replayed += 1
            return None
        if version:
            newest = self._reached.get(name)
            if newest is None or number > newest[0]:
                self._reached[name] = (number, version)
        return stream

    def _note_item(self, name: str, stream: StreamState, version: str) -> StreamState:
        """An item of a list: from now on the stream has no version to resume at, but a floor for the next list."""
        if stream.resume:
            stream = self._progress.change(name)
            stream.give_up_resume()
        number, floor = as_number(version), as_number(stream.floor)
        if number is not None and (floor is None or number > floor):
            stream = self._progress.change(name)
            stream.floor = version
        return stream

    def _hole_before(self, stream: StreamState, key: str, held: Row | None) -> int:
        """HISTORY_LOST if versions of the key may have been there that no list and no watch has brought, else 0.

        What a list or a watch names first while a list is open comes behind the hole that the list closes; all that
        follows of the key has missed nothing. Before the first list has ended only what is stored has a history to
        lose.
        """
        if held is None and not stream.lost_from:
            return 0
        return 0 if self._reads.is_marked(key, stream.open) else HISTORY_LOST

    def _upsert(self, key: str, held: Row | None, delta: Delta, hole: int) -> Row:
        """A state of an object. The row that is stored then."""
        uid, version = delta.uid, delta.version
        new = Row(key, uid, version, 0, 0, delta.at, delta.object, hole)
        if held is None:
            new.seq = new.born = self._progress.next_seq()
            self._counters.applied += 1
            self._put(new, None)
            return new
        if held.flags & NO_CONTENT:
            return self._bring_back(held, new, hole)
        if version == held.version and uid == held.uid:
            # Of one version an item may be another form; what came last is the newest.
            if (version and delta.type != "R") or delta.object == held.object:
                self._counters.unchanged += 1
                return held
        elif is_below(version, held.version):
            self._counters.stale += 1
            if delta.type == "R":
                self._make(SetAside(new))
            return held
        self._replace(held, new, hole)
        return new

    def _delete(self, held: Row | None, delta: Delta, hole: int) -> bool:
        """The end of an object. False if it is not that of what is stored."""
        if held is None:
            self._counters.unknown_deletions += 1
            return False
        uid, version = delta.uid, delta.version
        if is_below(version, held.version) or (uid != held.uid and version and version == held.version):
            self._counters.stale += 1
            return False
        self._counters.applied += 1
        if uid != held.uid:
            # The deletion of a later life of this name, of which we never saw the start: ours ended before it.
            self._remove(held, held.version, held.object, FINAL_STATE_UNKNOWN | HISTORY_LOST, delta.at)
        else:
            self._remove(held, version, delta.object or held.object, hole, delta.at)
        return True

    def _bring_back(self, held: Row, new: Row, hole: int) -> Row:
        """The content of an object of which the archive had all else."""
        if new.version and new.version == held.version:
            new.seq, new.born, new.at, new.flags = held.seq, held.born, held.at, held.flags & ~NO_CONTENT
            self._counters.applied += 1
            self._make(Restore(new))
        else:
            self._replace(held, new, HISTORY_LOST if is_below(new.version, held.version) else hole)
        return new

    def _settle(self, lost: Sequence[Row], delta: Delta, hole: int) -> Row | None:
        """What a delta decides about its key's lost lives: this uid goes on, or ends here; others have ended.

        The row of the one that goes on, where its version is known.
        """
        is_deletion = delta.type == "D"
        for row in lost:
            if row.uid != delta.uid:
                self._remove(row, row.version, row.object, FINAL_STATE_UNKNOWN | hole, delta.at)
            elif is_deletion:
                self._remove(row, delta.version, delta.object or row.object, hole, delta.at)
        continued = [] if is_deletion else [row.born for row in lost if row.uid == delta.uid]
        self._make(Settle(lost[0].key, continued))
        known = [row for row in lost if row.uid == delta.uid and row.flags & NO_CONTENT]
        return known[0] if known and not is_deletion else None

    def _replace(self, held: Row, new: Row, hole: int) -> None:
        """A newer state under the same key: an update, or a deletion and an add where the uid changed."""
        self._counters.applied += 1
        if new.uid != held.uid:
            # No deletion came: other events may be missing, too.
            new.flags = HISTORY_LOST
            self._remove(held, held.version, held.object, FINAL_STATE_UNKNOWN | HISTORY_LOST, new.at)
            new.seq = new.born = self._progress.next_seq()
            self._put(new, None)
            return
        # The same version in another form has missed nothing.
        new.flags = hole if new.version != held.version else 0
        new.seq, new.born = self._progress.next_seq(), held.born
        self._put(new, held)

    def _remove(self, held: Row, version: str, obj: bytes, flags: int, at: int) -> None:
        seq = self._progress.next_seq()
        self._make(Remove(Row(held.key, held.uid, version, seq, held.born, at, obj, flags), held))

    # ---- streams

    def _begin_lineage(self, stream: StreamState, prefix: str) -> None:
        """The cluster was set back: its versions start a new lineage, so what looked stale is the truth."""
        stream.lineage += 1
        stream.floor = ""
        for row in self._reads.set_aside(prefix):
            held = self._reads.held(row.key)
            if held is not None:
                self._replace(held, row, HISTORY_LOST)

    def _complete_up_to(self, name: str, version: str) -> None:
        """The stream is complete up to ``version``. Without a resume version only a list's end completes it."""
        stream = self._progress.streams.get(name)
        if stream is None or not version:
            return
        if stream.resume and stream.resume == stream.floor and is_below(stream.resume, version):
            # Mostly they are one: then they stay one.
            stream = self._progress.change(name)
            stream.resume = stream.floor = version
            return
        resume = highest(stream.resume, version) if stream.resume else ""
        floor = resume if resume and stream.floor == stream.resume else highest(stream.floor, version)
        if resume != stream.resume or floor != stream.floor:
            stream = self._progress.change(name)
            stream.resume, stream.floor = resume, floor


def _is_behind(lost: Sequence[Row], delta: Delta) -> bool:
    """True if the watch brings what is older than the version that an archive has. A list is believed."""
    return delta.type != "R" and any(
        row.flags & NO_CONTENT and row.uid == delta.uid and is_below(delta.version, row.version)
        for row in lost
    )
