"""What a watch takes from the window at a time, worked out once for all watches that stand at the same place.

Watches that keep up are all at the head: each new batch is the same for those with equal selections. One batch is
remembered, so that this costs no more than a batch's bytes.
"""

from typing import NamedTuple

from deltawire.apiserver.core.selection import Selection
from deltawire.apiserver.core.window import Event, EventWindow

ADDED, MODIFIED, DELETED, BOOKMARK = "ADDED", "MODIFIED", "DELETED", "BOOKMARK"


class Change(NamedTuple):
    """One line of a watch: its type and the object's stored body, shared by all watches."""

    type: str
    body: bytes


class Place(NamedTuple):
    """Where a watch stands: the number of the next event, and the version it has seen everything up to."""

    sequence: int
    above: int


class Batch(NamedTuple):
    """Changes that are ready, and where a watch stands after them. Shared: not to be changed."""

    changes: list[Change]
    after: Place


class _Asked(NamedTuple):
    selection: Selection
    place: Place
    head: int
    bytes_max: int


class Batches:
    """Takes batches from one window."""

    def __init__(self, window: EventWindow) -> None:
        self._window = window
        self._asked: _Asked | None = None
        self._batch = Batch([], Place(0, 0))

    def take(self, selection: Selection, place: Place, bytes_max: int) -> Batch:
        """The next changes up to ``bytes_max`` and one more; ``place`` must still be in the window."""
        asked = _Asked(selection, place, self._window.head, bytes_max)
        if asked != self._asked:
            self._batch = _taken(self._window, selection, place, bytes_max)
            self._asked = asked
        return self._batch


def _taken(window: EventWindow, selection: Selection, place: Place, bytes_max: int) -> Batch:
    sequence, above = place
    takes_all = selection.is_everything
    changes, taken_bytes, head = [], 0, window.head
    while sequence < head and taken_bytes < bytes_max:
        event = window.at(sequence)
        sequence += 1
        if event.version > above:
            above = event.version
            change = _seen(event, selection, takes_all=takes_all)
            if change is not None:
                changes.append(change)
                taken_bytes += len(change.body)
    return Batch(changes, Place(sequence, above))


def _seen(event: Event, selection: Selection, *, takes_all: bool) -> Change | None:
    old, new = event.old, event.new
    saw = old is not None and (takes_all or selection.matches(old))
    if new is not None and (takes_all or selection.matches(new)):
        return Change(MODIFIED if saw else ADDED, new.body)
    return Change(DELETED, event.last_body) if saw else None
