"""What events must carry besides the newest state: adds that are owed, marks of lost versions, old versions (pure)."""

import struct
from collections import OrderedDict

# Old versions kept to be handed out as `old`, per group and shard; the oldest are given up first.
OLD_BYTES_MAX = 4 * 1024 * 1024
# Lives whose next event bears a mark, per group and shard; above it all events that the group has still to see bear
# the mark.
MARKED_MAX = 10_000
# Places of one life from which on events bear a mark; above it the first is joined with the second.
PLACES_MAX = 8
# Beside the marks, which are flags of events, in a note's first byte.
OWED = 1
# Behind it in the note: a place, and the flags of events from there on.
_PLACE = struct.Struct(">QB")


class LifeNotes:
    """What the group's next event of an object must carry, by the object's life (its ``born``).

    An add is *owed* where the group has acknowledged no version, though the first one cannot come any more: it was
    overwritten before it was sent, or its event failed and is parked. *Marks* are flags of the next event that is
    acknowledged, of a change behind older versions that were merged or lost: one that is tried again may be older than
    these, and says nothing of them. ``writes`` collects what must reach the disk, b"" for nothing.
    """

    def __init__(self) -> None:
        self.writes: dict[int, bytes] = {}
        self._owed: set[int] = set()
        # By life: flags, by the first change whose event is to say them.
        self._marks: dict[int, dict[int, int]] = {}

    @property
    def owed(self) -> int:
        """Of how many objects an add is owed."""
        return len(self._owed)

    def load(self, born: int, note: bytes) -> None:
        """A row that is on disk."""
        if note[0] & OWED:
            self._owed.add(born)
        # A note of before there were places has its first byte only.
        marks = dict(_PLACE.iter_unpack(note[1:])) or {0: note[0] & ~OWED}
        if any(marks.values()):
            self._marks[born] = marks

    def is_owed(self, born: int) -> bool:
        return born in self._owed

    def owe(self, born: int) -> None:
        if born not in self._owed:
            self._owed.add(born)
            self._write(born)

    def settle(self, born: int) -> None:
        """No add is owed: the group has acknowledged a version."""
        if born in self._owed:
            self._owed.discard(born)
            self._write(born)

    def mark(self, born: int, flags: int, *, lost: int, at: int) -> bool:
        """Change ``lost`` will not be sent: events from change ``at`` on, which follows it, say ``flags``.

        False if no more lives can be remembered.
        """
        marks = self._marks.get(born)
        if marks is None:
            if len(self._marks) >= MARKED_MAX:
                return False
            marks = self._marks[born] = {}
        # What the lost one was to say; on the disk it may stay at that place, of which no event will come.
        before = marks.pop(lost, 0)
        marks[at] = marks.get(at, 0) | before | flags
        if len(marks) > PLACES_MAX:
            first, second = sorted(marks)[:2]
            marks[second] |= marks.pop(first)
        if marks.get(at) != before:
            self._write(born)
        return True

    def said_at(self, born: int, seq: int) -> int:
        """The flags of an event of change ``seq``."""
        said = 0
        if born in self._marks:
            for place, flags in self._marks[born].items():
                if place <= seq:
                    said |= flags
        return said

    def acknowledged(self, born: int, seq: int) -> None:
        """The group has what the event of change ``seq`` said."""
        marks = self._marks.get(born)
        if marks is not None and min(marks) <= seq:
            left = {place: flags for place, flags in marks.items() if place > seq}
            if left:
                self._marks[born] = left
            else:
                del self._marks[born]
            self._write(born)
        if born in self._owed:
            self.settle(born)

    def forget(self, born: int) -> None:
        """No event of this life will come any more."""
        if self._marks.pop(born, None) or born in self._owed:
            self._owed.discard(born)
            self._write(born)

    def clear(self) -> None:
        for born in {*self._owed, *self._marks}:
            self.forget(born)

    def _write(self, born: int) -> None:
        note = OWED if born in self._owed else 0
        places = b""
        for place, flags in self._marks.get(born, {}).items():
            note |= flags
            places += _PLACE.pack(place, flags)
        self.writes[born] = bytes([note]) + places if note else b""


class OldVersions:
    """The version that the group acknowledged last, of objects that have a newer one: `old` of its next event.

    ``objects``: by key.
    """

    def __init__(self) -> None:
        self.objects: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def get(self, key: str) -> bytes | None:
        return self.objects.get(key)

    def keep(self, key: str, obj: bytes) -> None:
        self.drop(key)
        self.objects[key] = obj
        self._bytes += len(obj)
        while self._bytes > OLD_BYTES_MAX:
            _, dropped = self.objects.popitem(last=False)
            self._bytes -= len(dropped)

    def drop(self, key: str) -> None:
        obj = self.objects.pop(key, None)
        if obj is not None:
            self._bytes -= len(obj)
