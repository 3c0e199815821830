"""The shards with work in this turn of the worker's loop, and the times of the others.

A shard is touched by what happens to it: a commit, a replica that comes or goes, a timer of its own; an ack touches one
group of it, if that has something to send. Nothing else is looked at. Shards whose groups wait for room are touched
again once any replica has made some, since a replica's window is shared by all shards of a worker.
"""

from collections.abc import Collection, Iterable
from typing import TypeVar

from deltawire.common.clock import Clock
from deltawire.common.loop import Loop, Timer
from deltawire.informer.groups.group import Group
from deltawire.informer.shard import Shard

# What groups acknowledged is on the disk that soon, where no batch takes it along before. After a kill so much
# may come again.
COMMIT_LATE_S = 0.1
# Where it was not possible to read: tried again so soon.
_AGAIN_S = 0.25
_NEVER = float("inf")

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
        # The groups that something happened to; None: all of the shard.
        self._touched: dict[Shard, dict[Group, None] | None] = {}
        self._stuck: dict[Shard, None] = {}
        self._wakes: dict[Shard, Timer] = {}
        self._commits: dict[Shard, Timer] = {}
        self._due: set[Shard] = set()
        self._turns = 0
        # When this turn began, wall s: what was due by then was tried in it, whenever its shard is settled.
        self._began = -_NEVER

    @property
    def are_there(self) -> bool:
        """True if `take` has any."""
        return bool(self._touched or self._due)

    def touch(self, shard: Shard, group: Group | None = None) -> None:
        """Something happened to it, or only to a ``group`` of it."""
        touched = self._touched
        if group is None:
            touched[shard] = None
        elif shard not in touched:
            touched[shard] = {group: None}
        elif (groups := touched[shard]) is not None:
            groups[group] = None

    def acknowledged(self, shard: Shard, group: Group) -> None:
        """A group acknowledged an event. Mostly nothing follows but the commit of that, which is late."""
        if group.is_idle(shard.progress.seq):
            self._commit_late(shard)
        else:
            self.touch(shard, group)

    def made_room(self) -> None:
        """A replica may take more, or another one came: shards that waited for that are touched."""
        if self._stuck:
            self._touched.update(self._stuck)
            self._stuck.clear()

    def take(self) -> list[tuple[Shard, Collection[Group], bool]]:
        """The shards of this turn, what groups of them, and whether all that they did must be committed now.

        No groups: it is only that.
        """
        touched, due = self._touched, self._due
        self._touched = {}
        self._began = self._clock.wall_s()
        found: list[tuple[Shard, Collection[Group], bool]] = []
        if due:
            self._due = set()
            found = [(shard, (), True) for shard in due if shard not in touched]
        if touched:
            self._turns += 1
            shards = touched if len(touched) == 1 else rotated(touched, self._turns)
            found += [(shard, touched[shard] or shard.groups.values(), shard in due) for shard in shards]
        return found

    def committed(self, shard: Shard) -> None:
        """All that its groups did is on the disk."""
        timer = self._commits.get(shard)
        if timer is not None:
            timer.cancel()

    def settle(self, shard: Shard, groups: Collection[Group]) -> None:
        """These groups got their turn: note what the shard waits for."""
        seq, wake_at, has_writes, began = shard.progress.seq, _NEVER, False, self._began
        for group in groups:
            has_work, at = group.outlook(seq)
            if has_work:
                self._stuck[shard] = None
            if at <= began:
                # Its time had come, so what it lacks is room. What is due later must not wait for that, too.
                self._stuck[shard] = None
                at = group.next_wake(began)
            if at < wake_at:
                wake_at = at
            has_writes = has_writes or group.has_writes
            if group.scope is not None and group.scope.has_more:
                self.touch(shard, group)
                self._loop.soon()
        if wake_at < _NEVER:
            wake_in_s = wake_at - self._clock.wall_s()
            timer, at_s = self._timer(self._wakes, shard), self._clock.now_s() + wake_in_s
            if len(groups) == len(shard.groups):
                timer.set(at_s)
            else:
                timer.hurry(at_s)
        if has_writes:
            self._commit_late(shard)

    def try_again(self, shard: Shard) -> None:
        """What it had to do was not possible."""
        self._timer(self._wakes, shard).hurry(self._clock.now_s() + _AGAIN_S)

    def _commit_late(self, shard: Shard) -> None:
        """What its groups did is committed in time, if no batch takes it along before."""
        timer = self._commits.get(shard) or self._timer(self._commits, shard)
        if timer.at_s is None:
            timer.set(self._clock.now_s() + COMMIT_LATE_S)

    def _timer(self, timers: dict[Shard, Timer], shard: Shard) -> Timer:
        timer = timers.get(shard)
        if timer is None:
            is_commit = timers is self._commits

            def wake() -> None:
                if is_commit:
                    self._due.add(shard)
                else:
                    self._touched[shard] = None

            timer = timers[shard] = self._loop.timer(wake)
        return timer
