"""Deltas of a pop become changes of a shard's store. Pure: reads through a small Protocol, writes nothing.

The rules (docs/design.md §2-§4):

- A delta numbered at or below the last one applied of this broker's life is skipped: it came again.
- A delta of the watch at or below the shard's resume version of its stream is dropped: another shard was
  behind, and the watch began at its version.
- A lower version of the same uid is stale and ignored.
- An object without a version is never old and moves nothing: what came last is the newest.
- Another uid under the same key is a deletion and an add, never an update.
- A deletion of what is not held is nothing.
- The begin of a list takes the stream's resume version away; only the list's end sets it again.
- While a list is open every upsert marks its key; the end sweeps what was not marked.
- A lost life goes on, as an add, where its uid is named again; else it has ended, and that is a deletion.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec

from deltawire.common.errors import ProtocolError
from deltawire.common.meta.versions import as_number, highest, is_below
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
    Put,
    Reads,
    Remove,
    SetAside,
    Settle,
)

ALL_NAMESPACES = "*"


class Progress(msgspec.Struct):
    """How far a shard is. A batch works on a `draft`, which replaces the original after the commit."""

    streams: dict[str, StreamState]
    boot: str = ""
    number: int = 0
    seq: int = 0
    touched: set[str] = set()

    def draft(self) -> "Progress":
        return Progress(dict(self.streams), self.boot, self.number, self.seq, set())

    def change(self, name: str) -> StreamState:
        """The stream's state for writing: a copy, so that an aborted batch leaves the original as it was."""
        stream = self.streams.get(name)
        if stream is None:
            stream = StreamState()
        elif name in self.touched:
            return stream
        else:
            stream = msgspec.structs.replace(stream)
        self.streams[name] = stream
        self.touched.add(name)
        return stream

    def next_seq(self) -> int:
        self.seq += 1
        return self.seq

    def advance(self, boot: str, first: int, last: int) -> bool:
        """Take note that deltas ``first``…``last`` are being applied; False if all of them were before.

        Raises ProtocolError where some are missing between the last one applied and these.
        """
        if boot != self.boot:
            self.boot, self.number = boot, last
            return True
        if last <= self.number:
            return False
        if first > self.number + 1:
            raise ProtocolError(f"deltas {self.number + 1} to {first - 1} of this shard never arrived")
        self.number = last
        return True


def prefix_of(stream: str) -> str:
    """What the keys of a stream start with."""
    return "" if stream == ALL_NAMESPACES else f"{stream}/"


def apply_pop(
    progress: Progress,
    counters: Counters,
    reads: Reads,
    pop: Pop,
) -> Iterator[Change]:
    """The changes of one batch. Moves ``progress``, a draft, along.

    Lazy: the changes of a key must be carried out before the next key's are asked for.
    """
    applied = progress.number if pop.boot == progress.boot else 0
    if pop.last and progress.advance(pop.boot, pop.first, pop.last):
        reached: dict[str, tuple[int, str]] = {}
        for namespace, name, rows in pop.keys:
            changes: list[Change] = []
            _apply_key(progress, counters, reads, f"{namespace}/{name}", rows, applied, reached, changes)
            yield from changes
        for stream_name, (_, version) in reached.items():
            _complete_up_to(progress, stream_name, version)
    elif pop.last:
        counters.repeated += pop.last - pop.first + 1
    for stream_name, version in pop.marks:
        _complete_up_to(progress, stream_name, version)


def begin_list(progress: Progress, counters: Counters, begin: ListBegin) -> None:
    """A list begins; an open one is aborted by it. Only the list's end sets a resume version again.

    Not the first item alone takes it away: a streaming list may begin with a deletion, whose version would
    then be taken for one that the whole shard has reached.
    """
    if not progress.advance(begin.boot, begin.number, begin.number):
        counters.repeated += 1
        return
    if begin.stream not in progress.streams:
        counters.foreign_streams += 1
        return
    stream = progress.change(begin.stream)
    stream.open = begin.generation
    stream.give_up_resume()
    stream.generation = max(stream.generation, begin.generation)


