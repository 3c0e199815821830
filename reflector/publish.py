"""One stream's publications: kept in order, cut into messages, sent as credit allows.

Pure: publications in, messages (docs/wire.md §5) out.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from deltawire.common.limits import BATCH_BYTES_MAX, BATCH_DELTAS_MAX
from deltawire.common.wire.messages import stream as wire
from deltawire.common.wire.messages.fields import Message
from deltawire.common.wire.messages.stream import Delta
from deltawire.reflector.action import Begin, Deltas, End, Mark, Publication


@dataclass(slots=True)
class _Waiting:
    """Deltas that wait for credit. ``version``: where the stream stands after the last one, "" inside a list and for
    a stream that has no versions; ``is_rising``: the version of a delta says the same of those up to it (not so
    inside a list, nor for synthetic events)."""

    deltas: deque[Delta]
    version: str
    is_rising: bool
    at_us: int


class Outbox:
    """One stream's waiting publications and its credit.

    Only deltas cost credit: one each, and their objects' bytes. While both kinds of credit are above zero
    the next object may be sent, so that an object larger than what is left does not wait for ever; credit
    is overdrawn by at most that one.
    """

    def __init__(self, informer: str, stream: str) -> None:
        self._address = (informer, stream)
        self._waiting: deque[_Waiting | Message] = deque()
        self._last_mark: int | None = None
        self.waiting_deltas = 0
        self.waiting_bytes = 0
        self.credit_deltas = 0
        self.credit_bytes = 0
        self.published = 0
        self.published_bytes = 0

    def open(self, deltas: int, size_bytes: int) -> None:
        """A new start: what waited is void, credit begins anew."""
        self.clear()
        self.credit_deltas, self.credit_bytes = deltas, size_bytes

    def grant(self, deltas: int, size_bytes: int) -> None:
        self.credit_deltas += deltas
        self.credit_bytes += size_bytes

    def clear(self) -> None:
        self._waiting.clear()
        self.waiting_deltas = self.waiting_bytes = 0
        self.credit_deltas = self.credit_bytes = 0

    @property
    def has_credit(self) -> bool:
        return self.credit_deltas > 0 and self.credit_bytes > 0

    @property
    def has_room(self) -> bool:
        """True if more may be put in: less than one message's worth waits."""
        return self.waiting_deltas < BATCH_DELTAS_MAX and self.waiting_bytes < BATCH_BYTES_MAX

    @property
    def oldest_us(self) -> int | None:
        """When the oldest waiting part was read; 0 if no part has its time, None if none waits."""
        if not self._waiting:
            return None
        return next((w.at_us for w in self._waiting if isinstance(w, _Waiting)), 0)

    def put(self, publication: Publication, at_us: int) -> None:
        """``at_us``: when it was read from the API server, µs since the epoch."""
        if isinstance(publication, Deltas):
            self._put_deltas(publication, at_us)
        elif isinstance(publication, Mark):
            self._put_mark(publication.version)
        elif isinstance(publication, Begin):
            self._waiting.append(wire.Begin(*self._address, publication.generation))
        elif isinstance(publication, End):
            end = publication
            self._waiting.append(wire.End(*self._address, end.generation, end.count, end.version))

    def spend(self, count: int, size: int) -> bool:
        """Take the credit for a watch's deltas, ``size`` bytes, which leave at once as one message. False: nothing was
        taken; `put` them, they wait or are cut."""
        if self._waiting or not count or count > BATCH_DELTAS_MAX or count > self.credit_deltas:
            return False
        if size > BATCH_BYTES_MAX or size > self.credit_bytes:
            return False
        self.credit_deltas -= count
        self.credit_bytes -= size
        self.published += count
        self.published_bytes += size
        return True

    def messages(self) -> Iterator[Message]:
        """What may be sent now; a message counts as sent when it is handed out."""
        while self._waiting:
            head = self._waiting[0]
            if not isinstance(head, _Waiting):
                self._waiting.popleft()
                yield head
                continue
            if not self.has_credit:
                return
            deltas = self._cut(head)
            version = head.version
            if head.deltas:  # a part: complete up to the last version that one of its deltas has
                known = (delta.version for delta in reversed(deltas) if delta.version)
                version = next(known, "") if head.is_rising else ""
            if not head.deltas:
                self._waiting.popleft()
            yield wire.Deltas(*self._address, version, head.at_us, deltas)

    def _put_deltas(self, publication: Deltas, at_us: int) -> None:
        deltas = publication.deltas
        self.waiting_deltas += len(deltas)
        self.waiting_bytes += sum(len(delta.object) for delta in deltas)
        is_rising = publication.version not in ("", "0")
        last = self._waiting[-1] if self._waiting else None
        if isinstance(last, _Waiting) and last.is_rising is is_rising:
            # What is ready travels together; the oldest reading counts.
            last.deltas.extend(deltas)
            last.version = publication.version
        else:
            self._waiting.append(_Waiting(deque(deltas), publication.version, is_rising, at_us))

    def _put_mark(self, version: str) -> None:
        last = self._waiting[-1] if self._waiting else None
        if isinstance(last, _Waiting):
            last.version = version
            return
        if isinstance(last, wire.Mark):
            self._waiting.pop()
        self._waiting.append(wire.Mark(*self._address, version))

    def _cut(self, waiting: _Waiting) -> list[Delta]:
        """The next message's deltas, at least one."""
        deltas: list[Delta] = []
        size = 0
        room = min(BATCH_BYTES_MAX, self.credit_bytes)
        while waiting.deltas and len(deltas) < min(BATCH_DELTAS_MAX, self.credit_deltas):
            length = len(waiting.deltas[0].object)
            if deltas and size + length > room:
                break
            deltas.append(waiting.deltas.popleft())
            size += length
        self.waiting_deltas -= len(deltas)
        self.waiting_bytes -= size
        self.credit_deltas -= len(deltas)
        self.credit_bytes -= size
        self.published += len(deltas)
        self.published_bytes += size
        return deltas
