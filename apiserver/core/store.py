"""All objects, by resource and key, under one rising version. The only place where a version is given."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Any, Protocol

from deltawire.apiserver.core import failures
from deltawire.apiserver.core.batches import Batches
from deltawire.apiserver.core.record import Record, encode_record
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.core.window import Event, EventWindow, WindowLimits


class Journal(Protocol):
    """Where commits are kept for the next start. Called before each commit takes effect, in order."""

    def append(self, storage: str, event: Event) -> None: ...

    def begin_anew(self) -> None:
        """Keep what the store holds now, and nothing of what came before. Raises StatusError."""


class Table:
    """The objects of one resource in the order of their keys, and its recent events."""

    def __init__(self, window: EventWindow) -> None:
        self.records: dict[str, Record] = {}
        self.keys: list[str] = []
        self.begin_window(window)

    def keys_of(self, namespace: str) -> list[str]:
        """The keys of one namespace, or all where ``namespace`` is empty, sorted."""
        if not namespace:
            return self.keys
        first = bisect_left(self.keys, f"{namespace}/")
        return self.keys[first : bisect_left(self.keys, f"{namespace}0")]  # "0" follows "/"

    def holds_any_of(self, namespace: str) -> bool:
        first = bisect_left(self.keys, f"{namespace}/")
        return first < len(self.keys) and self.keys[first].startswith(f"{namespace}/")

    def put(self, record: Record) -> None:
        if record.key not in self.records:
            insort(self.keys, record.key)
        self.records[record.key] = record

    def begin_window(self, window: EventWindow) -> None:
        """Events come from another window from now on; watches on the one before go on with it."""
        self.window = window
        self.batches = Batches(window)

    def remove(self, key: str) -> None:
        del self.records[key]
        del self.keys[bisect_left(self.keys, key)]


class Store:
    """Tables, the version counter, and who owns whom.

    ``version`` is that of the newest commit. ``writes`` counts commits since the start.
    """

    def __init__(self, limits: WindowLimits, version: int = 1) -> None:
        self._limits = limits
        self._journal: Journal | None = None
        self._tables: dict[str, Table] = {}
        self._owned: dict[str, set[tuple[str, str]]] = {}
        self.version = version
        self.writes = 0

    def table(self, storage: str) -> Table:
        """The table of that name; made empty when first asked for."""
        table = self._tables.get(storage)
        if table is None:
            table = self._tables[storage] = Table(EventWindow(self._limits, floor=self.version))
        return table

    def tables(self) -> Iterator[tuple[str, Table]]:
        yield from list(self._tables.items())

    def owned_by(self, uid: str) -> list[tuple[str, str]]:
        """(table, key) of every object that names ``uid`` as an owner."""
        return sorted(self._owned.get(uid, ()))

    def put(self, resource: Resource, obj: dict[str, Any]) -> Record:
        """Store ``obj`` under the next version; its metadata.resourceVersion is set."""
        record = encode_record(resource, obj, self.version + 1)
        self._commit(resource.storage, record.key, record)
        return record

    def remove(self, storage: str, key: str) -> Event:
        """Remove an object that exists; the removal has a version of its own."""
        return self._commit(storage, key, None)

    def start_at(self, version: int) -> None:
        """Begin as of that version: what came before is not in any window."""
        self.version = version
        self.compact()

    def restore(self, storage: str, record: Record) -> None:
        """Put a record of an earlier start in place, without an event."""
        self._place(storage, self.table(storage).records.get(record.key), record)

    def replay(self, storage: str, key: str, record: Record | None, version: int) -> None:
        """Repeat a commit of an earlier start, with its event and its version."""
        table = self.table(storage)
        old = table.records.get(key)
        if old is None and record is None:
            return
        self.version = version
        self._place(storage, old, record)
        table.window.append(Event(version, old, record))

    def keep_in(self, journal: Journal) -> None:
        """From now on, write each commit there first."""
        self._journal = journal

    def drop(self, storage: str) -> None:
        """End a table whose resource is no longer served: its watches end, too."""
        table = self._tables.pop(storage, None)
        if table is not None:
            table.window.close()

    def compact(self, storage: str = "") -> None:
        """Forget the recent events of one table, or of all."""
        for name, table in self.tables():
            if storage in ("", name):
                table.window.compact(self.version)

    def rewind(self, version: int) -> None:
        """Be as of ``version`` again, as a cluster restored from a backup: later versions are given once more.

        Watches on what there was end. Raises StatusError 400 for a version that never was, 410 where the events
        since then are gone, 500 where a file that keeps the store cannot be rewritten.
        """
        if not 0 < version <= self.version:
            raise failures.bad_request(f"version {version} is not one of 1 to {self.version}")
        for _, table in self.tables():
            if version < min(table.window.floor, self.version):
                raise failures.too_old_list(version, table.window.floor)
        for name, table in self.tables():
            window = table.window
            for event in window.newest_first(above=version):
                key = event.record.key
                self._place(name, table.records.get(key), event.old)
            table.begin_window(window.rewound(version))
            window.close()
        self.version = version
        if self._journal is not None:
            self._journal.begin_anew()

    def _commit(self, storage: str, key: str, record: Record | None) -> Event:
        table = self.table(storage)
        old = table.records.get(key)
        event = Event(self.version + 1, old, record)
        if self._journal is not None:
            self._journal.append(storage, event)
        self.version += 1
        self.writes += 1
        self._place(storage, old, record)
        table.window.append(event)
        return event

    def _place(self, storage: str, old: Record | None, new: Record | None) -> None:
        table = self.table(storage)
        if old is not None and (new is None or old.owners != new.owners):
            for uid in old.owners:
                self._owned[uid].discard((storage, old.key))
                if not self._owned[uid]:
                    del self._owned[uid]
        if new is not None:
            for uid in new.owners:
                self._owned.setdefault(uid, set()).add((storage, new.key))
            table.put(new)
        elif old is not None:
            table.remove(old.key)
