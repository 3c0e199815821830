"""The publishing end of a shard: what waits, the one message under way, and what the queue has (pure).

One message at a time: each follows the last one of the subject by its sequence, which is how a former leader is
kept out. What comes meanwhile is the next message.
"""

from collections import deque

from deltawire.common.meta.versions import highest
from deltawire.common.wire.messages.stream import Begin, Deltas, End
from deltawire.fifo.engine import Freed
from deltawire.fifo.relay.message import (
    FORMAT,
    Entry,
    Published,
    Reached,
    bytes_of,
    encode,
    next_boot,
    numbers_of,
)

# A message ends before the entry with which its objects would have more.
MESSAGE_BYTES = 512 * 1024
MESSAGE_ENTRIES = 4096


class Outbox:
    """Nothing is taken before `lead`. An outbox is for one reign."""

    def __init__(self) -> None:
        self.boot = ""
        # Of the message that this reign begins behind, "" where there is none.
        self.former_boot = ""
        self.streams: dict[str, Reached] = {}
        # All that is published ends there: the last number, and the sequence of its message.
        self.number = 0
        self.sequence = 0
        # Begins and ends that wait or are under way.
        self.barriers = 0
        # True from the first confirmed message of this reign on: no former leader can publish any more.
        self.is_fenced = False
        self.waiting_bytes = 0
        # By stream the generation of the newest list that has begun in this reign.
        self.begun: dict[str, int] = {}
        self._after = ("", 0)
        self._count = 0
        self._cluster = ("", "")
        self._entries: deque[Entry] = deque()
        self._waiting = 0
        self._marks: dict[str, str] = {}
        self._flight: Published | None = None
        self._must_say = False

    @property
    def depth(self) -> int:
        """Deltas, begins and ends that are not known to be published."""
        under_way = self._flight.last - self._flight.first + 1 if self._flight else 0
        return self._waiting + under_way

    @property
    def last(self) -> int:
        """The number that the newest entry has or will have."""
        return self.number + self.depth

    def lead(self, reign: str, tail: Published | None, sequence: int) -> None:
        """A reign begins behind ``tail``, which has that sequence."""
        self.sequence = sequence
        self.former_boot = tail.boot if tail else ""
        self.boot = next_boot(self.former_boot, reign)
        if tail is not None:
            # A boot without an entry is not worth following: who has none of it is where it began.
            self._after = (tail.boot, tail.last) if tail.last else tail.after
            self.streams = dict(tail.streams)
            self._cluster = tail.cluster_id, tail.address
        self._must_say = True

    def identify(self, cluster_id: str, address: str) -> None:
        """The cluster's id, known now or changed from an address."""
        if cluster_id and (cluster_id, address) != self._cluster:
            self._cluster = cluster_id, address
            self._must_say = True

    def know(self, stream: str, reached: Reached) -> None:
        self.streams[stream] = reached
        self._must_say = True

    def put(self, entry: Entry) -> None:
        if isinstance(entry, Begin):
            self._marks.pop(entry.stream, None)
            self.begun[entry.stream] = entry.generation
        self._entries.append(entry)
        self._waiting += numbers_of(entry)
        self.waiting_bytes += bytes_of(entry)
        self.barriers += not isinstance(entry, Deltas)

    def mark(self, stream: str, version: str) -> None:
        self._marks[stream] = version

    def take(self) -> tuple[bytes, int] | None:
        """The next message and the sequence that it must follow; None while one is under way or nothing waits."""
        if self._flight is not None or not self.boot:
            return None
        if not (self._entries or self._marks or self._must_say):
            return None
        entries: list[Entry] = []
        size = 0
        while self._entries and len(entries) < MESSAGE_ENTRIES:
            more = bytes_of(self._entries[0])
            if entries and size + more > MESSAGE_BYTES:
                break
            size += more
            entries.append(self._entries.popleft())
        self._waiting -= sum(map(numbers_of, entries))
        for entry in entries:
            self._apply(entry)
        marks: dict[str, str] = {}
        if not self._entries:
            # A list that has begun since took its stream's version away: a mark from before says nothing then.
            marks, self._marks = self._marks, {}
            for name, version in list(marks.items()):
                reached = self.streams.get(name)
                if reached is None or not reached.resume:
                    del marks[name]
                else:
                    self.streams[name] = reached._replace(
                        resume=highest(reached.resume, version), floor=highest(reached.floor, version)
                    )
        self._must_say = False
        self._count += 1
        self._flight = Published(
            FORMAT,
            self.boot,
            self._after,
            self._count,
            self.number + 1,
            *self._cluster,
            dict(self.streams),
            entries,
            list(marks.items()),
        )
        return encode(self._flight), self.sequence

    @property
    def flight_id(self) -> tuple[str, int]:
        return self._flight.id if self._flight else ("", 0)

    def confirmed(self, sequence: int) -> Freed:
        """What was under way is published, with that sequence."""
        freed = Freed()
        flight, self._flight = self._flight, None
        if flight is None:
            return freed
        self.sequence = sequence
        self.number = flight.last
        self.is_fenced = True
        for entry in flight.entries:
            if isinstance(entry, Deltas):
                deltas, size = freed.credit.get(entry.stream, (0, 0))
                more = bytes_of(entry)
                self.waiting_bytes -= more
                freed.credit[entry.stream] = (deltas + len(entry.rows), size + more)
            else:
                self.barriers -= 1
        return freed

    def _apply(self, entry: Entry) -> None:
        """The stream's state behind the entry, by the rules of a shard's store."""
        name = entry.stream
        reached = self.streams.get(name, Reached("", "", 0, ""))
        if isinstance(entry, Begin):
            reached = reached._replace(resume="", generation=max(reached.generation, entry.generation))
        elif isinstance(entry, End):
            reached = reached._replace(resume=entry.version, floor=entry.version)
        elif entry.version and reached.resume:
            version = highest(reached.resume, entry.version)
            reached = reached._replace(resume=version, floor=highest(reached.floor, version))
        self.streams[name] = reached
