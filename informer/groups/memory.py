"""What events must carry besides the newest state: adds that are owed, marks of lost versions, old versions (pure)."""

from collections import OrderedDict

# Old versions kept to be handed out as `old`, per group and shard; the oldest are given up first.
OLD_BYTES_MAX = 4 * 1024 * 1024
# Lives whose next event bears a mark, per group and shard; above it all events that the group has still to see bear
# the mark.
MARKED_MAX = 10_000
# Beside the marks, which are flags of events, in a note.
OWED = 1


class LifeNotes:
    """What the group's next event of an object must carry, by the object's life (its ``born``).

    An add is *owed* where the group has acknowledged no version, though the first one cannot come any more: it was
    overwritten before it was sent, or its event failed and is parked. *Marks* are flags of the next event
    that is acknowledged: older versions were merged into it, or lost. ``writes`` collects what must reach the disk.
    In a group that gets each version, one that is tried again is older than what was lost meanwhile: it says only what
    it said before.
    """

    def __init__(self) -> None:
        self.writes: dict[int, int] = {}
        self._owed: set[int] = set()
        self._marks: dict[int, int] = {}
        # Marks of events in flight: of no more use once these are acknowledged.
        self._sent: dict[int, int] = {}
        # Marks of events that were not acknowledged.
        self._returned: dict[int, int] = {}

    @property
    def owed(self) -> int:
        """Of how many objects an add is owed."""
        return len(self._owed)

    def load(self, born: int, note: int) -> None:
        """A row that is on disk."""
        if note & OWED:
            self._owed.add(born)
        if note & ~OWED:
            self._marks[born] = note & ~OWED

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

    def mark(self, born: int, flags: int) -> bool:
        """The next event says ``flags``; False if no more lives can be remembered."""
        if len(self._marks) >= MARKED_MAX and born not in self._marks:
            return False
        if self._marks.get(born, 0) | flags != self._marks.get(born, 0):
            self._marks[born] = self._marks.get(born, 0) | flags
            self._write(born)
        return True

    def send(self, born: int, *, again: bool = False) -> int:
        """The flags of an event that is sent now. ``again``: versions behind it are still to come."""
        flags = self._returned.pop(born, 0) | self._sent.get(born, 0)
        if not again:
            flags |= self._marks.pop(born, 0)
        if flags:
            self._sent[born] = flags
        return flags

    def came_back(self, born: int) -> None:
        """The event was not acknowledged: the next one says its flags again."""
        if born in self._sent:
            self._returned[born] = self._sent.pop(born) | self._returned.get(born, 0)

    def acknowledged(self, born: int) -> None:
        """The group has what the event in flight said."""
        if self._sent.pop(born, 0):
            self._write(born)
        if born in self._owed:
            self.settle(born)

    def forget(self, born: int) -> None:
        """No event of this life will come any more."""
        marks = self._marks.pop(born, 0) | self._sent.pop(born, 0) | self._returned.pop(born, 0)
        if marks or born in self._owed:
            self._owed.discard(born)
            self._write(born)

    def clear(self) -> None:
        for born in {*self._owed, *self._marks, *self._sent, *self._returned}:
            self.forget(born)

    def _write(self, born: int) -> None:
        owed = OWED if born in self._owed else 0
        marks = self._marks.get(born, 0) | self._sent.get(born, 0) | self._returned.get(born, 0)
        self.writes[born] = owed | marks


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
