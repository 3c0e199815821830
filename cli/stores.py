"""Reading the caches of a state folder from a command, over all shards of an informer."""

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from deltawire.common.meta.keys import shard_of
from deltawire.common.store.folder import CLUSTERS, MARKER, cluster_folder, find_shards, last_cluster_id
from deltawire.common.store.layout import Row
from deltawire.common.store.reader import ShardFreshness, ShardReader

if TYPE_CHECKING:
    from deltawire.common.store.folder import Marker


class Shard(Protocol):
    """A shard of a cache, here or elsewhere. ``store`` names it: in another one changes are numbered anew."""

    @property
    def store(self) -> str: ...

    def get(self, key: str) -> Row | None: ...

    def page(self, prefix: str = "", after: str = "") -> tuple[list[Row], str]: ...

    def index_page(self, name: str, value: str, after: str = "") -> tuple[list[Row], str]: ...

    def changes_after(self, seq: int) -> tuple[list[Row], int]: ...

    def count(self) -> int: ...

    def gone(self, keys: Iterable[str]) -> list[str]: ...


class LocalShard(ShardReader):
    """A shard whose files are here."""

    @property
    def store(self) -> str:
        return str(self.folder)

    def gone(self, keys: Iterable[str]) -> list[str]:
        """Those that are not stored."""
        return [key for key in keys if self.get(key) is None]


class Cache:
    """All shards of one informer. Use as a context manager. Raises StateError, of a cache elsewhere TransportError."""

    def __init__(self, readers: Mapping[int, Shard], shards: int, stack: ExitStack) -> None:
        """``stack``: what is to be closed with it."""
        self.readers = dict(readers)
        self._shards = shards
        self._stack = stack

    def get(self, key: str) -> Row | None:
        reader = self.readers.get(shard_of(key, self._shards))
        return reader.get(key) if reader else None

    def rows(self, prefix: str = "") -> Iterator[Row]:
        """All rows whose key begins so, by key; one page of each shard is held at a time."""
        return self._merged(lambda reader, after: reader.page(prefix, after))

    def indexed(self, name: str, value: str) -> Iterator[Row]:
        """All rows with this value in an index, as `rows`."""
        return self._merged(lambda reader, after: reader.index_page(name, value, after))

    def _merged(self, page: Callable[[Shard, str], tuple[list[Row], str]]) -> Iterator[Row]:
        def of_shard(reader: Shard) -> Iterator[Row]:
            after = ""
            while True:
                rows, after = page(reader, after)
                yield from rows
                if not after:
                    return

        return heapq.merge(*map(of_shard, self.readers.values()), key=lambda row: row.key)

    def count(self) -> int:
        return sum(reader.count() for reader in self.readers.values())

    def freshness(self) -> list[ShardFreshness]:
        """Of the shards whose files are here."""
        return [reader.meta() for reader in self.readers.values() if isinstance(reader, LocalShard)]

    def __enter__(self) -> "Cache":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


def open_cache(store_dir: Path, cluster: str, resource: str, shards: int) -> Cache | None:
    """The cache of a resource, or None if nothing of it is stored."""
    cluster_id = last_cluster_id(store_dir, cluster)
    folders = find_shards(store_dir, cluster_id, resource) if cluster_id else []
    if not folders:
        return None
    stack, readers = ExitStack(), {}
    try:
        for folder in folders:
            shard = LocalShard(folder)
            stack.callback(shard.close)
            readers[int(folder.name.removeprefix("shard-"))] = shard
    except BaseException:
        stack.close()
        raise
    return Cache(readers, shards, stack)


def shards_of(store_dir: Path) -> int:
    """The number of shards that a state folder was made with; 0 if there is no state folder."""
    marker = _marker_of(store_dir)
    return 0 if marker is None else marker.shards


def is_half_restored(store_dir: Path) -> bool:
    """A restore goes on in the state folder, or was cut in it."""
    marker = _marker_of(store_dir)
    return marker is not None and marker.restoring


def _marker_of(store_dir: Path) -> "Marker | None":
    import msgspec

    from deltawire.common.store.folder import Marker

    try:
        return msgspec.json.decode((store_dir / MARKER).read_bytes(), type=Marker)
    except (OSError, msgspec.MsgspecError):
        return None


def clusters_of(store_dir: Path) -> dict[str, str]:
    """The clusters that have caches here: name → id."""
    import msgspec

    try:
        return msgspec.json.decode((store_dir / CLUSTERS).read_bytes(), type=dict[str, str])
    except (OSError, msgspec.MsgspecError):
        return {}


def cached_resources(store_dir: Path, cluster: str) -> list[str]:
    """The resources of a cluster that have a cache here."""
    cluster_id = clusters_of(store_dir).get(cluster, "")
    folder = cluster_folder(store_dir, cluster_id)
    if not cluster_id or not folder.is_dir():
        return []
    return sorted(p.name for p in folder.iterdir() if find_shards(store_dir, cluster_id, p.name))
