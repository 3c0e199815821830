"""One write transaction of a shard's store: how a change, a group's row, a stream's state get into the databases."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import msgspec

from deltawire.common.beats import Beats
from deltawire.common.store import layout, meta
from deltawire.common.store.layout import (
    Row,
    object_key,
    pack_past,
    pack_row,
    seq_key,
    seq_of,
    text_key,
    text_of,
    unpack_past,
    unpack_row,
)
from deltawire.common.store.meta import ShardState, StreamState
from deltawire.informer.changes import Change, ForgetMarks, Mark, Remove, Restore, SetAside, Settle
from deltawire.informer.store.index_functions import IndexFunctions
from deltawire.informer.store.ledger import Life
from deltawire.informer.store.lost import NO_CONTENT, rows_of_lost

_FRESH_MAX = 256
# Of rows that are looked at or written one after the other: so often it is said that work goes on.
PROGRESS_ROWS = 64


class Watching(Protocol):
    """Who must know of versions before they are stored: a shard's groups."""

    def are_concerned(self, replaced: int) -> bool:
        """False if what is stored in the place of change ``replaced`` (0: of none) is nothing to any of them."""
        ...

    def stored(self, row: Row, old: Row | None) -> bool:
        """``row`` is about to be stored in the place of ``old``. True if that version must go to history."""
        ...


class Nobody:
    """No group has anything in hand: nothing but rows is stored."""

    def are_concerned(self, replaced: int) -> bool:
        return False

    def stored(self, row: Row, old: Row | None) -> bool:
        return False


NOBODY = Nobody()


