"""A shard that is read by asking its worker, with its changes: for who follows a cache from elsewhere."""

from collections.abc import Iterable

from deltawire.common.errors import ProtocolError, StateError
from deltawire.common.store.layout import Row
from deltawire.common.store.pages import NAMESPACE_INDEX, PAGE_OBJECTS_MAX
from deltawire.common.wire.messages.group import Changes, Rows
from deltawire.handlers.reader import Reader


class FollowedShard:
    """As `common.store.reader.ShardReader`, over RPC. Raises TransportError where the worker does not answer."""

    def __init__(
        self, reader: Reader, worker: int, informer: str, shard: int, *, indexes: Iterable[str] = ()
    ) -> None:
        """``indexes``: those that the core keeps, beside that of namespaces."""
        self._indexes = sorted(indexes)
        self._reader = reader
        self._place = (worker, informer, shard)
        # The shard's present cache: in another one changes are numbered anew. "" until something was asked.
        self.store = ""

    def get(self, key: str) -> Row | None:
        """With all that is known of it but its index entries."""
        answer = self._changes("row", key)
        return _whole(answer)[0] if answer.rows else None

    def page(self, prefix: str = "", after: str = "", limit: int = PAGE_OBJECTS_MAX) -> tuple[list[Row], str]:
        """Key, version and object of each, no more."""
        return self._rows("list", prefix, after, limit)

    def index_page(
        self, name: str, value: str, after: str = "", limit: int = PAGE_OBJECTS_MAX
    ) -> tuple[list[Row], str]:
        """As `page`. Raises StateError for an unknown index."""
        if name != NAMESPACE_INDEX and name not in self._indexes:
            raise StateError(
                f"there is no index {name!r} (indexes: {', '.join(self._indexes) or 'none'})",
                hint="declare it under `indexes`",
            )
        return self._rows("index", name, value, after, limit)

    def changes_after(self, seq: int, limit: int = PAGE_OBJECTS_MAX) -> tuple[list[Row], int]:
        """As `ShardReader.changes_after`; look at `store` afterwards."""
        answer = self._changes("changes", seq, limit)
        return _whole(answer), answer.seq

    def count(self) -> int:
        """How many objects are stored."""
        return self._changes("changes", 0, 0).objects

    def gone(self, keys: Iterable[str]) -> list[str]:
        """Those that are not stored."""
        stored: set[str] = set()
        after = ""
        while True:
            rows, after = self._rows("keys", "", after, PAGE_OBJECTS_MAX)
            stored.update(row.key for row in rows)
            if not after:
                return [key for key in keys if key not in stored]

    def _rows(self, verb: str, *arguments: str | int) -> tuple[list[Row], str]:
        answer = self._reader.ask(*self._place, verb, *arguments)
        if not isinstance(answer, Rows):
            raise ProtocolError(f"a worker answers {verb} with {type(answer).__name__}")
        return [Row(row.key, "", row.version, 0, 0, 0, row.object) for row in answer.rows], answer.after

    def _changes(self, verb: str, *arguments: str | int) -> Changes:
        answer = self._reader.ask(*self._place, verb, *arguments)
        if not isinstance(answer, Changes):
            raise ProtocolError(f"a worker answers {verb} with {type(answer).__name__}")
        self.store = answer.store
        return answer


def _whole(answer: Changes) -> list[Row]:
    return [Row(r.key, r.uid, r.version, r.seq, 0, r.at, r.object) for r in answer.rows]
