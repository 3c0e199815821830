"""Looking objects up in a shard from any process on the host: the lister's side of the store.

Every call begins its own read transaction and ends it before it returns. So it sees what was committed before the
call, and pins no old pages: LMDB reuses no page that an open reader may see, and the file grows.
"""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import lmdb
import msgspec

from deltawire.common.clock import Clock, SystemClock
from deltawire.common.errors import StateError
from deltawire.common.store import layout, meta
from deltawire.common.store.layout import Row, text_key, unpack_row
from deltawire.common.store.pages import (
    NAMESPACE_INDEX,
    PAGE_OBJECTS_MAX,
    read_changes,
    read_index_page,
    read_index_values,
    read_namespaces,
    read_page,
)

log = logging.getLogger(__name__)

_DBS = (layout.OBJECTS, layout.CHANGES, layout.META)
# Held for the length of a call: a fork must find no transaction open. Python's own lock lets one thread run at a
# time anyway.
_lock = threading.RLock()


class ReaderUnavailable(StateError):
    """No slot for a reader is left, or this process may not share the environment: use RPC until that has passed."""

    retryable = True


class OtherSchema(StateError):
    """Another version of the program wrote the environment, and this one does not read it: use RPC."""


class StreamFreshness(msgspec.Struct, frozen=True):
    """``resume``: complete up to this version, "" while it is listed, or of a server without versions; ``synced``:
    listed at least once; ``is_complete``: not in the middle of a list."""

    resume: str
    synced: bool
    is_complete: bool


class ShardFreshness(msgspec.Struct, frozen=True):
    """How fresh a shard is. ``committed_at``: wall time of the last commit, µs since the epoch."""

    streams: dict[str, StreamFreshness]
    committed_at: int
    indexes: list[str]


class ShardReader:
    """Reads one shard. Safe to use after a fork; one environment per process and folder is shared.

    All methods raise StateError if the folder cannot be read, ReaderUnavailable where that may pass.
    """

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self.folder = folder
        self._clock = clock or SystemClock()
        self._shared = _Environment.share(folder)

    def get(self, key: str) -> Row | None:
        """The object of a key (``namespace/name``), None if there is none."""
        raw = text_key(key)
        # Written out, not `_begin`: this is the lister's hot call (budget 3 µs).
        try:
            with _lock:
                env, dbs = self._shared.here()
                with env.begin() as txn:
                    data = txn.get(raw, db=dbs[layout.OBJECTS])
        except lmdb.Error as error:
            raise _explain(error, self.folder) from None
        if data is None:
            return None
        row = unpack_row(data, key)
        return row if row.key == key else None

    def page(self, prefix: str = "", after: str = "", limit: int = PAGE_OBJECTS_MAX) -> tuple[list[Row], str]:
        """Objects whose key has the prefix, after the key ``after``, and where to go on ("" = complete).

        At most `PAGE_OBJECTS_MAX` objects or `PAGE_S_MAX` seconds a page: a long list is not a snapshot.
        """
        with self._begin() as (txn, dbs):
            return read_page(txn, dbs[layout.OBJECTS], prefix, after, limit, self._clock)

    def index_page(
        self, name: str, value: str, after: str = "", limit: int = PAGE_OBJECTS_MAX
    ) -> tuple[list[Row], str]:
        """Objects with this indexed value, by key, paged like `page`."""
        if name == NAMESPACE_INDEX:
            return self.page(f"{value}/", after, limit)
        with self._begin(name) as (txn, dbs):
            objects = dbs[layout.OBJECTS]
            return read_index_page(txn, dbs[name], objects, name, value, after, limit, self._clock)

    def index_values(self, name: str) -> list[str]:
        """All values of an index, each once, sorted. Raises StateError for an unknown index."""
        if name == NAMESPACE_INDEX:
            with self._begin() as (txn, dbs):
                return read_namespaces(txn, dbs[layout.OBJECTS])
        with self._begin(name) as (txn, dbs):
            return read_index_values(txn, dbs[name], dbs[layout.OBJECTS], name)

    def changes_after(self, seq: int, limit: int = PAGE_OBJECTS_MAX) -> tuple[list[Row], int]:
        """Objects whose newest change has a higher number than ``seq``, in that order, and where to go on.

        Deletions are not among them: an object that is gone has no newest change.
        """
        with self._begin() as (txn, dbs):
            return read_changes(txn, dbs[layout.CHANGES], dbs[layout.OBJECTS], seq, limit)

    def count(self) -> int:
        """How many objects are stored."""
        with self._begin() as (txn, dbs):
            return int(txn.stat(dbs[layout.OBJECTS])["entries"])

    def meta(self) -> ShardFreshness:
        """How fresh the shard is."""
        streams = {}
        with self._begin() as (txn, dbs):
            state = meta.decode_state(txn.get(meta.STATE_KEY, db=dbs[layout.META]) or meta.encode({}))
            cursor = txn.cursor(db=dbs[layout.META])
            if cursor.set_range(meta.STREAM_PREFIX):
                for key, data in cursor:
                    if not key.startswith(meta.STREAM_PREFIX):
                        break
                    stream = meta.decode_stream(data)
                    name = key.removeprefix(meta.STREAM_PREFIX).decode()
                    streams[name] = StreamFreshness(stream.resume, stream.is_listed, stream.is_complete)
        return ShardFreshness(streams, state.committed_at, state.indexes)

    def close(self) -> None:
        """Give the environment back; the last one to do so closes it."""
        self._shared.release()

    @contextmanager
    def _begin(self, index: str = "") -> "Iterator[tuple[Any, dict[bytes | str, Any]]]":
        """A read transaction and the databases by name, the index's with them."""
        try:
            with _lock:
                env, dbs = self._shared.here(index)
                with env.begin() as txn:
                    yield txn, dbs
        except lmdb.Error as error:
            raise _explain(error, self.folder) from None


