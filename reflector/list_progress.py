"""Whether a streaming list is one: servers and proxies that ignore the wish answer with a plain watch. Pure.

A real list brings what there is as fast as the connection carries it, then its marker. So one that brings little for
a while, or goes on with changes, is not believed. What was sent before counts as items; a busy resource's changes
do not, nor does a trickle of new objects.
"""

# Within so long a list brings so many items or bytes, or its marker.
WINDOW_S = 10.0
WINDOW_ITEMS_MIN = 50
WINDOW_BYTES_MIN = 256 * 1024
# Real servers send the marker within moments of the first change; one that sends so many has no marker.
CHANGES_WITHOUT_MARKER_MAX = 10_000


class ListProgress:
    """All times are monotonic seconds."""

    def __init__(self, now_s: float) -> None:
        self._begin(now_s)

    def took(self, now_s: float, items: int, size_bytes: int, changes: int) -> bool:
        """A part of the list came; ``changes`` since the first event that was no ADDED. False: it is no list."""
        if not changes:
            self._items += items
            self._bytes += size_bytes
            if self._items >= WINDOW_ITEMS_MIN or self._bytes >= WINDOW_BYTES_MIN:
                self._begin(now_s)
        return changes <= CHANGES_WITHOUT_MARKER_MAX

    def is_stalled(self, now_s: float, *, has_room: bool) -> bool:
        """``has_room``: what comes is taken; delays of our own making are not counted."""
        if not has_room:
            self._begin(now_s)
        return now_s - self._since_s >= WINDOW_S

    @property
    def due_s(self) -> float:
        """When it is stalled, if nothing comes."""
        return self._since_s + WINDOW_S

    def _begin(self, now_s: float) -> None:
        self._since_s = now_s
        self._items = self._bytes = 0
