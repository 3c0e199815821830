"""The one writer of a shard's LMDB environment: objects with their indices, the change index, what is gone.

Inside every write transaction the owner's nonce is compared: a worker that stalled and was replaced must not
write over its successor (LMDB serialises writers, it does not fence them).
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lmdb
import msgspec

from deltawire.common.beats import Beats
from deltawire.common.clock import Clock
from deltawire.common.errors import StateError
from deltawire.common.store import layout, meta, pages
from deltawire.common.store.layout import Row, text_of, unpack_row
from deltawire.common.store.meta import ShardState, StreamState
from deltawire.common.store.pages import NAMESPACE_INDEX
from deltawire.common.store.reader import ReaderUnavailable
from deltawire.informer.groups.events import Fresh
from deltawire.informer.store import migrate
from deltawire.informer.store.batch import NOBODY, Batch, Watching
from deltawire.informer.store.damage import is_cut
from deltawire.informer.store.index_functions import IndexFunctions
from deltawire.informer.store.trouble import GARBLED, OwnerLost, explain
from deltawire.informer.store.view import View

log = logging.getLogger(__name__)

_REBUILD_ROWS = 1000
# A commit is one call of LMDB: one of so many changes may take longer than a turn of the loop should.
_LARGE_COMMIT_CHANGES = 5_000
# What may have rows that are to be trimmed.
_ALL_KEPT = {layout.GONE: True, layout.HISTORY: True}


class Indexer:
    """Opens a shard's environment and takes it over for ``owner``, the worker's boot nonce."""

    def __init__(
        self,
        folder: Path,
        *,
        owner: str,
        informer: str,
        indexes: dict[str, str],
        index_hash: str,
        clock: Clock,
        beats: Beats | None = None,
        sync: bool = False,
    ) -> None:
        """``beats`` report long work. ``sync``: each commit waits for the disk, as does this for what was before.

        Raises StateError if the environment is of another schema, CapacityError if it cannot be made.
        """
        self.folder = folder
        self.functions = IndexFunctions(indexes)
        self.indexes: dict[str, Any] = {}
        self.dbs: dict[bytes, Any] = {}
        # Of the last transaction that stored any: delivery need not read them again.
        self._fresh = Fresh()
        self._kept = dict(_ALL_KEPT)
        # Since the start; what was measured after so many holds until there are more.
        self.commits = 0
        self._sizes: tuple[int, int, int] | None = None
        # The state's row as it was committed last by this owner, whose nonce no other has.
        self._owner, self._written = owner, b""
        self._clock = clock
        self.beats = beats or Beats(None)
        self._index_hash = index_hash
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._env = lmdb.open(
                str(folder),
                map_size=layout.MAP_BYTES,
                max_dbs=layout.DBS_MAX,
                max_readers=layout.READERS_MAX,
                sync=sync,
                metasync=sync,
                mode=0o600,
                max_spare_txns=4,
            )
        except lmdb.Error as error:
            raise explain(error, folder) from None
        try:
            if is_cut(folder, self._env):
                raise lmdb.CorruptedError("the file is shorter than what is stored in it")
            self._open_dbs()
            self._batch = Batch(
                self.dbs, self.indexes, self.functions, end=self._end, kept=self._kept, beats=self.beats
            )
            self._take_over(owner, informer)
            if sync:
                self.sync()
            if self.state.index_hash != index_hash:
                self._rebuild()
        except BaseException as error:
            self._env.close()
            if isinstance(error, (lmdb.Error, *GARBLED)):
                raise explain(error, folder) from None
            raise

    def _take_over(self, owner: str, informer: str) -> None:
        """From here on only ``owner`` writes."""
        with self._read() as txn:
            # Objects of which it is not known yet whether a crash of the machine hid their deletion.
            self.has_lost = bool(txn.stat(self.dbs[layout.LOST])["entries"])
        self.state = self._read_state()
        if self.state.schema > layout.SCHEMA:
            raise StateError(
                f"{self.folder} was written in schema {self.state.schema}, this program reads {layout.SCHEMA}",
                hint="use the version that wrote it, or name another folder in store.dir",
            )
        schema = self.state.schema
        self.state = msgspec.structs.replace(self.state, owner=owner, schema=layout.SCHEMA, informer=informer)
        with self._env.begin(write=True) as txn:
            if 0 < schema < layout.SCHEMA:
                migrate.upgrade(txn, self.dbs, schema, self.state.seq)
            txn.put(meta.STATE_KEY, meta.encode(self.state), db=self.dbs[layout.META])

    def write_with(self, make: Callable[..., Batch]) -> None:
        """Have transactions written by another kind of `Batch` from now on."""
        self._batch = make(
            self.dbs, self.indexes, self.functions, end=self._end, kept=self._kept, beats=self.beats
        )

    def batch(self, watching: Watching = NOBODY) -> Batch:
        """A write transaction: a block, at whose end it is committed with ``batch.state`` as the new state.

        ``watching``: who must know of what is stored. An exception aborts it. Raises OwnerLost, and CapacityError where
        the disk or the map is full.
        """
        try:
            txn = self._env.begin(write=True)
        except (lmdb.Error, *GARBLED) as error:
            raise explain(error, self.folder) from None
        try:
            self._check_owner(txn)
        except BaseException as error:
            txn.abort()
            if isinstance(error, (lmdb.Error, *GARBLED)):
                raise explain(error, self.folder) from None
            raise
        state = msgspec.structs.replace(self.state)
        return self._batch.begin(txn, state, has_lost=self.has_lost, watching=watching)

    def _check_owner(self, txn: Any) -> None:
        data = txn.get(meta.STATE_KEY, db=self._meta)
        # Mostly it is what we wrote ourselves, and need not be taken apart.
        if data != self._written and (data is None or meta.decode_state(data).owner != self._owner):
            raise OwnerLost(f"{self.folder} has been taken over by another worker")

    def _end(self, batch: Batch, error: BaseException | None) -> None:
        """The end of a batch's block: commit it, or after an error abort it."""
        try:
            if error is None:
                self._commit(batch)
            else:
                batch.txn.abort()
        except BaseException as late:
            batch.txn.abort()
            error = late
            if not isinstance(late, (lmdb.Error, *GARBLED)):
                raise
        if error is None:
            return
        # It is not known any more what is there.
        self._kept.update(_ALL_KEPT)
        if isinstance(error, (lmdb.Error, *GARBLED)):
            raise explain(error, self.folder) from None

    def _commit(self, batch: Batch) -> None:
        state, txn = batch.state, batch.txn
        state.committed_at = int(self._clock.wall_s() * 1e6)
        written = meta.encode(state)
        txn.put(meta.STATE_KEY, written, db=self._meta)
        has_lost = batch.has_lost and batch.has(layout.LOST)
        if batch.changes >= _LARGE_COMMIT_CHANGES:
            self.beats.enter_call(f"a commit of {batch.changes} changes")
        txn.commit()
        before, self.state, self.has_lost = self.state.seq, state, has_lost
        self._written = written if state.owner == self._owner else b""
        self.commits += 1
        if batch.is_large:
            self._fresh = Fresh()
        elif batch.fresh:
            # Another one, as a view may still be at the one before.
            fresh = self._fresh = Fresh()
            fresh.rows = batch.fresh
            # Where nothing but these rows was stored they are all changes since.
            fresh.after = before if len(fresh.rows) == state.seq - before else None

    def view(self) -> View:
        """A read transaction on what is committed: a block; keep it short.

        Raises ReaderUnavailable where other processes hold all slots of readers: that passes.
        """
        return View(self._begin(), self.dbs, self.state.seq, self._fresh, self._explained)

    def _begin(self) -> Any:
        try:
            return self._env.begin()
        except lmdb.ReadersFullError as error:
            self.check_readers()
            raise ReaderUnavailable(f"no reader can be added to {self.folder}: {error}") from None
        except lmdb.Error as error:
            raise explain(error, self.folder) from None

    def _explained(self, error: BaseException | None) -> None:
        if isinstance(error, (lmdb.Error, *GARBLED)):
            raise explain(error, self.folder) from None

    @contextmanager
    def _read(self) -> Iterator[Any]:
        """As `view`, the bare transaction."""
        try:
            with self._begin() as txn:
                yield txn
        except (lmdb.Error, *GARBLED) as error:
            raise explain(error, self.folder) from None

    def streams(self) -> dict[str, StreamState]:
        """The streams this shard knows."""
        found = {}
        with self._read() as txn:
            for raw, data in txn.cursor(db=self.dbs[layout.META]):
                if raw.startswith(meta.STREAM_PREFIX):
                    found[raw.removeprefix(meta.STREAM_PREFIX).decode()] = meta.decode_stream(data)
        return found

    def rows(self, name: bytes) -> list[tuple[bytes, bytes]]:
        """All rows of a small database: ``groups``, ``parked``, ``owed``."""
        with self._read() as txn:
            return list(txn.cursor(db=self.dbs[name]))

    def count(self) -> int:
        """How many objects are stored."""
        return self._measured()[1]

    def all_keys(self) -> list[str]:
        """All stored keys: for what happens once, when the shard is opened."""
        with self._read() as txn:
            cursor = txn.cursor(db=self.dbs[layout.OBJECTS])
            return [text_of(raw) or unpack_row(data).key for raw, data in cursor]

    def used_bytes(self) -> int:
        """Bytes of the pages in use, those on LMDB's free list not counted."""
        return self._measured()[2]

    def _measured(self) -> tuple[int, int, int]:
        """(commits, objects, bytes), measured where anything was committed since the last time."""
        if self._sizes is None or self._sizes[0] != self.commits:
            pages_used = objects = 0
            with self._read() as txn:
                for db in [*self.dbs.values(), *self.indexes.values()]:
                    stat = txn.stat(db)
                    pages_used += stat["branch_pages"] + stat["leaf_pages"] + stat["overflow_pages"]
                objects = int(txn.stat(self.dbs[layout.OBJECTS])["entries"])
            self._sizes = self.commits, objects, int(pages_used * self._env.stat()["psize"])
        return self._sizes

    def get(self, key: str) -> Row | None:
        """The stored object of a key."""
        with self.view() as view:
            return view.object(key)

    def query_page(self, prefix: str, after: str, limit: int) -> tuple[list[Row], str]:
        """For the lister over RPC: see `pages.read_page`."""
        with self._read() as txn:
            return pages.read_page(txn, self.dbs[layout.OBJECTS], prefix, after, limit, self._clock)

    def query_index(self, name: str, value: str, after: str, limit: int) -> tuple[list[Row], str]:
        """For the lister over RPC. Raises StateError for an unknown index."""
        if name == NAMESPACE_INDEX:
            return self.query_page(f"{value}/", after, limit)
        if name not in self.indexes:
            raise StateError(f"there is no index {name!r} here", hint="declare it under `indexes`")
        objects = self.dbs[layout.OBJECTS]
        with self._read() as txn:
            index = self.indexes[name]
            return pages.read_index_page(txn, index, objects, name, value, after, limit, self._clock)

    def query_changes(self, seq: int, limit: int) -> tuple[list[Row], int]:
        """For who follows a cache over RPC: see `pages.read_changes`."""
        with self._read() as txn:
            return pages.read_changes(txn, self.dbs[layout.CHANGES], self.dbs[layout.OBJECTS], seq, limit)

    def check_readers(self) -> int:
        """Free the slots of readers whose process died: their old pages would fill the map."""
        return int(self._env.reader_check())

    def readers(self) -> tuple[str, int]:
        """LMDB's table of readers, and the number of the newest transaction (for `pins.PinWatch`)."""
        return str(self._env.readers()), int(self._env.info()["last_txnid"])

    def sync(self) -> None:
        """Wait until everything is on the disk."""
        self._env.sync(True)

    def close(self) -> None:
        self._env.close()

    def _open_dbs(self) -> None:
        for name in layout.PLAIN_DBS:
            self.dbs[name] = self._env.open_db(name)
        self._meta = self.dbs[layout.META]
        for index in self.functions.names:
            self.indexes[index] = self._env.open_db(f"{layout.INDEX_PREFIX}{index}".encode(), dupsort=True)

    def _read_state(self) -> ShardState:
        with self._read() as txn:
            data = txn.get(meta.STATE_KEY, db=self.dbs[layout.META])
        return ShardState() if data is None else meta.decode_state(data)

    def _rebuild(self) -> None:
        """The config's indices changed: make them anew from the objects, without asking the API server."""
        old = set(self.state.indexes)
        with self.batch() as batch:
            for name in old - set(self.indexes):
                gone = self._env.open_db(f"{layout.INDEX_PREFIX}{name}".encode(), dupsort=True, txn=batch.txn)
                batch.txn.drop(gone)
            raw_keys = batch.empty_indexes()
        for start in range(0, len(raw_keys), _REBUILD_ROWS):
            self.beats.progress("a rebuild of indices")
            with self.batch() as batch:
                batch.reindex(raw_keys[start : start + _REBUILD_ROWS])
        with self.batch() as batch:
            batch.state = msgspec.structs.replace(
                batch.state, index_hash=self._index_hash, indexes=sorted(self.indexes)
            )
        if raw_keys:
            log.info(
                "rebuilt %d indices over %d objects in %s", len(self.indexes), len(raw_keys), self.folder
            )


def total_bytes(indexers: Sequence[Indexer]) -> int:
    """What an informer's shards of this worker hold together."""
    return sum(indexer.used_bytes() for indexer in indexers)
