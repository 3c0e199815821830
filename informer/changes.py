"""Between `apply` and the store: what applying deltas asks for besides storing rows, and what it reads and counts."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from deltawire.common.store.layout import Row


class Restore(msgspec.Struct, gc=False):
    """Store ``row``, a version that was stored under this number before its content was lost with a host."""

    row: Row


class Remove(msgspec.Struct, gc=False):
    """Take ``old`` away and keep ``tombstone``, a row of its own seq with the last content."""

    tombstone: Row
    old: Row


class Mark(msgspec.Struct, gc=False):
    """The open list of ``generation`` has named this key."""

    key: str
    generation: int


class SetAside(msgspec.Struct, gc=False):
    """An item of the open list that is older than what is stored: true only if the cluster went back."""

    row: Row


class ForgetMarks(msgspec.Struct, gc=False):
    """The list is over: marks and rows set aside of keys with this prefix are of no more use."""

    prefix: str


class Settle(msgspec.Struct, gc=False):
    """It is known now what became of the lost lives of this key; ``continued``: ``born`` of those that go on."""

    key: str
    continued: list[int]


class Hole(msgspec.Struct, gc=False):
    """A list of ``stream`` has ended that was not its first: what changed from ``lost_from`` to ``version`` and is not
    in the list is lost. ``at``: µs since the epoch."""

    stream: str
    generation: int
    lost_from: str
    version: str
    at: int


Change = Restore | Remove | Mark | SetAside | ForgetMarks | Settle | Hole


class Reads(Protocol):
    """What applying looks up, inside the batch's own transaction."""

    def held(self, key: str) -> Row | None:
        """The stored row of a key."""
        ...

    def is_marked(self, key: str, generation: int) -> bool:
        """True if the list of this generation has named the key."""
        ...

    def unmarked(self, prefix: str, generation: int) -> Sequence[str]:
        """Stored keys with this prefix whose mark is not of this generation."""
        ...

    def set_aside(self, prefix: str) -> Sequence[Row]:
        """The rows set aside of keys with this prefix."""
        ...

    def lost(self, key: str) -> Sequence[Row]:
        """Lives of a key that a crash of the machine left without content (`informer.store.lost`)."""
        ...

    def lost_under(self, prefix: str) -> Sequence[Row]:
        """The same of all keys with this prefix."""
        ...


class Counters(msgspec.Struct):
    """What was not applied, and why. Totals since the process started."""

    applied: int = 0
    repeated: int = 0
    replayed: int = 0
    stale: int = 0
    unchanged: int = 0
    unknown_deletions: int = 0
    foreign_streams: int = 0
    ended_lists_ignored: int = 0
    swept: int = 0
