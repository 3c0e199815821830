"""The queue of one shard, in memory: a pop is a prefix of the arrival order, grouped by key inside the batch.

Nothing overtakes across batches, and a begin or an end closes a batch. Therefore the version of the last
delta of a committed batch is true of the whole shard, and a crash between any two commits loses nothing.
client-go's keyed queue cannot promise that: a later change rides along with the first one of its key and
its version says nothing about the keys in between.
"""

from collections import deque

import msgspec

from deltawire.common.errors import ProtocolError
from deltawire.common.wire.messages.shard import Batch, Key, ListBegin, ListEnd, Pop, Row
from deltawire.common.wire.messages.stream import Delta
from deltawire.fifo.engine import Barrier, Freed, QueueCounters, ShardQueue
from deltawire.fifo.limits import HIGH_WATER_DELTAS

ObjectKey = tuple[str, str]
# A delta is a plain tuple: at 25,000 a second an object of its own for each would cost more than the rest.
Entry = tuple[Row, ObjectKey] | ListBegin | ListEnd
# A named tuple's own constructor is a function in Python, and costs three times as much.
_new = tuple.__new__


class _Lease(msgspec.Struct):
    last: int
    entries: list[Entry]
    marks: dict[str, str]
    bytes: int


class InOrderQueue:
    """Deltas in arrival order, the leases in front of them, the marks between them.

    ``informer``, ``shard``, ``boot``: for the messages that it gives out.
    ``high_water``: above this depth consecutive updates of one uid are merged inside a batch; always where
    ``latest_only`` says that no handler wants them all. Repeated deletes of a uid are always merged, a
    deletion and what follows it never. Merging happens inside a batch only and keeps
    the later row, so neither the batch's numbers nor the stream's version lose anything.
    """

    def __init__(
        self,
        informer: str = "",
        shard: int = 0,
        boot: str = "",
        *,
        high_water: int = HIGH_WATER_DELTAS,
        latest_only: bool = False,
    ) -> None:
        self._address = (informer, shard, boot)
        self.counters = QueueCounters()
        self.waiting_bytes = 0
        self.leased = 0
        self.leased_bytes = 0
        self.barriers = 0
        self.acked = 0
        self.sent = 0
        self._high_water = high_water
        self._latest_only = latest_only
        self._last = 0
        self._entries: deque[Entry] = deque()
        self._leases: deque[_Lease] = deque()
        # (number, {stream: version}): valid once everything up to number is applied. At most one item per
        # number that waits, and one per stream in it.
        self._marks: deque[tuple[int, dict[str, str]]] = deque()

    @property
    def last(self) -> int:
        return self._last

    def has_popped(self, number: int) -> bool:
        return not self._entries or _number(self._entries[0]) > number

    @property
    def depth(self) -> int:
        return len(self._entries)

    @property
    def has_only_marks(self) -> bool:
        return not self._entries and bool(self._marks)

    def add(self, stream: str, at: int, delta: Delta) -> None:
        type_, namespace, name, uid, version, object_ = delta
        self._last = number = self._last + 1
        row = _new(Row, (number, type_, stream, uid, version, at, object_))
        self._entries.append((row, (namespace, name)))
        self.waiting_bytes += len(object_)
        self.counters.published += 1

    def starts_after(self, number: int) -> None:
        """Numbers begin behind ``number``, which the worker has: for a queue that nothing was put into."""
        self._last = self.acked = self.sent = number

    def begin(self, stream: str, generation: int, *, is_apart: bool = False) -> None:
        """``is_apart``: it has a number of its own, also behind a list that was cut before its first item."""
        tail = self._entries[-1] if self._entries and not is_apart else None
        if isinstance(tail, ListBegin) and tail.stream == stream and tail.number > self.sent:
            # The list before was cut before its first item: no message has carried this number yet.
            self._entries[-1] = ListBegin(*self._address, tail.number, stream, generation)
            return
        self._last += 1
        self.barriers += 1
        self._entries.append(ListBegin(*self._address, self._last, stream, generation))

    def end(self, stream: str, generation: int, count: int, version: str) -> None:
        self._last += 1
        self.barriers += 1
        self._entries.append(ListEnd(*self._address, self._last, stream, generation, count, version))

    def mark(self, stream: str, version: str) -> None:
        if self._marks and self._marks[-1][0] == self._last:
            self._marks[-1][1][stream] = version
        else:
            self._marks.append((self._last, {stream: version}))

    def pop(self, deltas_max: int, bytes_max: int) -> Batch | None:
        entries = self._entries
        if not entries:
            return None
        head = entries[0]
        if not isinstance(head, tuple):
            return self._pop_barrier(head)
        if len(entries) > 1:
            return self._pop_deltas(deltas_max, bytes_max)
        # The delta that is all that waits, as mostly.
        entries.clear()
        row, (namespace, name) = head
        number, size = row.number, len(row.object)
        marks = self._take_marks(number) if self._marks else {}
        self._leases.append(_Lease(number, [head], marks, size))
        self._is_leased(number, 1, size)
        self.counters.popped += 1
        keys = [_new(Key, (namespace, name, [row]))]
        return Pop(*self._address, number, number, keys, list(marks.items()))

    def pop_marks(self) -> Pop | None:
        if not self.has_only_marks:
            return None
        return Pop(*self._address, 0, 0, [], list(self._take_marks(self._last).items()))

    def take_marks(self) -> dict[str, str]:
        """What `pop_marks` would bring, for another queue that goes on behind this one."""
        return self._take_marks(self._last) if self.has_only_marks else {}

    def ack(self, number: int) -> Freed:
        if number > self.sent:
            raise ProtocolError(f"an ack of {number}, but only up to {self.sent} was sent")
        done: list[Entry] = []
        while self._leases and self._leases[0].last <= number:
            lease = self._leases.popleft()
            self.leased -= len(lease.entries)
            self.leased_bytes -= lease.bytes
            done += lease.entries
        if self._leases:
            done += self._trim(self._leases[0], number)
        elif self._entries:
            done += self._forget(number)
        self.acked = max(self.acked, number)
        freed = Freed()
        for entry in done:
            if isinstance(entry, tuple):
                row = entry[0]
                deltas, size = freed.credit.get(row.stream, (0, 0))
                freed.credit[row.stream] = (deltas + 1, size + len(row.object))
            else:
                self.barriers -= 1
                freed.barriers.append(entry)
        return freed

    def release(self) -> int:
        released = 0
        while self._leases:
            lease = self._leases.pop()
            self._entries.extendleft(reversed(lease.entries))
            if lease.marks:
                self._marks.appendleft((lease.last, lease.marks))
            self.waiting_bytes += lease.bytes
            released += len(lease.entries)
            self.counters.redelivered += sum(1 for entry in lease.entries if isinstance(entry, tuple))
        self.leased = self.leased_bytes = 0
        return released

    def oldest_at(self) -> int | None:
        leased = (entry for lease in self._leases for entry in lease.entries)
        for entries in (leased, self._entries):
            for entry in entries:
                if isinstance(entry, tuple):
                    return entry[0].at
        return None

    def _pop_deltas(self, deltas_max: int, bytes_max: int) -> Pop:
        entries = self._entries
        merge_updates = self._latest_only or len(entries) > self._high_water
        taken: list[Entry] = []
        groups: dict[ObjectKey, list[Row]] = {}
        size = 0
        while entries and len(taken) < deltas_max:
            entry = entries[0]
            if not isinstance(entry, tuple):
                break
            row, key = entry
            row_size = len(row.object)
            if taken and size + row_size > bytes_max:
                break
            taken.append(entries.popleft())
            size += row_size
            rows = groups.get(key)
            if rows is None:
                groups[key] = [row]
            elif self._merges(rows[-1], row, merge_updates):
                rows[-1] = row
            else:
                rows.append(row)
        first, last = _number(taken[0]), _number(taken[-1])
        marks = self._take_marks(last)
        self._leases.append(_Lease(last, taken, marks, size))
        self._is_leased(last, len(taken), size)
        self.counters.popped += len(taken)
        keys = [Key(*key, rows) for key, rows in groups.items()]
        return Pop(*self._address, first, last, keys, list(marks.items()))

    def _pop_barrier(self, barrier: Barrier) -> Barrier:
        self._entries.popleft()
        # Marks in front of it wait for the next pop. A list takes its stream's mark away: delivered after
        # the begin it would let the stream resume from the middle of that list.
        marks = self._take_marks(barrier.number - 1)
        marks.pop(barrier.stream, None)
        if marks:
            if self._marks and self._marks[0][0] == barrier.number:
                marks |= self._marks.popleft()[1]
            self._marks.appendleft((barrier.number, marks))
        self._leases.append(_Lease(barrier.number, [barrier], {}, 0))
        self._is_leased(barrier.number, 1, 0)
        return barrier

    def _merges(self, before: Row, row: Row, merge_updates: bool) -> bool:
        """True if ``row`` takes the place of ``before``, the row of the same key just before it."""
        if before.type != row.type or before.uid != row.uid:
            return False
        if row.type == "D":
            self.counters.dedup_deletes += 1
            return True
        if row.type == "U" and merge_updates:
            self.counters.dedup_updates += 1
            return True
        return False

    def _is_leased(self, last: int, count: int, size: int) -> None:
        self.leased += count
        self.leased_bytes += size
        self.waiting_bytes -= size
        if last > self.sent:
            self.sent = last

    def _take_marks(self, number: int) -> dict[str, str]:
        """The marks that hold once everything up to ``number`` is applied, the newest of each stream."""
        marks: dict[str, str] = {}
        while self._marks and self._marks[0][0] <= number:
            marks |= self._marks.popleft()[1]
        return marks

    def _trim(self, lease: _Lease, number: int) -> list[Entry]:
        """Takes out of a batch what an ack in the middle of it covers."""
        done = [entry for entry in lease.entries if _number(entry) <= number]
        if done:
            size = sum(len(entry[0].object) for entry in done if isinstance(entry, tuple))
            del lease.entries[: len(done)]
            lease.bytes -= size
            self.leased -= len(done)
            self.leased_bytes -= size
        return done

    def _forget(self, number: int) -> list[Entry]:
        """Takes out what waits up to ``number``: redelivered, but a worker had committed it before it died."""
        gone: list[Entry] = []
        while self._entries and _number(self._entries[0]) <= number:
            gone.append(self._entries.popleft())
        if gone:
            # Among what is dropped may be a begin that voids a mark before it; marks can be spared.
            self._take_marks(number)
            self.waiting_bytes -= sum(len(entry[0].object) for entry in gone if isinstance(entry, tuple))
        return gone


def _number(entry: Entry) -> int:
    return entry[0].number if isinstance(entry, tuple) else entry.number


class InMemoryEngine:
    """Queues in this process' memory: rebuilt from hellos when it dies."""

    def queue(self, informer: str, shard: int, *, boot: str, latest_only: bool) -> ShardQueue:
        return InOrderQueue(informer, shard, boot, latest_only=latest_only)
