"""Waking watches: a write costs the same however many watch, and only those that it concerns get up.

A write only sets a flag, once for each turn of the event loop. Then the watches are looked at one after
the other; those whose selection sees none of the new events stay asleep.
"""

import asyncio
from typing import Protocol

from deltawire.apiserver.core.window import EventWindow


class Sleeper(Protocol):
    """A watch, as seen from here."""

    def wake_for_news(self) -> None:
        """Get up if the window has something new for it, or has ended. Called often: it must be quick."""


class Wakeups:
    """The open watches, by window. For one event loop."""

    def __init__(self) -> None:
        self._rooms: dict[EventWindow, _Room] = {}

    def join(self, window: EventWindow, watch: Sleeper) -> None:
        """From now on, wake ``watch`` soon after each write to ``window``, and when it ends."""
        room = self._rooms.get(window)
        if room is None:
            room = self._rooms[window] = _Room(asyncio.get_running_loop())
            window.subscribe(room.look_soon)
        room.watches.add(watch)

    def leave(self, window: EventWindow, watch: Sleeper) -> None:
        room = self._rooms[window]
        room.watches.discard(watch)
        if not room.watches:
            window.unsubscribe(room.look_soon)
            del self._rooms[window]


class _Room:
    """The watches of one window."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._is_due = False
        self.watches: set[Sleeper] = set()

    def look_soon(self) -> None:
        if not self._is_due:
            self._is_due = True
            self._loop.call_soon(self._look)

    def _look(self) -> None:
        self._is_due = False
        for watch in self.watches:
            watch.wake_for_news()
