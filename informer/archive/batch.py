"""A shard's write transactions that are recorded on the way, for its archive."""

from collections.abc import Iterator
from typing import Any

from deltawire.common.store import layout, meta
from deltawire.common.store.layout import Row, seq_key, text_key
from deltawire.common.store.meta import ShardState, StreamState
from deltawire.informer.archive.keeper import ArchiveKeeper
from deltawire.informer.archive.mark import put_mark
from deltawire.informer.archive.record import Op, Position, Record, end_op, gone_op, object_op, past_op
from deltawire.informer.changes import Change, Remove, Settle
from deltawire.informer.store.batch import NOBODY, Batch, Watching

# What is archived row by row. Of lost names, those that an archive has brought back are in its ``objects``.
_OWN_ROWS = frozenset({layout.GROUPS, layout.PARKED, layout.OWED, layout.MATCHED})


class ArchivedBatch(Batch):
    """As `Batch`; what is committed is handed to the ``keeper``, in the order of the commits."""

    def __init__(self, *arguments: Any, keeper: ArchiveKeeper, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._keeper = keeper
        self._ops: list[Op] = []
        self._trims: list[tuple[bytes, int]] = []
        self._began = Position()

    def begin(self, txn: Any, state: ShardState, *, has_lost: bool, watching: Watching = NOBODY) -> Batch:
        self._ops, self._trims = [], []
        self._began = position_of(state)
        return super().begin(txn, state, has_lost=has_lost, watching=watching)

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        position = position_of(self.state)
        if error is not None or not (self._ops or self._trims or position != self._began):
            super().__exit__(kind, error, trace)
            return
        place = self._keeper.next_place
        put_mark(self, place)
        super().__exit__(kind, error, trace)
        record = Record(
            kind="ops", epoch=place.epoch, place=place, position=position, ops=self._ops, trims=self._trims
        )
        self._keeper.add(record)

    def make(self, change: Change, *, keep_gone: bool, keep_history: bool) -> None:
        super().make(change, keep_gone=keep_gone, keep_history=keep_history)
        if isinstance(change, Remove):
            old, tombstone = change.old, change.tombstone
            self._ops.append(end_op(old.key))
            if keep_history:
                self._ops.append(past_op(old, tombstone.seq))
            if keep_gone:
                self._ops.append(gone_op(tombstone))
        elif isinstance(change, Settle):
            self._ops.append((layout.LOST, text_key(change.key), None))

    def store(self, row: Row, old: Row | None) -> bool:
        is_history = super().store(row, old)
        self._ops.append(object_op(row))
        if old is not None and is_history:
            self._ops.append(past_op(old, row.seq))
        return is_history

    def put(self, name: bytes, key: bytes, data: bytes) -> None:
        super().put(name, key, data)
        if name in _OWN_ROWS:
            self._ops.append((name, key, data))

    def delete(self, name: bytes, key: bytes) -> None:
        super().delete(name, key)
        if name in _OWN_ROWS:
            self._ops.append((name, key, None))

    def put_stream(self, name: str, stream: StreamState) -> None:
        super().put_stream(name, stream)
        self._ops.append((layout.META, meta.stream_key(name), meta.encode(stream)))

    def drop_stream(self, name: str) -> None:
        super().drop_stream(name)
        self._ops.append((layout.META, meta.stream_key(name), None))

    def trim(self, name: bytes, up_to: int) -> list[int]:
        removed = super().trim(name, up_to)
        if removed:
            self._trims.append((name, up_to))
        return removed

    def drop_history(self, kept: set[int]) -> Iterator[tuple[Row, int]]:
        for row, replaced_by in super().drop_history(kept):
            self._ops.append((layout.HISTORY, seq_key(row.seq), None))
            yield row, replaced_by


def position_of(state: ShardState) -> Position:
    """How far a shard is, as archived."""
    return Position(state.boot, state.number, state.seq)
