"""The consuming end of a shard: messages become the entries of its queue, and acknowledgements free messages (pure).

The queue has a boot for each reign of a leader. What a store has is (boot, number); the first message of a boot says
which entry of which boot it follows, so a store sees whether the queue goes on where it is: else something is gone that
it never had, or that the servers had confirmed and lost.
"""

from collections import deque
from dataclasses import dataclass, field

from deltawire.common.meta.versions import is_at_or_below
from deltawire.common.wire.messages.shard import ShardState
from deltawire.common.wire.messages.stream import Begin, Deltas, End
from deltawire.fifo.in_order import InOrderQueue
from deltawire.fifo.relay.message import Published, numbers_of, place_of
from deltawire.fifo.relay.proofs import Incoming

_BEGINNING = ("", 0)


@dataclass(slots=True)
class Lacks:
    """What a shard's store needs that the queue cannot give: a list, and a new boot where ``renew``.

    ``behind``: a list of a higher generation begins behind the message that showed it.
    """

    is_any: bool = False
    renew: bool = False
    behind: int = -1

    def note(self, *, renew: bool = False) -> None:
        self.is_any = True
        self.renew = self.renew or renew


@dataclass(slots=True)
class Delivered:
    """A message here. ``last`` 0: it is of no use, or of a boot that is done."""

    sequence: int
    last: int
    bytes: int


