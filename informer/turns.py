"""The shards with work in this turn of the worker's loop, and the times of the others.

A shard is touched by what happens to it: a commit, a replica that comes or goes, an ack, a timer of its own. Nothing
else is looked at. Shards whose groups wait for room are touched again once any replica has made some, since a
replica's window is shared by all shards of a worker.
"""

from collections.abc import Iterable
from typing import TypeVar

from deltawire.common.clock import Clock
from deltawire.common.loop import Loop, Timer
from deltawire.informer.shard import Shard

# What groups acknowledged is on the disk that soon, where no batch takes it along before. After a kill so much
# may come again.
COMMIT_LATE_S = 0.1
# Where it was not possible to read: tried again so soon.
_AGAIN_S = 0.25

T = TypeVar("T")


def rotated(items: Iterable[T], turn: int) -> list[T]:
    """The items, beginning with another one each turn.

    The shard that always came first would fill the replicas' windows under load, and the others' groups would stand
    still until the load ends.
    """
    every = list(items)
    start = turn % len(every) if every else 0
    return every[start:] + every[:start]


class BusyShards:
    """``touch`` what something happened to, take the ``turn``, then `settle` each of it."""

    def __init__(self, loop: Loop, clock: Clock) -> None:
        self._loop = loop
        self._clock = clock
        self._touched: dict[Shard, None] = {}
        self._stuck: dict[Shard, None] = {}
        self._wakes: dict[Shard, Timer] = {}
        self._commits: dict[Shard, Timer] = {}
        self._due: set[Shard] = set()
        self._turns = 0

    def touch(self, shard: Shard) -> None:
        """Something happened to it."""
        self._touched[shard] = None

    def made_room(self) -> None:
        """A replica may take more, or another one came: shards that waited for that are touched."""
        if self._stuck:
            self._touched.update(self._stuck)
            self._stuck.clear()

    def take(self) -> list[tuple[Shard, bool]]:
        """The shards of this turn, and whether all that their groups did must be committed now."""
        if not self._touched:
            return []
        self._turns += 1
        touched, self._touched = self._touched, {}
        due, self._due = self._due, set()
        return [(shard, shard in due) for shard in rotated(touched, self._turns)]

    def settle(self, shard: Shard) -> None:
        """It got its turn: note what it waits for."""
        if shard.waits_for_room:
            self._stuck[shard] = None
        now_s = self._clock.now_s()
        wake_in_s = shard.next_wake() - self._clock.wall_s()
        if 0 < wake_in_s < float("inf"):
            self._timer(self._wakes, shard).set(now_s + wake_in_s)
        elif wake_in_s <= 0:
            # Its time has come, so what it lacks is room.
            self._stuck[shard] = None
        if shard.has_writes:
            self._timer(self._commits, shard).hurry(now_s + COMMIT_LATE_S)

    def try_again(self, shard: Shard) -> None:
        """What it had to do was not possible."""
        self._timer(self._wakes, shard).hurry(self._clock.now_s() + _AGAIN_S)

    def _timer(self, timers: dict[Shard, Timer], shard: Shard) -> Timer:
        timer = timers.get(shard)
        if timer is None:
            is_commit = timers is self._commits

            def wake() -> None:
                self._touched[shard] = None
                if is_commit:
                    self._due.add(shard)

            timer = timers[shard] = self._loop.timer(wake)
        return timer
