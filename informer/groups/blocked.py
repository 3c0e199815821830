"""Changes that were scanned while an event of their key was in flight (pure)."""

from collections import deque

# Changes that wait for a key in flight; then the scan waits, too.
BLOCKED_MAX = 1024


class BlockedKeys:
    """Changes (seq, is a deletion) by key, in order. ``ready``: keys that are in flight no more."""

    __slots__ = ("_by_key", "count", "ready")

    def __init__(self) -> None:
        self._by_key: dict[str, deque[tuple[int, bool]]] = {}
        self.count = 0
        self.ready: deque[str] = deque()

    def __contains__(self, key: str) -> bool:
        return key in self._by_key

    def add(self, key: str, seq: int, *, is_gone: bool) -> None:
        """A change waits for its key."""
        self._by_key.setdefault(key, deque()).append((seq, is_gone))
        self.count += 1

    def released(self, key: str) -> None:
        """The key is in flight no more."""
        if key in self._by_key:
            self.ready.append(key)

    def first(self, key: str) -> tuple[int, bool] | None:
        """The oldest change that waits for the key."""
        waiting = self._by_key.get(key)
        return waiting[0] if waiting else None

    def take(self, key: str) -> None:
        """The oldest change of the key waits no more."""
        self._by_key[key].popleft()
        self.count -= 1

    def leave(self, key: str) -> None:
        """``key``, the first that is ready, was looked at; it may be in flight again."""
        if not self._by_key.get(key):
            self._by_key.pop(key, None)
        self.ready.popleft()

    def clear(self) -> None:
        self._by_key.clear()
        self.ready.clear()
        self.count = 0
