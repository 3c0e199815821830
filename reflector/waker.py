"""Wakes the main loop's poll from another thread, with the names of the streams that have results."""

from collections import deque
from typing import Generic, TypeVar

from deltawire.common.loop import Waker

Key = TypeVar("Key")


class KeyedWaker(Generic[Key]):
    """`wake` may be called from any thread; the rest belongs to the main loop. Its file number goes into the poll."""

    def __init__(self) -> None:
        self._waker = Waker()
        self._keys: deque[Key] = deque()

    def fileno(self) -> int:
        return self._waker.fileno()

    def wake(self, key: Key) -> None:
        self._keys.append(key)
        self._waker.wake()

    def taken(self) -> set[Key]:
        """The keys that were woken since the last call. Call it when the file can be read, and only then."""
        self._waker.clear()
        keys: set[Key] = set()
        while self._keys:
            keys.add(self._keys.popleft())
        return keys

    def close(self) -> None:
        self._waker.close()
