"""Watches: where one starts, and a cursor that walks the window at its reader's pace.

A cursor holds no events of its own. It turns each event into what its selection sees: an update may be an
ADDED or a DELETED for a watch with selectors.
"""

from collections.abc import Iterator

from deltawire.apiserver.core import failures
from deltawire.apiserver.core.batches import ADDED, Change, Place
from deltawire.apiserver.core.options import NOT_OLDER_THAN, WatchOptions, parse_version
from deltawire.apiserver.core.record import Record
from deltawire.apiserver.core.selection import Selection
from deltawire.apiserver.core.store import Store, Table


class WatchCursor:
    """A place in the window. ``take`` gives what is ready and never waits.

    ``initial`` are the objects that stood when the watch began, sent first as ADDED. `owes_initial_end` is
    true while the bookmark that ends them is still to be sent.
    """

    def __init__(
        self, store: Store, table: Table, selection: Selection, *, above: int, initial: bool, marks_end: bool
    ) -> None:
        self._store = store
        self.window = table.window
        self._batches = table.batches
        self._selection = selection
        self._initial: Iterator[Record] = iter(())
        if initial:
            self._initial = iter([table.records[key] for key in table.keys_of(selection.namespace)])
            above = store.version
        self._place = Place(self.window.after(above), above)
        self.has_initial = initial
        self.owes_initial_end = initial and marks_end

    def take(self, bytes_max: int) -> list[Change]:
        """The next changes, up to ``bytes_max`` and one more; [] when the cursor is at the head.

        Raises StatusError 410 when the events that come next are no longer kept.
        """
        if self.has_initial:
            changes = self._take_initial(bytes_max)
            if changes:
                return changes
            self.has_initial = False
        if self.is_lost:
            raise failures.too_old(self._place.above, self.window.floor)
        batch = self._batches.take(self._selection, self._place, bytes_max)
        self._place = batch.after
        return batch.changes

    def has_news(self) -> bool:
        """True if `take` has an event or the watch has ended; skips events that this watch does not select."""
        if self.has_initial or self.is_lost or self.window.is_closed:
            return True
        # One change is enough to know. The batch is taken for real when the reader comes for it.
        batch = self._batches.take(self._selection, self._place, 1)
        if not batch.changes:
            self._place = batch.after
        return bool(batch.changes)

    @property
    def is_lost(self) -> bool:
        """The events that come next are no longer kept."""
        return self._place.sequence < self.window.tail

    @property
    def is_at_head(self) -> bool:
        return not self.has_initial and self._place.sequence == self.window.head

    @property
    def is_over(self) -> bool:
        """The resource is no longer served and all of its events were taken."""
        return self.window.is_closed and self.is_at_head

    @property
    def bookmark_version(self) -> int:
        """Up to which version this watch has seen everything; 0 while initial objects are still to come."""
        if self.has_initial:
            return 0
        above = self._place.above
        return max(self._store.version, above) if self.is_at_head else above

    def _take_initial(self, bytes_max: int) -> list[Change]:
        changes, taken_bytes = [], 0
        for record in self._initial:
            if self._selection.matches(record):
                changes.append(Change(ADDED, record.body))
                taken_bytes += len(record.body)
                if taken_bytes >= bytes_max:
                    break
        return changes


def open_watch(store: Store, table: Table, selection: Selection, options: WatchOptions) -> WatchCursor:
    """Start a watch. Raises StatusError: 400 and 422 for bad options, 410 too old, 504 too new."""
    _check(options)
    asked = parse_version(options.version)
    if options.send_initial_events:
        if asked > store.version:
            raise failures.too_large(asked, store.version)
        return WatchCursor(
            store, table, selection, above=asked, initial=True, marks_end=options.allow_bookmarks
        )
    if asked == 0:
        initial = options.send_initial_events is None
        return WatchCursor(store, table, selection, above=store.version, initial=initial, marks_end=False)
    if asked < table.window.floor:
        raise failures.too_old(asked, table.window.floor)
    return WatchCursor(store, table, selection, above=asked, initial=False, marks_end=False)


def _check(options: WatchOptions) -> None:
    if options.send_initial_events is None:
        if options.match:
            why = (
                "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
            )
            raise failures.invalid_options(
                "ListOptions", failures.cause("resourceVersionMatch", why, "FieldValueForbidden")
            )
    elif options.match != NOT_OLDER_THAN:
        why = (
            "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            if not options.match
            else f'Unsupported value: "{options.match}": supported values: "NotOlderThan"'
        )
        raise failures.invalid_options(
            "ListOptions", failures.cause("resourceVersionMatch", why, "FieldValueForbidden")
        )
