"""Bringing back what a journal holds: objects, their recent events, and the resources they define.

And keeping it short from then on.
"""

from collections.abc import Iterator

import msgspec

from deltawire.apiserver.core.context import Context
from deltawire.apiserver.core.crds import DEFINITIONS
from deltawire.apiserver.core.journal import COMMITS_KEPT_MAX, Commit, FileJournal
from deltawire.apiserver.core.record import encode_record
from deltawire.apiserver.core.store import Store
from deltawire.apiserver.core.window import Event
from deltawire.common.errors import StateError, StatusError


def restore(context: Context, journal: FileJournal) -> None:
    """Fill an empty store from ``journal`` and write to it from now on. Raises StateError."""
    store = context.store
    for commit in journal.load():
        if store.version < journal.floor:
            store.start_at(journal.floor)
        _apply(context, commit, in_snapshot=commit.version <= journal.floor)
    kept = ShortJournal(journal, store)
    kept.shorten()
    store.keep_in(kept)


class ShortJournal:
    """Writes commits to a journal, and a snapshot in their place when they have become many."""

    def __init__(self, journal: FileJournal, store: Store) -> None:
        self._journal = journal
        self._store = store

    def append(self, storage: str, event: Event) -> None:
        """Raises StatusError 500 if the commit cannot be kept; then nothing was written."""
        try:
            # Before the commit takes effect: the snapshot is of the version before.
            self.shorten()
        except OSError as error:
            raise StatusError(
                500, "InternalError", f"the data file cannot be rewritten: {error.strerror}"
            ) from None
        self._journal.append(storage, event)

    def begin_anew(self) -> None:
        """Raises StatusError 500 if the file cannot be rewritten."""
        try:
            self._journal.rewrite(self._store.version, _snapshot(self._store))
        except OSError as error:
            raise StatusError(
                500, "InternalError", f"the data file cannot be rewritten: {error.strerror}"
            ) from None

    def shorten(self) -> None:
        """Rewrite the journal if it is due. Raises OSError."""
        # Objects are counted only when it may be due: this is called with every write.
        if self._journal.commits <= COMMITS_KEPT_MAX:
            return
        objects = sum(len(table.keys) for _, table in self._store.tables())
        if self._journal.commits - objects > max(COMMITS_KEPT_MAX, objects):
            self._journal.rewrite(self._store.version, _snapshot(self._store))


def _apply(context: Context, commit: Commit, *, in_snapshot: bool) -> None:
    store = context.store
    try:
        resource = context.resource(commit.table)
    except StatusError:
        raise StateError(f"the data file holds {commit.table}, which nothing defines") from None
    if commit.is_removal:
        store.replay(commit.table, commit.key, None, commit.version)
        if commit.table == DEFINITIONS:
            context.stop_serving(commit.key.lstrip("/"))
        return
    obj = msgspec.json.decode(commit.body)
    record = encode_record(resource, obj, commit.version)
    if in_snapshot:
        store.restore(commit.table, record)
    else:
        store.replay(commit.table, commit.key, record, commit.version)
    context.after_write(resource, obj)


def _snapshot(store: Store) -> Iterator[tuple[str, str, int, bytes]]:
    """Every object, definitions of custom resources before what they define."""
    for name, table in sorted(store.tables(), key=lambda entry: entry[0] != DEFINITIONS):
        for key in table.keys:
            record = table.records[key]
            yield name, key, record.version, record.body