class _Environment:
    """One read-only environment, shared by the readers of a process (LMDB forbids two on the same files)."""

    _shared: ClassVar[dict[Path, "_Environment"]] = {}

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._users = 0
        self._env: Any = None
        # By name, indices as str.
        self._dbs: dict[bytes | str, Any] = {}

    @classmethod
    def share(cls, folder: Path) -> "_Environment":
        path = folder.resolve()
        with _lock:
            shared = cls._shared.get(path)
            if shared is None:
                shared = cls(path)
                shared.here()
                cls._shared[path] = shared
            else:
                # The worker may be another program by now, which brought the schema up to its own.
                shared.check_schema()
            shared._users += 1
            return shared

    def release(self) -> None:
        with _lock:
            self._users -= 1
            if self._users <= 0:
                self._shared.pop(self._folder, None)
                self._shut()

    @classmethod
    def shut_all(cls) -> None:
        """Close what is open; each is opened again by its next call."""
        for shared in cls._shared.values():
            shared._shut()

    def here(self, index: str = "") -> tuple[Any, dict[bytes | str, Any]]:
        """The open environment and its databases. Call with the lock held, as all of the rest."""
        if self._env is None:
            self._reopen()
        if index and index not in self._dbs:
            db = f"{layout.INDEX_PREFIX}{index}".encode()
            try:
                self._dbs[index] = self._env.open_db(db, dupsort=True, create=False)
            except lmdb.NotFoundError:
                raise StateError(
                    f"there is no index {index!r} (indexes: {', '.join(self._index_names()) or 'none'})",
                    hint="declare it under `indexes`",
                ) from None
        return self._env, self._dbs

    def check_schema(self) -> None:
        """Raises OtherSchema where a program wrote the environment whose schema this one does not read."""
        env, dbs = self.here()
        with env.begin() as txn:
            data = txn.get(meta.STATE_KEY, db=dbs[layout.META])
        schema = 0 if data is None else meta.decode_state(data).schema
        # 0: it is just being made.
        if schema and not layout.SCHEMA - 1 <= schema <= layout.SCHEMA:
            raise OtherSchema(
                f"{self._folder} was written in schema {schema}, this program reads {layout.SCHEMA}",
                hint="use the version that wrote it",
            )

    def _index_names(self) -> list[str]:
        """Of the indexes that are kept here."""
        with self._env.begin() as transaction:
            names = list(transaction.cursor().iternext(keys=True, values=False))
        prefix = layout.INDEX_PREFIX.encode()
        return sorted(name.removeprefix(prefix).decode() for name in names if name.startswith(prefix))

    def _shut(self) -> None:
        if self._env is not None:
            self._env.close()
            self._env = None

    def _reopen(self) -> None:
        if not (self._folder / "data.mdb").exists():
            raise StateError(
                f"{self._folder} holds no cache", hint="has an informer stored this resource here yet?"
            )
        try:
            env = lmdb.open(
                str(self._folder),
                readonly=True,
                create=False,
                map_size=layout.MAP_BYTES,
                max_dbs=layout.DBS_MAX,
                max_readers=layout.READERS_MAX,
                max_spare_txns=4,
            )
        except lmdb.Error as error:
            raise _explain(error, self._folder) from None
        try:
            self._dbs = {name: env.open_db(name, create=False) for name in _DBS}
        except lmdb.Error as error:
            env.close()
            raise _explain(error, self._folder) from None
        self._env = env
        try:
            self.check_schema()
        except BaseException:
            self._shut()
            raise


def _explain(error: Exception, folder: Path) -> StateError:
    if isinstance(error, lmdb.ReadersFullError) or "temporarily unavailable" in str(error):
        return ReaderUnavailable(
            f"no reader can be added to {folder}: {error}", hint="the informer's worker answers meanwhile"
        )
    if isinstance(error, lmdb.NotFoundError):
        return ReaderUnavailable(f"{folder} is just being made", hint="try again")
    return StateError(f"{folder} cannot be read: {error}", hint="is the cache being replaced?")


def _before_fork() -> None:
    """A child must not use an inherited environment, and closing it would free the parent's reader slots."""
    _lock.acquire()
    _Environment.shut_all()


os.register_at_fork(before=_before_fork, after_in_parent=_lock.release, after_in_child=_lock.release)