def end_list(
    progress: Progress,
    counters: Counters,
    reads: Reads,
    end: ListEnd,
    scope: str,
    at: int,
) -> Iterator[Change]:
    """The list is complete: sweep what it did not name. ``scope``: hash of what it asked for; ``at``: µs.

    Lazy, since a sweep may be large: each change must be carried out before the next one is asked for.
    """
    if not progress.advance(end.boot, end.number, end.number):
        counters.repeated += 1
        return
    stream_name, generation, version = end.stream, end.generation, end.version
    known = progress.streams.get(stream_name)
    if known is None or known.open != generation:
        counters.ended_lists_ignored += 1
        return
    stream = progress.change(stream_name)
    prefix = prefix_of(stream_name)
    if stream.floor and is_below(version, stream.floor):
        # The cluster was set back: its versions start a new lineage, so what looked stale is the truth.
        stream.lineage += 1
        stream.floor = ""
        for row in reads.set_aside(prefix):
            held = reads.held(row.key)
            if held is not None:
                yield from _replace(progress, counters, held, row, HISTORY_LOST)
    flags = FINAL_STATE_UNKNOWN | HISTORY_LOST
    if stream.scope and stream.scope != scope:
        flags |= OUT_OF_SCOPE
    yield from sweep(progress, counters, reads, reads.unmarked(prefix, generation), flags, at)
    yield from end_lost(progress, counters, reads.lost_under(prefix), flags, at)
    if stream.lost_from and stream.lost_from != version:
        yield Hole(stream_name, generation, stream.lost_from, version, at)
    stream.open = 0
    stream.lost_from = ""
    stream.resume, stream.unversioned = version, not version
    stream.floor = highest(stream.floor, version)
    stream.scope = scope
    yield ForgetMarks(prefix)


def sweep(
    progress: Progress, counters: Counters, reads: Reads, keys: Sequence[str], flags: int, at: int
) -> Iterator[Change]:
    """Deletions of stored keys that no event reported; ``flags`` say why."""
    for key in keys:
        held = reads.held(key)
        if held is not None:
            counters.swept += 1
            yield _removal(progress, held, held.version, held.object, flags, at)


def end_lost(
    progress: Progress, counters: Counters, lost: Sequence[Row], flags: int, at: int
) -> Iterator[Change]:
    """Deletions of lost lives, which nothing names any more."""
    for row in lost:
        counters.swept += 1
        yield _removal(progress, row, row.version, row.object, flags, at)
        yield Settle(row.key, [])


def _apply_key(
    progress: Progress,
    counters: Counters,
    reads: Reads,
    key: str,
    deltas: Sequence[Delta],
    applied: int,
    reached: dict[str, tuple[int, str]],
    changes: list[Change],
) -> None:
    """All deltas of one key in this batch; what the first ones change is what the later ones find."""
    held: Row | None = None
    # Marked by a delta of this batch: the store does not know it yet.
    is_marked = False
    lost: Sequence[Row] = ()
    looked_up = False
    for number, kind, stream_name, uid, version, at, obj in deltas:
        if number <= applied:
            counters.repeated += 1
            continue
        stream = progress.streams.get(stream_name)
        if stream is None:
            counters.foreign_streams += 1
            continue
        is_item = kind == "R"
        if is_item:
            _note_item(progress, stream_name, stream, version)
        else:
            if stream.resume and _is_seen(version, stream.resume):
                counters.replayed += 1
                continue
            if version and number > reached.get(stream_name, (0, ""))[0]:
                reached[stream_name] = (number, version)
        if not looked_up:
            held, looked_up = reads.held(key), True
            lost = reads.lost(key) if held is None else ()
        stream = progress.streams[stream_name]
        hole = 0 if is_marked else _hole_before(stream, reads, key, held)
        if lost:
            changes.extend(_settle(progress, lost, uid, version, at, obj, hole, is_deletion=kind == "D"))
            lost = ()
            if kind == "D":
                counters.applied += 1
                continue
        if kind == "D":
            removal = _deletion(progress, counters, held, uid, version, at, obj, hole)
            if removal is not None:
                changes.append(removal)
                held = None
                if stream.open:
                    # The next life has missed nothing that this deletion did not say.
                    changes.append(Mark(key, stream.open))
                    is_marked = True
            continue
        new = Row(key, uid, version, 0, 0, at, obj, hole)
        if held is None:
            new.seq = new.born = progress.next_seq()
            counters.applied += 1
            changes.append(Put(new, None))
            held = new
        elif (
            version == held.version and uid == held.uid and ((version and not is_item) or obj == held.object)
        ):
            counters.unchanged += 1
        elif is_below(version, held.version):
            counters.stale += 1
            if is_item:
                changes.append(SetAside(new))
        else:
            changes.extend(_replace(progress, counters, held, new, hole))
            held = new
        if stream.open:
            changes.append(Mark(key, stream.open))
            is_marked = True


