"""The words of delivery: kinds, verdicts and flags of events, an event in flight, what a group reads.

The values are those of docs/wire.md §7.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from deltawire.common.clock import Clock
from deltawire.common.store.layout import Row
from deltawire.common.wire.messages.group import EventKind
from deltawire.informer.groups.replica import Replica
from deltawire.informer.groups.scope import Held

ADD: Final = "A"
UPDATE: Final = "U"
DELETE: Final = "D"
RESYNC: Final = "S"
DONE, RETRY, DEAD = 0, 1, 2

GAP = 2
COALESCED = 4
INITIAL = 8

# A row of the group's own to write (db, key, data) or, with None, to delete.
Write = tuple[bytes, bytes, bytes | None]


class PendingChange(Protocol):
    """One change of a scan. ``row``: of deletions and overwritten versions; ``replaced_by``: of the latter, else 0."""

    @property
    def seq(self) -> int: ...
    @property
    def key(self) -> str: ...
    @property
    def row(self) -> Row | None: ...
    @property
    def is_gone(self) -> bool: ...
    @property
    def replaced_by(self) -> int: ...


class Changes(Protocol):
    """What a group reads: one consistent state of the shard (indexer.View)."""

    @property
    def seq(self) -> int: ...
    def scan(self, after: int, limit: int, *, every: bool) -> Sequence[PendingChange]: ...
    def object(self, key: str) -> Row | None: ...
    def gone(self, seq: int) -> Row | None: ...
    def history(self, seq: int) -> Row | None: ...
    def page(self, after: str, limit: int, clock: Clock) -> tuple[list[Row], str]: ...


class Flight:
    """One event that a replica holds.

    ``failures`` of before; ``again``: a handler may have been sent it before, failed or not. ``scope``: of a group with
    a filter. ``row`` is kept where the store may not keep the content; ``overwritten`` is what the replica was sent,
    once a newer version is stored: the ``old`` of the next event. ``parked_seq``: what it tries again or supersedes.
    """

    __slots__ = (
        "again",
        "born",
        "failures",
        "fence",
        "key",
        "kind",
        "old",
        "overwritten",
        "parked_seq",
        "replica",
        "row",
        "scope",
        "seq",
        "size_bytes",
        "solo",
        "uid",
    )

    def __init__(self, row: Row, seq: int, kind: EventKind, replica: Replica, fence: int) -> None:
        self.key = row.key
        self.uid = row.uid
        self.born = row.born
        self.seq = seq
        self.kind = kind
        self.replica = replica
        self.fence = fence
        self.failures = 0
        self.again = False
        self.row: Row | None = None
        self.scope: Held | None = None
        self.old: bytes | None = None
        self.overwritten: bytes | None = None
        self.parked_seq = 0
        self.size_bytes = 0
        self.solo = False

    @property
    def attempt(self) -> int:
        """1 only if no handler can have been sent it before (but where that handler wished to see it again)."""
        return max(self.failures + 1, 2 if self.again else 1)


class Counters:
    """Totals since the worker opened the shard."""

    def __init__(self) -> None:
        self.delivered = 0
        self.acknowledged = 0
        self.failed = 0
        self.late = 0
        self.coalesced = 0
        self.gaps = 0
        # Changes that no clause of the group's filter wanted.
        self.filtered = 0


def stored_version(changes: Changes, key: str, seq: int, *, every: bool) -> Row | None:
    """Version ``seq`` of a live object, or None where it was overwritten and is not in history."""
    row = changes.object(key)
    if row is not None and row.seq == seq:
        return row
    return changes.history(seq) if every else None
