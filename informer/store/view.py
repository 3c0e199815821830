"""What delivery reads of a shard: its changes in order, and the rows behind them, in one read transaction."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from deltawire.common.clock import Clock
from deltawire.common.store import layout, pages
from deltawire.common.store.layout import Row, object_key, seq_key, seq_of, text_key, unpack_past, unpack_row
from deltawire.informer.groups.events import Fresh
from deltawire.informer.store.lost import NO_CONTENT, rows_of_lost


class Pending(msgspec.Struct, gc=False):
    """One change above a position. ``row`` is set for gone and history, ``replaced_by`` for history alone.

    ``live``: the stored row of the key, where it is at hand.
    """

    seq: int
    key: str
    row: Row | None
    is_gone: bool
    replaced_by: int = 0
    live: Row | None = None


class View:
    """What delivery reads, in one read transaction. ``seq``: number of the newest committed change."""

    def __init__(
        self,
        txn: Any,
        dbs: dict[bytes, Any],
        seq: int,
        fresh: Fresh,
        explained: Callable[[BaseException | None], object],
    ) -> None:
        """``explained`` raises an error of the store in this project's words."""
        self.seq = seq
        self.fresh = fresh
        self._txn = txn
        self._dbs = dbs
        self._explained = explained

    def __enter__(self) -> "View":
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._txn.abort()
        if error is not None:
            self._explained(error)

    def object(self, key: str) -> Row | None:
        """The live object of a key."""
        row = self.fresh.rows.get(key)
        if row is not None:
            return row
        data = self._txn.get(object_key(key), db=self._dbs[layout.OBJECTS])
        return None if data is None else unpack_row(data, key)

    def gone(self, seq: int) -> Row | None:
        """The deletion with this number."""
        data = self._txn.get(seq_key(seq), db=self._dbs[layout.GONE])
        return None if data is None else unpack_row(data)

    def history(self, seq: int) -> Row | None:
        """The overwritten version with this number."""
        data = self._txn.get(seq_key(seq), db=self._dbs[layout.HISTORY])
        return None if data is None else unpack_past(data)[0]

    def scan(self, after: int, limit: int, *, every: bool) -> list[Pending]:
        """The next changes above ``after`` in order: live objects, deletions and, for ``every``, history."""
        if self.fresh.after is not None and after >= self.fresh.after:
            fresh = [
                Pending(row.seq, row.key, None, False, 0, row)
                for row in self.fresh.rows.values()
                if row.seq > after
            ]
            return fresh[:limit]
        found = [
            Pending(seq_of(raw), data.decode(), None, False)
            for raw, data in self._range(layout.CHANGES, after, limit)
        ]
        alone = len(found)
        for raw, data in self._range(layout.GONE, after, limit):
            row = unpack_row(data)
            found.append(Pending(seq_of(raw), row.key, row, True))
        if every:
            for raw, data in self._range(layout.HISTORY, after, limit):
                row, replaced_by = unpack_past(data)
                found.append(Pending(seq_of(raw), row.key, row, False, replaced_by))
        if len(found) > alone:
            found.sort(key=lambda pending: pending.seq)
        return found[:limit]

    def page(self, after: str, limit: int, clock: Clock) -> tuple[list[Row], str]:
        """Live objects by key, for a resync."""
        return pages.read_page(self._txn, self._dbs[layout.OBJECTS], "", after, limit, clock)

    def rows(self, name: bytes) -> Iterator[tuple[bytes, bytes]]:
        """All rows of a database."""
        return iter(self._txn.cursor(db=self._dbs[name]))

    def lost(self, key: str) -> Row | None:
        """The object of a key whose content is to come."""
        data = self._txn.get(text_key(key), db=self._dbs[layout.LOST])
        found = [] if data is None else [row for row in rows_of_lost(data) if row.flags & NO_CONTENT]
        return found[0] if found else None

    def lives(self) -> set[int]:
        """``born`` of all objects, those included whose deletion some group has still to see. Reads every row."""
        return {
            layout.born_of(data)
            for name in (layout.OBJECTS, layout.GONE)
            for _, data in self._txn.cursor(db=self._dbs[name])
        }

    def lives_count(self) -> int:
        """How many `lives` there are."""
        return sum(int(self._txn.stat(self._dbs[name])["entries"]) for name in (layout.OBJECTS, layout.GONE))

    def counts(self) -> int:
        """An upper bound of what any group may still have to see."""
        return sum(
            int(self._txn.stat(self._dbs[name])["entries"])
            for name in (layout.CHANGES, layout.GONE, layout.HISTORY)
        )

    def _range(self, name: bytes, after: int, limit: int) -> Iterator[tuple[bytes, bytes]]:
        cursor = self._txn.cursor(db=self._dbs[name])
        if cursor.set_range(seq_key(after + 1)):
            for number, item in enumerate(cursor):
                if number == limit:
                    return
                yield item
