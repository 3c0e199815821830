"""Notices of lost changes that wait until a replica of the group has seen them (pure).

Flags of events do not cover all: a key that was born and died in the hole has no event. Notices are part of the
group's row, so that they survive a kill between the list and the notice.
"""

import msgspec

from deltawire.common.wire.messages.group import Reason

# Notices that wait for a group that is not here, per shard; above it the two oldest become one.
NOTICES_MAX = 64


class Gap(msgspec.Struct, array_like=True):
    """One notice; the fields are those of `common.wire.messages.group.Gap`."""

    number: int
    reason: Reason
    stream: str
    generation: int
    lost_from: str
    version: str
    at: int


class GapNotices:
    """``waiting``: the notices that no replica has seen yet, oldest first, as on disk."""

    def __init__(self, waiting: list[Gap]) -> None:
        self.waiting = list(waiting)
        # By the notice's number: the replica that was sent it; how often it may have been sent since it was found.
        self._told: dict[int, bytes] = {}
        self._times = {gap.number: 1 for gap in waiting}
        self._last = max((gap.number for gap in waiting), default=0)

    def add(self, gap: Gap) -> None:
        """Add a notice and number it. A list has one notice, though its batch may come twice."""
        for known in self.waiting:
            if (known.reason, known.stream, known.generation) == (gap.reason, gap.stream, gap.generation):
                return
        # Above what was given out before a kill, at any rate for those that were not seen.
        self._last = max(self._last + 1, gap.at)
        self.waiting.append(msgspec.structs.replace(gap, number=self._last))
        if len(self.waiting) > NOTICES_MAX:
            first, second = self.waiting[:2]
            merged = msgspec.structs.replace(second, lost_from=first.lost_from)
            if first.stream != second.stream:
                merged = msgspec.structs.replace(second, stream="*", lost_from="?")
            self.waiting[:2] = [merged]
            # One that was sent, and that reaches as far, may be sent again with another number.
            self._times[merged.number] = max(self._times.pop(n, 0) for n in (first.number, second.number))

    def untold(self, identity: bytes) -> list[tuple[Gap, int]]:
        """The notices to send to ``identity`` now, each with its attempt. A notice left by an earlier worker, which may
        have sent it, begins with attempt 2."""
        found = [gap for gap in self.waiting if gap.number not in self._told]
        for gap in found:
            self._told[gap.number] = identity
            self._times[gap.number] = self._times.get(gap.number, 0) + 1
        return [(gap, self._times[gap.number]) for gap in found]

    def seen(self, number: int) -> bool:
        """A replica has dealt with it. False if it was not waiting."""
        before = len(self.waiting)
        self.waiting = [gap for gap in self.waiting if gap.number != number]
        self._told.pop(number, None)
        self._times.pop(number, None)
        return len(self.waiting) < before

    def left(self, identity: bytes) -> None:
        """The replica is gone: notices that it was sent and has not seen go to another."""
        self._told = {number: who for number, who in self._told.items() if who != identity}

    def clear(self) -> None:
        self.waiting, self._told, self._times = [], {}, {}
