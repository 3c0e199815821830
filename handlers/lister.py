"""Reads the caches from a handler's process: by mmap on the worker's own files, else by asking the worker.

A call sees each shard as it is when the call comes to it; a long list is not a snapshot. Nothing of a cache
stays open between two calls, so a handler cannot hold up a worker by keeping what it got.

Not here: where shards are (``caches``), writing (the informer's workers only).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from deltawire.client.rest.decode import decoder_of
from deltawire.common.meta.keys import display_key, key_of, shard_of, split_key
from deltawire.common.meta.selectors import parse_label_selector
from deltawire.handlers.freshness import Freshness
from deltawire.handlers.models import decode_as

PAGE_OBJECTS = 256

T = TypeVar("T")

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class _Metadata(msgspec.Struct):
    labels: dict[str, str] | None = None


class _Labelled(msgspec.Struct):
    metadata: _Metadata


_decode_labels = decoder_of(_Labelled)


class CachedObject(Mapping[str, Any]):
    """A stored object. Reads like the decoded object; ``raw`` is its JSON, decoded at the first access.

    Each call of a lister makes its own, so a change made to one is seen by no other caller.
    """

    def __init__(self, key: str, resource_version: str, raw: bytes) -> None:
        self.namespace, self.name = split_key(key)
        self.key = display_key(key)
        self.resource_version = resource_version
        self.raw = raw

    @cached_property
    def object(self) -> dict[str, Any]:
        """The decoded object."""
        return _decode(self.raw)

    def __getitem__(self, field: str) -> Any:
        return self.object[field]

    def __iter__(self) -> Iterator[str]:
        return iter(self.object)

    def __len__(self) -> int:
        return len(self.object)

    def __repr__(self) -> str:
        return f"<CachedObject {self.key} at version {self.resource_version}>"


class StoredRow(Protocol):
    """What a shard returns of an object."""

    @property
    def key(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def object(self) -> bytes: ...


class ShardSource(Protocol):
    """A shard, by mmap or by asking. A page's second item is where the next one begins, "" at the end."""

    def get(self, key: str) -> StoredRow | None: ...

    def page(self, prefix: str, after: str, limit: int) -> tuple[Sequence[StoredRow], str]: ...

    def index_page(
        self, name: str, value: str, after: str, limit: int
    ) -> tuple[Sequence[StoredRow], str]: ...


class ShardSources(Protocol):
    """Where the shards of one informer are. Raises DeltawireError where one cannot be read."""

    @property
    def shards(self) -> int: ...

    def source(self, shard: int) -> ShardSource: ...


# `Lister.list` hides the builtin inside the class.
Objects = list[CachedObject]
Keys = list[str]


class Lister:
    """The cache of one informer. Safe to use from several threads."""

    def __init__(self, sources: ShardSources, *, freshness: Callable[[], Freshness]) -> None:
        self._sources = sources
        self._freshness = freshness

    def freshness(self) -> Freshness:
        """How old the content of the cache may be; not known while a worker does not report."""
        return self._freshness()

    def get(self, namespace: str, name: str) -> CachedObject | None:
        """The object as it is stored now, or None. Cluster-scoped objects have the namespace ""."""
        return self.get_key(key_of(namespace, name))

    def get_key(self, key: str) -> CachedObject | None:
        """As `get`, by ``namespace/name`` or, for cluster-scoped objects, the bare name."""
        full = key if "/" in key else key_of("", key)
        row = self._sources.source(shard_of(full, self._sources.shards)).get(full)
        return None if row is None else _cached(row)

    def list(self, namespace: str | None = None, label_selector: str = "") -> Objects:
        """All objects, or those of one namespace, that a label selector (``app=web,tier!=db``) matches.

        Raises ConfigError for a selector that cannot be read.
        """
        selector = parse_label_selector(label_selector)
        found = [_cached(row) for row in self._rows(namespace)]
        if selector.is_everything:
            return found
        return [o for o in found if selector.matches(_decode_labels(o.raw).metadata.labels or {})]

    def keys(self, namespace: str | None = None) -> Keys:
        """The keys, as ``namespace/name`` or the bare name."""
        return [display_key(row.key) for row in self._rows(namespace)]

    def by_index(self, name: str, value: str) -> Objects:
        """The objects that the index ``name`` lists under ``value``."""
        found: Objects = []
        for shard in range(self._sources.shards):
            source, after = self._sources.source(shard), ""
            while True:
                rows, after = source.index_page(name, value, after, PAGE_OBJECTS)
                found += [_cached(row) for row in rows]
                if not after:
                    break
        return found

    def _rows(self, namespace: str | None) -> Iterator[StoredRow]:
        prefix = "" if namespace is None else key_of(namespace, "")
        for shard in range(self._sources.shards):
            source, after = self._sources.source(shard), ""
            while True:
                rows, after = source.page(prefix, after, PAGE_OBJECTS)
                yield from rows
                if not after:
                    break


class TypedLister(Generic[T]):
    """The same cache with objects of one class. Raises DecodeFailed for an object that does not fit it."""

    def __init__(self, lister: Lister, model: type[T]) -> None:
        self._lister = lister
        self._model = model

    def freshness(self) -> Freshness:
        """As `Lister.freshness`."""
        return self._lister.freshness()

    def get(self, namespace: str, name: str) -> T | None:
        """As `Lister.get`."""
        return self._read(self._lister.get(namespace, name))

    def get_key(self, key: str) -> T | None:
        """As `Lister.get_key`."""
        return self._read(self._lister.get_key(key))

    def list(self, namespace: str | None = None, label_selector: str = "") -> Sequence[T]:
        """As `Lister.list`."""
        return self._read_all(self._lister.list(namespace, label_selector))

    def keys(self, namespace: str | None = None) -> Keys:
        """As `Lister.keys`."""
        return self._lister.keys(namespace)

    def by_index(self, name: str, value: str) -> Sequence[T]:
        """As `Lister.by_index`."""
        return self._read_all(self._lister.by_index(name, value))

    def _read(self, cached: CachedObject | None) -> T | None:
        return None if cached is None else decode_as(self._model, cached.raw)

    def _read_all(self, cached: Sequence[CachedObject]) -> Sequence[T]:
        return [decode_as(self._model, one.raw) for one in cached]


def _cached(row: StoredRow) -> CachedObject:
    return CachedObject(row.key, row.version, row.object)