@dataclass(slots=True)
class Inbox:
    """``report``: what the store had when this consumption began; numbers up to ``report.number`` are in it."""

    report: ShardState
    latest_only: bool = False
    token: int = 0
    queue: InOrderQueue = field(init=False)
    boot: str = field(init=False)
    proofs: Incoming = field(init=False, default_factory=Incoming)
    # A hole inside a boot: nothing can follow in it.
    is_broken: bool = False
    # It lacks something, and waits until that is asked for.
    is_held: bool = False
    # The store goes on where the queue was; False: it began with the queue, or was there before.
    is_linked: bool = False
    # The last entry before this boot that the store or the queue has.
    _link: tuple[str, int] = _BEGINNING
    _checked: set[str] = field(default_factory=set)
    _delivered: deque[Delivered] = field(default_factory=deque)
    # Messages from the next boot on wait until all of this one is stored.
    _later: deque[tuple[Published, Delivered]] = field(default_factory=deque)
    _judged: Delivered | None = None
    # Line and count of the store's reign, where all before it is passed over.
    _passed: tuple[str, int] | None = None

    # Streams of which the store waits for a list's begin, or for the end of its open one.
    _wanting: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._wanting = {name for name, said in self.report.streams.items() if not said.resume}
        self._enter(self.report.boot, self.report.number)

    @property
    def number(self) -> int:
        """The last number that is in the queue or in the store."""
        return self.queue.last

    def opened(self, tail: Published | None) -> None:
        """``tail``: the newest message when this consumption began. What is of earlier reigns than the store's is in
        the store, unless the queue itself is of an earlier one: then it has lost something."""
        mine, its = place_of(self.report.boot), place_of(tail.boot) if tail else None
        if mine and its and mine[0] == its[0] and mine[1] <= its[1]:
            self._passed = mine

    def _is_passed(self, message: Published) -> bool:
        its = place_of(message.boot)
        return bool(self._passed and its and its[0] == self._passed[0] and its[1] < self._passed[1])

    def deliver(self, message: Published, sequence: int, size: int) -> Lacks:
        """``size``: bytes of the message, which are given back with it."""
        entry = Delivered(sequence, message.last, size)
        self._delivered.append(entry)
        if self._is_passed(message):
            entry.last = 0
            return Lacks()
        self._later.append((message, entry))
        return self.go_on()

    def go_on(self) -> Lacks:
        """Take from what was delivered what can be taken now."""
        lacks = Lacks()
        while self._later and not self.is_held:
            message, entry = self._later[0]
            if message.boot != self.boot:
                if self.queue.depth or self.queue.leased:
                    break
                self._follow(message, lacks)
            if entry is not self._judged:
                self._judged = entry
                self._check(message, lacks)
                if lacks.is_any:
                    # Once it goes on, the store no longer shows what it lacks: it must be asked for before.
                    self.is_held = True
                    lacks.behind = max((s.generation for s in message.streams.values()), default=0)
                    break
            self._later.popleft()
            self._take(message, entry)
        return lacks

    def asked(self) -> Lacks:
        """What it lacks is asked for, and will be, whatever dies."""
        self.is_held = False
        return self.go_on()

    def acked(self, number: int) -> tuple[int, int, int]:
        """Sequence before which all is stored, messages and bytes that are free; 0, 0, 0 for none."""
        sequence = messages = size = 0
        waiting = self._later[0][1] if self._later else None
        while self._delivered and self._delivered[0] is not waiting and self._delivered[0].last <= number:
            done = self._delivered.popleft()
            sequence, messages, size = done.sequence, messages + 1, size + done.bytes
        return sequence, messages, size

    def _enter(self, boot: str, number: int) -> None:
        self.boot = boot
        self.is_broken = False
        informer, shard = self.report.informer, self.report.shard
        self.queue = InOrderQueue(informer, shard, boot, latest_only=self.latest_only)
        self.queue.starts_after(number)

    def _follow(self, message: Published, lacks: Lacks) -> None:
        """Into the boot of ``message``."""
        link = (self.boot, self.number) if self.number else self._link
        if message.first > 1 or self.is_broken:
            lacks.note()
        elif message.after == _BEGINNING and not self.is_linked and not _is_of_line(link, message.boot):
            # What the store must have had before is checked for each stream.
            self._checked.clear()
        elif message.after == link:
            self.is_linked = True
        else:
            lacks.note()
        self._link = link
        for delivered in self._delivered:
            if delivered is self._later[0][1]:
                break
            delivered.last = 0
        # All that they stand behind is stored.
        marks = {} if self.is_broken else self.queue.take_marks()
        self._enter(message.boot, message.first - 1)
        for stream, version in marks.items():
            self.queue.mark(stream, version)

    def _take(self, message: Published, delivered: Delivered) -> None:
        if self.is_broken:
            delivered.last = 0
            return
        number = message.first
        for entry in message.entries:
            if isinstance(entry, Deltas):
                for row in entry.rows:
                    if number > self.number:
                        self.queue.add(entry.stream, entry.at, row)
                    number += 1
                continue
            if number > self.number:
                if isinstance(entry, Begin):
                    self.queue.begin(entry.stream, entry.generation, is_apart=True)
                else:
                    self.queue.end(entry.stream, entry.generation, entry.items, entry.version)
            number += 1
        for stream, version in message.marks:
            self.queue.mark(stream, version)

    def _check(self, message: Published, lacks: Lacks) -> None:
        """A store that began with the queue has all of a stream only if it had what was before the beginning."""
        if message.first > self.number + 1 and not self.is_broken:
            self.is_broken = True
            lacks.note(renew=True)
        if message.last >= self.number:
            self._await_lists(message, lacks)
        if self.is_linked or message.boot == self.report.boot:
            self._checked.update(message.streams)
            return
        for name, reached in message.streams.items():
            if name in self._checked:
                continue
            self._checked.add(name)
            said = self.report.streams.get(name)
            if reached.base and not (said and said.resume and is_at_or_below(reached.base, said.resume)):
                lacks.note()

    def _await_lists(self, message: Published, lacks: Lacks) -> None:
        """A store without a resume version, one that was filled from its archive for example, needs a list; where the
        queue has one for it, that will do."""
        number = message.first
        for entry in message.entries if self._wanting else ():
            is_new = number > self.number
            number += numbers_of(entry)
            said = self.report.streams.get(entry.stream)
            is_end = isinstance(entry, End) and said is not None and entry.generation == said.generation
            if is_new and (isinstance(entry, Begin) or is_end):
                self._wanting.discard(entry.stream)
        for name in list(self._wanting):
            reached = message.streams.get(name)
            if reached is not None and reached.resume:
                self._wanting.discard(name)
                lacks.note()


def _is_of_line(link: tuple[str, int], boot: str) -> bool:
    """True if something of the queue that ``boot`` belongs to was there before."""
    its, mine = place_of(boot), place_of(link[0])
    return bool(its and mine and its[0] == mine[0] and link[1])
