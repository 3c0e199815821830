"""The seam between the broker and the queue it runs on.

The broker decides who may read what and when; an engine keeps the deltas of one shard in order until they
are acknowledged. What it gives out are the messages to the shard's worker (docs/wire.md §6). Today there is one,
`deltawire.fifo.in_order`, in this process' memory. Nothing above this module knows which engine runs.
"""

from dataclasses import dataclass, field
from typing import Protocol

from deltawire.common.wire.messages.shard import Batch, ListBegin, ListEnd, Pop
from deltawire.common.wire.messages.stream import Delta

Barrier = ListBegin | ListEnd


@dataclass(slots=True)
class Freed:
    """What an acknowledgement let go of: deltas and bytes per stream, and the barriers in their order."""

    credit: dict[str, tuple[int, int]] = field(default_factory=dict)
    barriers: list[Barrier] = field(default_factory=list)


@dataclass(slots=True)
class QueueCounters:
    """Totals since the queue was made. Deltas only: barriers and marks are not counted."""

    published: int = 0
    popped: int = 0
    redelivered: int = 0
    dedup_deletes: int = 0
    dedup_updates: int = 0


class ShardQueue(Protocol):
    """The deltas of one shard in arrival order, numbered from 1."""

    counters: QueueCounters

    @property
    def acked(self) -> int:
        """The number up to which all is acknowledged and forgotten."""
        ...

    @property
    def sent(self) -> int:
        """The highest number that was ever popped."""
        ...

    @property
    def last(self) -> int:
        """The number of the newest delta or barrier; 0 if there was none."""
        ...

    def has_popped(self, number: int) -> bool:
        """True if nothing up to ``number`` waits to be popped."""
        ...

    @property
    def depth(self) -> int:
        """Deltas and barriers that wait to be popped."""
        ...

    @property
    def waiting_bytes(self) -> int: ...

    @property
    def barriers(self) -> int:
        """Begins and ends that wait or are leased."""
        ...

    @property
    def leased(self) -> int:
        """Deltas and barriers popped and not acknowledged."""
        ...

    @property
    def leased_bytes(self) -> int: ...

    @property
    def has_only_marks(self) -> bool:
        """True if nothing but marks waits: `pop_marks` has something to give."""
        ...

    def add(self, stream: str, at: int, delta: Delta) -> None:
        """``at``: when it was read from the API server, µs since the epoch."""
        ...

    def begin(self, stream: str, generation: int) -> None: ...

    def end(self, stream: str, generation: int, count: int, version: str) -> None: ...

    def mark(self, stream: str, version: str) -> None:
        """The stream is complete up to ``version`` once all that is queued so far is applied."""
        ...

    def pop(self, deltas_max: int, bytes_max: int) -> Batch | None:
        """Lease the next batch; None if no delta and no barrier waits."""
        ...

    def pop_marks(self) -> Pop | None:
        """The marks at the tail, where nothing else waits."""
        ...

    def ack(self, number: int) -> Freed:
        """The worker has committed all up to ``number``: leased, or released and waiting again.

        Raises ProtocolError for a number that was never popped.
        """
        ...

    def release(self) -> int:
        """All leases go back to the head, in order; returns how many deltas and barriers."""
        ...

    def oldest_at(self) -> int | None:
        """``at`` of the oldest delta that waits or is leased, in µs since the epoch."""
        ...


class Engine(Protocol):
    """Makes the queue of a shard."""

    def queue(self, informer: str, shard: int, *, boot: str, latest_only: bool) -> ShardQueue: ...
