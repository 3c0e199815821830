"""The words of delivery: kinds, verdicts and flags of events, an event in flight, what a group reads.

The values are those of docs/wire.md §7.
"""

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

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
    """One change of a scan. ``row``: of deletions and overwritten versions; ``replaced_by``: of the latter, else 0.

    ``live``: the stored row of the key, where the scan has it at hand.
    """

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
    @property
    def live(self) -> Row | None: ...


class Fresh:
    """What the last transaction stored. ``rows``: stored exactly so, by key, in the order of their seq; they are all
    changes above ``after``, where that is not None."""

    __slots__ = ("after", "rows")

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.after: int | None = None


class Changes(Protocol):
    """What a group reads: one consistent state of the shard (indexer.View)."""

    @property
    def fresh(self) -> Fresh: ...
    @property
    def seq(self) -> int: ...
    def scan(self, after: int, limit: int, *, every: bool) -> Sequence[PendingChange]: ...
    def object(self, key: str) -> Row | None: ...
    def gone(self, seq: int) -> Row | None: ...
    def history(self, seq: int) -> Row | None: ...
    def page(self, after: str, limit: int, clock: Clock) -> tuple[list[Row], str]: ...


class Flight(msgspec.Struct, eq=False):
    """One event that a replica holds.

    ``failures`` of before; ``again``: a handler may have been sent it before, failed or not. ``scope``: of a group with
    a filter. ``row`` is kept where the store may not keep the content; ``overwritten`` is what the replica was sent,
    once a newer version is stored: the ``old`` of the next event. ``parked_seq``: what it tries again or supersedes.
    """

    key: str
    uid: str
    born: int
    seq: int
    kind: EventKind
    replica: Replica
    fence: int
    failures: int = 0
    again: bool = False
    row: Row | None = None
    scope: Held | None = None
    old: bytes | None = None
    overwritten: bytes | None = None
    parked_seq: int = 0
    size_bytes: int = 0
    solo: bool = False

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