class Batch:
    """A shard's write transactions, of which one is open at a time. Also the `Reads` of applying, so that a batch finds
    what it wrote.

    ``state`` is changed at will and written at the end. ``has_lost``: there is anything in ``lost``. ``changes``: how
    many were made, so how long the commit may take. ``fresh``: what was stored, for the delivery that follows; not all
    of it where ``is_large``. ``lives``: those of objects that begin, or (None) end, for the ledger. ``newest_at``: of
    the newest change, µs since the epoch.
    """

    state: ShardState
    txn: Any

    def __init__(
        self,
        dbs: dict[bytes, Any],
        indexes: dict[str, Any],
        functions: IndexFunctions,
        *,
        end: Callable[["Batch", BaseException | None], object],
        kept: dict[bytes, bool],
        beats: Beats,
    ) -> None:
        """``end`` commits, or after an error aborts. ``kept``: of ``gone`` and ``history``, whether there may be any
        rows. ``beats`` report long work."""
        self._end = end
        self._kept = kept
        self._beats = beats
        self._dbs = dbs
        self._objects, self._changes = dbs[layout.OBJECTS], dbs[layout.CHANGES]
        self._indexes = indexes
        self._functions = functions
        self.has_lost = False

    def begin(self, txn: Any, state: ShardState, *, has_lost: bool, watching: Watching = NOBODY) -> "Batch":
        """The next transaction; nothing of the one before is left."""
        self.txn, self.state, self.has_lost, self._watching = txn, state, has_lost, watching
        self.lives: dict[int, Life | None] = {}
        self.newest_at = 0
        self.changes = 0
        self.fresh: dict[str, Row] = {}
        self.is_large = False
        return self

    def __enter__(self) -> "Batch":
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._end(self, error)

    def db(self, name: bytes) -> Any:
        """The handle of a database, for what is not a row of a kind known here."""
        return self._dbs[name]

    def held(self, key: str) -> Row | None:
        data = self.txn.get(object_key(key), db=self._objects)
        return None if data is None else unpack_row(data, key)

    def is_marked(self, key: str, generation: int) -> bool:
        return bool(self.txn.get(object_key(key), db=self._dbs[layout.SEEN]) == seq_key(generation))

    def unmarked(self, prefix: str, generation: int) -> list[str]:
        keys = []
        start = layout.prefix_key(prefix)
        marks = self._dbs[layout.SEEN]
        wanted = seq_key(generation)
        for n, (raw, data) in enumerate(self._from(layout.OBJECTS, start)):
            if not n % PROGRESS_ROWS:
                self._beats.progress("a scan of what a list did not name")
            if self.txn.get(raw, db=marks) != wanted:
                keys.append(text_of(raw) or unpack_row(data).key)
        return [key for key in keys if key.startswith(prefix)]

    def all_keys(self) -> list[str]:
        """All stored keys: for what happens once, when the shard is opened."""
        return [text_of(raw) or unpack_row(data).key for raw, data in self._from(layout.OBJECTS, b"")]

    def set_aside(self, prefix: str) -> list[Row]:
        rows = [
            unpack_row(data, text_of(raw))
            for raw, data in self._from(layout.ASIDE, layout.prefix_key(prefix))
        ]
        return [row for row in rows if row.key.startswith(prefix)]

    def lost(self, key: str) -> list[Row]:
        if not self.has_lost:
            return []
        data = self.txn.get(text_key(key), db=self._dbs[layout.LOST])
        return [] if data is None else rows_of_lost(data)

    def lost_under(self, prefix: str) -> list[Row]:
        found = self._from(layout.LOST, layout.prefix_key(prefix)) if self.has_lost else ()
        return [row for _, data in found for row in rows_of_lost(data) if row.key.startswith(prefix)]

    def make(self, change: Change, *, keep_gone: bool, keep_history: bool) -> None:
        """Carry one change out. ``keep_gone``: some group must see deletions; ``keep_history``: this version."""
        self._count()
        if isinstance(change, Mark):
            self.txn.put(text_key(change.key), seq_key(change.generation), db=self._dbs[layout.SEEN])
        elif isinstance(change, Restore):
            self._restore(change.row)
        elif isinstance(change, Remove):
            self._remove(change, keep_gone=keep_gone, keep_history=keep_history)
        elif isinstance(change, SetAside):
            row = change.row
            self.txn.put(text_key(row.key), self._pack(text_key(row.key), row), db=self._dbs[layout.ASIDE])
        elif isinstance(change, ForgetMarks):
            for name in (layout.SEEN, layout.ASIDE):
                self._clear(name, layout.prefix_key(change.prefix))
        elif isinstance(change, Settle):
            self.lives.update(dict.fromkeys(change.continued))
            self.txn.delete(text_key(change.key), db=self._dbs[layout.LOST])

    def lose(self, key: str, data: bytes) -> None:
        """Remember lives that may have ended unseen (`lost.encode_lost`)."""
        self.has_lost = True
        self.txn.put(text_key(key), data, db=self._dbs[layout.LOST])

    def put(self, name: bytes, key: bytes, data: bytes) -> None:
        """Write a row of a group's own: ``groups``, ``parked``, ``owed``."""
        self.txn.put(key, data, db=self._dbs[name])

    def delete(self, name: bytes, key: bytes) -> None:
        """Remove a row of a group's own, if there is one."""
        self.txn.delete(key, db=self._dbs[name])

    def put_stream(self, name: str, stream: StreamState) -> None:
        self.txn.put(meta.stream_key(name), meta.encode(stream), db=self._dbs[layout.META])

    def drop_stream(self, name: str) -> None:
        self.txn.delete(meta.stream_key(name), db=self._dbs[layout.META])

    def trim(self, name: bytes, up_to: int) -> list[int]:
        """Remove rows numbered up to ``up_to`` of ``gone`` or ``history``. The ``born`` of what they were of."""
        removed: list[int] = []
        if not self._kept[name]:
            return removed
        cursor = self.txn.cursor(db=self._dbs[name])
        cursor.first()
        # The key is empty where nothing is left.
        while (raw := cursor.key()) and seq_of(raw) <= up_to:
            removed.append(layout.born_of(cursor.value()))
            cursor.delete()
            if not len(removed) % PROGRESS_ROWS:
                self._beats.progress("a removal of what all have seen")
        self._kept[name] = bool(raw)
        return removed

    def drop_history(self, kept: set[int]) -> Iterator[tuple[Row, int]]:
        """The byte bound was reached: give up what `every` groups have not seen yet, but the versions in ``kept``.

        Each that is gone, and what replaced it.
        """
        cursor = self.txn.cursor(db=self._dbs[layout.HISTORY])
        found = cursor.first()
        while found:
            if seq_of(cursor.key()) in kept:
                found = cursor.next()
                continue
            yield unpack_past(cursor.value())
            cursor.delete()
            # The key is empty where nothing is left.
            found = bool(cursor.key())

    def shorten_gone(self, minimal: Any) -> None:
        """The byte bound was reached: replace the content of deletions by ``minimal(row)``."""
        cursor = self.txn.cursor(db=self._dbs[layout.GONE])
        found = cursor.first()
        while found:
            self._beats.progress("deletions lose their content")
            row = unpack_row(cursor.value())
            short = minimal(row)
            if len(short) < len(row.object):
                shortened = msgspec.structs.replace(
                    row, object=short, flags=row.flags | layout.FINAL_STATE_UNKNOWN
                )
                cursor.put(cursor.key(), pack_row(shortened, with_key=True))
            found = cursor.next()

    def empty_indexes(self) -> list[bytes]:
        """Before `reindex`: remove all entries. The keys of all objects."""
        for index in self._indexes.values():
            self.txn.drop(index, delete=False)
        return [raw for raw, _ in self._from(layout.OBJECTS, b"")]

    def reindex(self, raw_keys: Iterable[bytes]) -> None:
        """Make the index entries of these objects anew; the indices were emptied before."""
        for raw in raw_keys:
            data = self.txn.get(raw, db=self._dbs[layout.OBJECTS])
            if data is None:
                continue
            row = unpack_row(data, text_of(raw))
            row.indexed = self._functions.packed(row.key, row.object)
            self._move_entries(raw, b"", row.indexed)
            self.txn.put(raw, self._pack(raw, row), db=self._dbs[layout.OBJECTS])

    def has(self, name: bytes) -> bool:
        """True if the database has any row."""
        return bool(self.txn.stat(self._dbs[name])["entries"])

    def _count(self) -> None:
        self.changes += 1
        if not self.changes % PROGRESS_ROWS:
            self._beats.progress("a large batch")

    def store(self, row: Row, old: Row | None) -> bool:
        """Store ``row`` in the place of ``old``, the version before; None for an add. True if that went to history."""
        self._count()
        key, txn, changes, functions = row.key, self.txn, self._changes, self._functions
        raw, keep_history, replaced = object_key(key), False, 0 if old is None else old.seq
        if self._watching.are_concerned(replaced) or (old is not None and old.flags & NO_CONTENT):
            keep_history = self._watching.stored(row, old)
        if self._indexes:
            try:
                row.indexed = functions.known[functions.values_of(functions.decode(row.object))]
            except Exception:
                # Values that were not met yet, or not one of each.
                row.indexed = functions.packed(key, row.object)
        self.newest_at = row.at
        if not self.is_large:
            self.fresh[key] = row
            self.is_large = len(self.fresh) > _FRESH_MAX
        text = key.encode()
        # As long as the text and a byte, unless it was cut.
        txn.put(raw, pack_row(row, with_key=len(raw) != len(text) + 1), db=self._objects)
        before = b""
        if old is None:
            self.lives[row.born] = Life(row.uid, key)
        else:
            before = old.indexed
            txn.delete(seq_key(replaced), db=changes)
            if keep_history:
                self._keep_past(old, row.seq)
        txn.put(seq_key(row.seq), text, db=changes, append=True)
        if row.indexed != before:
            self._move_entries(raw, before, row.indexed)
        return keep_history

    def _restore(self, row: Row) -> None:
        """As `store`, under a number that is not the newest."""
        self.is_large = True
        raw = object_key(row.key)
        row.indexed = self._functions.packed(row.key, row.object)
        self.txn.put(raw, self._pack(raw, row), db=self._objects)
        self.txn.put(seq_key(row.seq), row.key.encode(), db=self._changes)
        self._move_entries(raw, b"", row.indexed)

    def _remove(self, change: Remove, *, keep_gone: bool, keep_history: bool) -> None:
        old = change.old
        raw = text_key(old.key)
        # What was stored before is not fresh any more either.
        self.is_large = True
        self.newest_at = change.tombstone.at
        self.txn.delete(raw, db=self._dbs[layout.OBJECTS])
        self.txn.delete(seq_key(old.seq), db=self._dbs[layout.CHANGES])
        self.txn.delete(raw, db=self._dbs[layout.SEEN])
        if old.indexed:
            self._move_entries(raw, old.indexed, b"")
        if keep_history:
            self._keep_past(old, change.tombstone.seq)
        if not keep_gone:
            self.lives[old.born] = None
        else:
            gone = change.tombstone
            self._kept[layout.GONE] = True
            self.txn.put(seq_key(gone.seq), pack_row(gone, with_key=True), db=self._dbs[layout.GONE])

    def _keep_past(self, row: Row, replaced_by: int) -> None:
        self._kept[layout.HISTORY] = True
        self.txn.put(seq_key(row.seq), pack_past(row, replaced_by), db=self._dbs[layout.HISTORY])

    def _move_entries(self, raw: bytes, before: bytes, after: bytes) -> None:
        """Index entries of one object from what they were to what they are."""
        old, new = layout.unpack_indexed(before), layout.unpack_indexed(after)
        for name, index in self._indexes.items():
            was, now = set(old.get(name, ())), set(new.get(name, ()))
            for value in was - now:
                self.txn.delete(text_key(value), raw, db=index)
            for value in now - was:
                self.txn.put(text_key(value), raw, db=index)

    def _pack(self, raw: bytes, row: Row) -> bytes:
        return pack_row(row, with_key=layout.is_cut(raw))

    def _from(self, name: bytes, start: bytes) -> Iterator[tuple[bytes, bytes]]:
        cursor = self.txn.cursor(db=self._dbs[name])
        if cursor.set_range(start):
            for raw, data in cursor:
                if not raw.startswith(start):
                    return
                yield raw, data

    def _clear(self, name: bytes, start: bytes) -> None:
        cursor = self.txn.cursor(db=self._dbs[name])
        cursor.set_range(start)
        # The key is empty where nothing is left.
        while (raw := cursor.key()) and raw.startswith(start):
            self._beats.progress("a removal of marks")
            cursor.delete()
