"""What changes in a cache, seen by polling its change index: for ``tail`` and ``get -w``."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from deltawire.cli.stores import Cache, Shard
from deltawire.common.errors import TransportError
from deltawire.common.store.layout import Row

POLL_S = 0.2
# How many values of a field diff are shown for one change.
DIFFS_MAX = 12
_QUIET = ("metadata.resourceVersion", "metadata.managedFields", "metadata.generation")


@dataclass(frozen=True, slots=True)
class Change:
    """``old`` is None for a new object, ``new`` is None for a deleted one."""

    old: Row | None
    new: Row | None


class ChangeFeed:
    """Changes since it was made. Polling sees the newest state only: two changes in between are one."""

    def __init__(self, cache: Cache) -> None:
        self._shards = [_Shard(reader) for reader in cache.readers.values()]

    def poll(self) -> Iterator[Change]:
        """What changed since the last call."""
        for shard in self._shards:
            yield from shard.poll()


class Patience:
    """For a command that follows a cache through its workers: it goes on while these do not answer, and says so."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._is_told = False

    def poll(self, feed: ChangeFeed) -> Iterator[Change]:
        """What changed since the last call; what could not be asked for comes with a later one."""
        try:
            yield from feed.poll()
        except TransportError as error:
            if not self._is_told:
                self._say(f"{error}: going on when it does")
            self._is_told = True
            return
        if self._is_told:
            self._say("the caches are read again")
        self._is_told = False


class _Shard:
    def __init__(self, reader: Shard) -> None:
        self._reader = reader
        self._store = reader.store
        self._seq = 0
        self._known: dict[str, Row] = {}
        for _ in self._read():
            pass

    def poll(self) -> Iterator[Change]:
        yield from self._read()
        # The index holds live objects only: another number of them than we know means that some are gone.
        if self._reader.count() != len(self._known):
            yield from self._deleted()

    def _read(self) -> Iterator[Change]:
        while True:
            rows, seq = self._reader.changes_after(self._seq)
            if self._reader.store != self._store:
                # It was made anew, and numbers its changes anew; what is in it as before has not changed.
                self._store, self._seq = self._reader.store, 0
                continue
            for row in rows:
                old = self._known.get(row.key)
                self._known[row.key] = row
                if old is not None and (old.uid, old.version, old.object) == (row.uid, row.version, row.object):
                    continue
                if old is not None and old.uid != row.uid:
                    yield Change(old, None)
                    old = None
                yield Change(old, row)
            if seq == self._seq:
                return
            self._seq = seq

    def _deleted(self) -> Iterator[Change]:
        for key in self._reader.gone(list(self._known)):
            yield Change(self._known.pop(key), None)


def field_diffs(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """``spec.replicas: 2 → 3`` for each field that differs, at most `DIFFS_MAX` and a count of the rest."""
    before, after = dict(_flat(old)), dict(_flat(new))
    lines = [
        f"{path}: {before.get(path, '-')} → {after.get(path, '-')}"
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path) and not path.startswith(_QUIET)
    ]
    hidden = len(lines) - DIFFS_MAX
    return [*lines[:DIFFS_MAX], f"… and {hidden} more fields"] if hidden > 0 else lines


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _flat(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for i, inner in enumerate(value):
            yield from _flat(inner, f"{path}[{i}]")
    else:
        yield path, "null" if value is None else str(value)