def _hole_before(stream: StreamState, reads: Reads, key: str, held: Row | None) -> int:
    """HISTORY_LOST if versions of the key may have been there that no list and no watch has brought, else 0.

    What a list or a watch names first while a list is open comes behind the hole that the list closes; all that follows
    of the key has missed nothing. Before the first list has ended only what is stored has a history to lose.
    """
    if not stream.open or (held is None and not stream.lost_from):
        return 0
    return 0 if reads.is_marked(key, stream.open) else HISTORY_LOST


@lru_cache(maxsize=256)
def _resume_number(resume: str) -> int | None:
    """All deltas of a batch are compared with the same few versions."""
    return as_number(resume)


def _is_seen(version: str, resume: str) -> bool:
    """`is_at_or_below`, with the resume version's number at hand."""
    reached = _resume_number(resume)
    if reached is None or not version.isdecimal():
        return version == resume
    return int(version) <= reached


def _note_item(progress: Progress, name: str, stream: StreamState, version: str) -> None:
    """An item of a list: from now on the stream has no version to resume at, but a floor for the next list."""
    if stream.resume:
        progress.change(name).give_up_resume()
    number, floor = as_number(version), as_number(stream.floor)
    if number is not None and (floor is None or number > floor):
        progress.change(name).floor = version


def _deletion(
    progress: Progress,
    counters: Counters,
    held: Row | None,
    uid: str,
    version: str,
    at: int,
    obj: bytes,
    hole: int,
) -> Remove | None:
    if held is None:
        counters.unknown_deletions += 1
        return None
    if is_below(version, held.version) or (uid != held.uid and version and version == held.version):
        counters.stale += 1
        return None
    counters.applied += 1
    if uid != held.uid:
        # The deletion of a later life of this name, of which we never saw the start: ours ended before it.
        return _removal(progress, held, held.version, held.object, FINAL_STATE_UNKNOWN | HISTORY_LOST, at)
    return _removal(progress, held, version, obj or held.object, hole, at)


def _settle(
    progress: Progress,
    lost: Sequence[Row],
    uid: str,
    version: str,
    at: int,
    obj: bytes,
    hole: int,
    *,
    is_deletion: bool,
) -> Iterator[Change]:
    """What a delta of a key decides about the key's lost lives: this uid goes on, or ends here; others have ended."""
    for row in lost:
        if row.uid != uid:
            yield _removal(progress, row, row.version, row.object, FINAL_STATE_UNKNOWN | hole, at)
        elif is_deletion:
            yield _removal(progress, row, version, obj or row.object, hole, at)
    yield Settle(lost[0].key, [] if is_deletion else [row.born for row in lost if row.uid == uid])


def _replace(progress: Progress, counters: Counters, held: Row, new: Row, hole: int) -> Iterator[Change]:
    """A newer state under the same key: an update, or a deletion and an add where the uid changed."""
    counters.applied += 1
    if new.uid != held.uid:
        # No deletion came: other events may be missing, too.
        new.flags = HISTORY_LOST
        yield _removal(progress, held, held.version, held.object, FINAL_STATE_UNKNOWN | HISTORY_LOST, new.at)
        new.seq = new.born = progress.next_seq()
        yield Put(new, None)
        return
    # The same version in another form has missed nothing.
    new.flags = hole if new.version != held.version else 0
    new.seq, new.born = progress.next_seq(), held.born
    yield Put(new, held)


def _removal(progress: Progress, held: Row, version: str, obj: bytes, flags: int, at: int) -> Remove:
    tombstone = Row(held.key, held.uid, version, progress.next_seq(), held.born, at, obj, flags)
    return Remove(tombstone, held)


def _complete_up_to(progress: Progress, name: str, version: str) -> None:
    """The stream is complete up to ``version``. Without a resume version only a list's end completes it."""
    stream = progress.streams.get(name)
    if stream is None or not version:
        return
    reached = highest(stream.resume, version)
    if stream.resume and reached != stream.resume:
        progress.change(name).resume = reached
    floor = highest(stream.floor, version)
    if floor != stream.floor:
        progress.change(name).floor = floor
