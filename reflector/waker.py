"""Wakes the main loop's poll from another thread, and tells it who has news."""

import socket
from collections import deque
from typing import Generic, TypeVar

Key = TypeVar("Key")


class Waker(Generic[Key]):
    """`wake` may be called from any thread; the rest belongs to the main loop. ``fd`` goes into the poll."""

    def __init__(self) -> None:
        self._here, self._there = socket.socketpair()
        self._here.setblocking(False)
        self._there.setblocking(False)
        self._keys: deque[Key] = deque()
        self._is_rung = False

    @property
    def fd(self) -> int:
        return self._here.fileno()

    def wake(self, key: Key) -> None:
        self._keys.append(key)
        if not self._is_rung:
            self._is_rung = True
            try:
                self._there.send(b"!")
            except OSError:
                pass  # full: it is awake anyway; closed: nobody is left to be woken

    def taken(self) -> set[Key]:
        """Who woke us since the last call. Call it when ``fd`` is readable, and only then."""
        try:
            self._here.recv(4096)
        except BlockingIOError:
            pass
        # Lowered before the keys are taken: a key that comes later rings again.
        self._is_rung = False
        keys: set[Key] = set()
        while self._keys:
            keys.add(self._keys.popleft())
        return keys

    def close(self) -> None:
        self._here.close()
        self._there.close()
