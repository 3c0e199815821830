"""What a group must be told besides the newest state: adds it is owed, old versions, that some were skipped (pure)."""

from collections import OrderedDict

# Old versions kept to be handed out as `old`, per group and shard; the oldest are given up first.
OLD_BYTES_MAX = 4 * 1024 * 1024
# Keys remembered as coalesced; above it a group is told so for everything it has still to see.
COALESCED_MAX = 10_000


class OwedAdds:
    """Objects of which the group has not acknowledged any version, though their first one cannot come any more.

    It was overwritten before it was sent, or its event failed and is parked. ``born`` tells the lives of a name
    apart. ``writes`` collects what must reach the disk.
    """

    def __init__(self) -> None:
        self.writes: dict[str, int | None] = {}
        self._born: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._born)

    def load(self, key: str, born: int) -> None:
        """A row that is on disk."""
        self._born[key] = born

    def has(self, key: str, born: int) -> bool:
        return self._born.get(key) == born

    def owe(self, key: str, born: int) -> None:
        if self._born.get(key) != born:
            self._born[key] = self.writes[key] = born

    def settle(self, key: str, born: int) -> None:
        """The group has acknowledged a version of this life of the object, or its deletion will come."""
        if self._born.get(key) == born:
            del self._born[key]
            self.writes[key] = None

    def clear(self) -> None:
        for key, born in list(self._born.items()):
            self.settle(key, born)


class OldVersions:
    """The version that the group acknowledged last, of objects that have a newer one: `old` of its next event."""

    def __init__(self) -> None:
        self._objects: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    def get(self, key: str) -> bytes | None:
        return self._objects.get(key)

    def keep(self, key: str, obj: bytes) -> None:
        self.drop(key)
        self._objects[key] = obj
        self._bytes += len(obj)
        while self._bytes > OLD_BYTES_MAX:
            _, dropped = self._objects.popitem(last=False)
            self._bytes -= len(dropped)

    def drop(self, key: str) -> None:
        obj = self._objects.pop(key, None)
        if obj is not None:
            self._bytes -= len(obj)


class CoalescedKeys:
    """Keys of which the group's next event stands for more than one version."""

    def __init__(self) -> None:
        self._keys: set[str] = set()

    def add(self, key: str) -> bool:
        """Remember the key; False if no more can be remembered."""
        if len(self._keys) >= COALESCED_MAX and key not in self._keys:
            return False
        self._keys.add(key)
        return True

    def take(self, key: str) -> bool:
        """True if the key was coalesced; it is forgotten."""
        if key in self._keys:
            self._keys.discard(key)
            return True
        return False
