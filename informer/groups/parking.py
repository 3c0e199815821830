"""Changes of one group and shard that are set aside: tried again later, waiting behind one, or dead (pure).

Parking lets the group's position move on, so one failing key holds nothing up. The order of a key is kept: what
comes after a parked deletion (or, for ``every``, after anything parked) waits behind it.
"""

import heapq
from collections.abc import Iterator

from deltawire.informer.groups.events import Flight
from deltawire.informer.groups.state import Parked

# Rows a group may have set aside in a shard before its scan stops (for `every` and broken handlers), and the
# dead letters it may have before it must be looked at.
PARKED_MAX = 10_000
DEAD_MAX = 10_000
# What is kept of a handler's error: a line, and the traceback below it.
_ERROR_CHARACTERS_MAX = 2000
_NEVER = float("inf")


class ParkingLot:
    """Parked changes: ``by_key`` those that are not dead, in the order of their seq. ``writes``: what must reach
    the disk."""

    def __init__(self) -> None:
        self.writes: dict[int, Parked | None] = {}
        self.dead: dict[int, Parked] = {}
        # No handler has reported on these yet: their replica, or its session, was lost.
        self.returned: set[int] = set()
        self._dead_by_key: dict[str, set[int]] = {}
        self.by_key: dict[str, list[Parked]] = {}
        self._by_seq: dict[int, Parked] = {}
        self._due: list[tuple[float, int]] = []

    def __len__(self) -> int:
        return len(self._by_seq)

    @property
    def is_full(self) -> bool:
        return len(self._by_seq) >= PARKED_MAX or len(self.dead) >= DEAD_MAX

    def load(self, parked: Parked) -> None:
        """A row that is on disk."""
        if parked.dead:
            self._lay(parked)
        else:
            self._insert(parked)

    def queue(self, key: str) -> list[Parked]:
        """What is set aside of this key and not dead, in order; the first is the one to be tried."""
        return self.by_key.get(key, [])

    def get(self, seq: int) -> Parked | None:
        return self._by_seq.get(seq)

    def add(self, parked: Parked) -> None:
        """Set aside, or replace the one with its seq."""
        self.remove(parked.seq)
        self._insert(parked)
        self.writes[parked.seq] = parked

    def bury(self, parked: Parked) -> None:
        """A dead letter: kept for a person; it blocks nothing."""
        self.remove(parked.seq)
        parked.dead = True
        self._lay(parked)
        self.writes[parked.seq] = parked

    def remove(self, seq: int) -> Parked | None:
        """Take it out, wherever it is. The next one of its key becomes due."""
        self.returned.discard(seq)
        dead = self.dead.pop(seq, None)
        if dead is not None:
            self._dead_by_key[dead.key].discard(seq)
            if not self._dead_by_key[dead.key]:
                del self._dead_by_key[dead.key]
        parked = self._by_seq.pop(seq, None)
        if parked is not None:
            queue = self.by_key[parked.key]
            queue.remove(parked)
            if not queue:
                del self.by_key[parked.key]
            else:
                self._push(queue[0])
        if parked is not None or dead is not None:
            self.writes[seq] = None
        return parked or dead

    def due(self, now: float) -> Iterator[Parked]:
        """Heads of queues whose time has come; each once per `put_back` or change."""
        while self._due and self._due[0][0] <= now:
            not_before, seq = heapq.heappop(self._due)
            parked = self._by_seq.get(seq)
            if parked is None or parked.not_before != not_before or self.by_key[parked.key][0] is not parked:
                continue
            yield parked

    def put_back(self, parked: Parked) -> None:
        """It was due but could not be sent."""
        self._push(parked)

    def next_due(self, after: float = -_NEVER) -> float:
        """When the next one later than ``after`` may be due, wall s; infinity if there is none."""
        if not self._due or self._due[0][0] > after:
            return self._due[0][0] if self._due else _NEVER
        return min((at for at, _ in self._due if at > after), default=_NEVER)

    def gave_back(self, seq: int) -> None:
        """The change that was set aside has no word of a handler: it is ``returned``."""
        self.returned.add(seq)

    def clear(self) -> None:
        """Forget all that waits to be tried again; dead letters stay."""
        for seq in list(self._by_seq):
            self.remove(seq)
        self._due.clear()

    def may_have_been_sent(self, now: float) -> None:
        """The worker before was killed: due changes may have been sent, though no row says so."""
        for queue in self.by_key.values():
            if queue[0].not_before <= now:
                queue[0].again = True

    def forget_superseded(self, key: str, uid: str, seq: int) -> None:
        """A newer state of the object was handled: dead letters of its older states are of no more use."""
        for dead in [self.dead[s] for s in self._dead_by_key.get(key, ())]:
            if dead.kind != "D" and dead.uid == uid and dead.seq <= seq:
                self.remove(dead.seq)

    def dead_letters(self) -> list[Parked]:
        """The dead letters, oldest first."""
        return sorted(self.dead.values(), key=lambda dead: dead.seq)

    def retry_dead(self, seq: int, now: float) -> bool:
        """Try a dead letter again: the current state is delivered, or its deletion where there is none."""
        dead = self.dead.get(seq)
        if dead is None:
            return False
        self.remove(seq)
        dead.dead, dead.attempts, dead.not_before, dead.solo = False, 0, now, False
        # No uid: the current state, whatever life of the name it is of.
        dead.uid = ""
        self.add(dead)
        return True

    def drop_dead(self, seq: int) -> bool:
        """Delete a dead letter."""
        return seq in self.dead and self.remove(seq) is not None

    def _lay(self, parked: Parked) -> None:
        self.dead[parked.seq] = parked
        self._dead_by_key.setdefault(parked.key, set()).add(parked.seq)

    def _insert(self, parked: Parked) -> None:
        self._by_seq[parked.seq] = parked
        queue = self.by_key.setdefault(parked.key, [])
        queue.append(parked)
        queue.sort(key=lambda p: p.seq)
        self._push(queue[0])

    def _push(self, parked: Parked) -> None:
        heapq.heappush(self._due, (parked.not_before, parked.seq))


def parked_of(flight: Flight, attempts: int, not_before: float, error: str, *, solo: bool) -> Parked:
    """An event that a replica holds, as a row to be tried again."""
    parked = Parked(flight.seq, flight.key, flight.kind, flight.uid, born=flight.born, fence=flight.fence)
    parked.attempts, parked.not_before, parked.solo, parked.sent = attempts, not_before, solo, True
    parked.error = error[:_ERROR_CHARACTERS_MAX]
    if flight.row is not None:
        row = flight.row
        parked.version, parked.at, parked.flags, parked.object = row.version, row.at, row.flags, row.object
        parked.old = flight.old
    parked.left = flight.scope is not None and flight.scope.is_left
    return parked


def go_on_with(flight: Flight, parked: Parked) -> None:
    """The event tries again what was set aside, or supersedes it."""
    flight.failures, flight.parked_seq, flight.solo = parked.attempts, parked.seq, parked.solo
    if parked.seq == flight.seq:
        flight.again = parked.again
