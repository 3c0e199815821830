"""How much of what a peer was sent its socket still holds: answers, which no credit bounds."""

from collections import deque
from typing import Protocol

from deltawire.common.limits import UNREAD_BYTES_MAX, UNREAD_MESSAGES_MAX

# A frame is followed on its way after so much: following one costs 30 µs.
MARK_BYTES = UNREAD_BYTES_MAX // 8
MARK_MESSAGES = UNREAD_MESSAGES_MAX // 8


class Followed(Protocol):
    """A frame whose way is followed. ``done``: it has left the socket, or was dropped with its connection."""

    @property
    def done(self) -> bool: ...


class Unread:
    """What one peer was sent and its connection has not taken. Frames leave in their order, so some are followed."""

    def __init__(self) -> None:
        self.bytes = 0
        self.messages = 0
        self._marked: deque[tuple[int, int, Followed]] = deque()
        self._bytes = 0
        self._messages = 0

    def add(self, size: int) -> None:
        """A message of ``size`` bytes leaves with the next frame."""
        self._bytes += size
        self._messages += 1
        self.bytes += size
        self.messages += 1

    @property
    def wants_mark(self) -> bool:
        """True if the next frame is to be followed."""
        return self._bytes >= MARK_BYTES or self._messages >= MARK_MESSAGES

    def mark(self, frame: Followed) -> None:
        """All that was added leaves before ``frame``, or with it."""
        self._marked.append((self._bytes, self._messages, frame))
        self._bytes = self._messages = 0

    def has_room(self) -> bool:
        """False while the socket holds as much as it may."""
        marked = self._marked
        while marked and marked[0][2].done:
            size, messages, _ = marked.popleft()
            self.bytes -= size
            self.messages -= messages
        return self.bytes < UNREAD_BYTES_MAX and self.messages < UNREAD_MESSAGES_MAX

    @property
    def is_done(self) -> bool:
        """True if no frame is followed that has not left."""
        self.has_room()
        return not self._marked
