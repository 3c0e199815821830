"""Where the shards of the caches are, and how this process reads each: its files by mmap, else its worker.

Not here: what is read (``lister``), the files' layout (``common.store``).
"""

import logging
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from deltawire.common.clock import Clock
from deltawire.common.config.plan import ALL_NAMESPACES, Plan
from deltawire.common.errors import DeltawireError, StateError, TransportError
from deltawire.common.limits import SILENT_INTERVALS_MAX
from deltawire.common.store.folder import MARKER, find_shards, last_cluster_id
from deltawire.common.store.reader import OtherSchema, ReaderUnavailable, ShardReader
from deltawire.common.wire.messages.group import Opened
from deltawire.handlers.freshness import FreshnessBook
from deltawire.handlers.lister import Lister, ShardSource, StoredRow
from deltawire.handlers.queries import Queries, RemoteShard

log = logging.getLogger(__name__)
T = TypeVar("T")

# A shard whose folder no worker announced is looked for again after so long: a discarded cache gets a new one.
FOLDER_KNOWN_FOR_S = 5.0
# A folder that could not be opened is tried again after so long.
TRY_AGAIN_AFTER_S = 5.0
# A lister waits so long for a cache to be listed for the first time, then the call fails and is tried again.
COMPLETE_WITHIN_S = 10.0
LOOK_EVERY_S = 0.05


class Caches:
    """The shards of all informers. Safe to use from several threads."""

    def __init__(self, plan: Plan, watched: Iterable[str], queries: Queries, *, clock: Clock) -> None:
        """``watched``: informers of this group that the plan may not know, as a lone role's config."""
        self.freshness = FreshnessBook(
            plan.shard_owners, silent_s=SILENT_INTERVALS_MAX * plan.heartbeat_s, clock=clock
        )
        self._plan = plan
        self._informers = {*watched, *plan.informers}
        self._complete: set[str] = set()
        self._queries = queries
        self._clock = clock
        self._lock = threading.Lock()
        self._announced: dict[tuple[str, int], Path] = {}
        self._found: dict[tuple[str, int], tuple[float, Path | None]] = {}
        self._local: dict[Path, LocalShard] = {}
        self._unreadable_until_s: dict[Path, float] = {}
        self._of_other_schema: set[tuple[str, int]] = set()

    @property
    def shards(self) -> int:
        return self._plan.shards

    def opened(self, place: Opened) -> None:
        """A worker said where its shard is; a shard in a new folder is opened when it is next read."""
        where, folder = (place.informer, place.shard), Path(place.folder)
        with self._lock:
            before = self._announced.get(where)
            self._announced[where] = folder
            if before is not None:
                # Also the same folder is opened again: a worker that was upgraded may have changed its schema.
                self._local.pop(before, None)

    def lister(self, cluster: str, resource: str) -> Lister:
        """The cache of a resource, once it has been listed: an empty cache must not look like an empty cluster.

        Raises StateError for a resource without an informer, TransportError if it is not listed within
        `COMPLETE_WITHIN_S`.
        """
        informer = f"{cluster}/{resource}"
        if informer not in self._informers:
            raise StateError(f"nothing caches {informer}", hint=self._how_to_cache(cluster, resource))
        deadline_s = self._clock.now_s() + COMPLETE_WITHIN_S
        while informer not in self._complete:
            if self._is_complete(informer):
                self._complete.add(informer)
            elif self._clock.now_s() >= deadline_s:
                raise TransportError(f"the cache of {informer} is not complete yet", reason="timeout")
            else:
                self._clock.sleep(LOOK_EVERY_S)
        return Lister(_InformerShards(self, informer), freshness=lambda: self.freshness.of(informer))

    def source(self, informer: str, shard: int) -> ShardSource:
        """How to read a shard now."""
        remote = RemoteShard(self._queries, self._plan.shard_owners[shard], informer, shard)
        with self._lock:
            folder = self._announced.get((informer, shard)) or self._look(informer, shard)
            if folder is None:
                return remote
            if folder not in self._local:
                if self._clock.now_s() < self._unreadable_until_s.get(folder, 0.0):
                    return remote
                try:
                    self._local[folder] = LocalShard(ShardReader(folder), remote)
                except (DeltawireError, OSError) as error:
                    # Another host or pid namespace, or a folder that is just being made: ask the worker.
                    if folder not in self._unreadable_until_s:
                        log.info("shard %d of %s is read through its worker: %s", shard, informer, error)
                    self._unreadable_until_s[folder] = self._clock.now_s() + TRY_AGAIN_AFTER_S
                    if isinstance(error, OtherSchema):
                        self._of_other_schema.add((informer, shard))
                    return remote
                self._of_other_schema.discard((informer, shard))
            return self._local[folder]

    def close(self) -> None:
        with self._lock:
            self._local.clear()

    def _how_to_cache(self, cluster: str, resource: str) -> str:
        clusters = self._plan.clusters
        if cluster not in clusters:
            return f"there is no such cluster: {', '.join(clusters)}"
        said = f"say so: Handler(…, reads=[{resource!r}])"
        return f"{said}, and {cluster} in the handler's `clusters` in the config" if len(clusters) > 1 else said

    def _is_complete(self, informer: str) -> bool:
        """True if all streams of all shards have been listed once, as far as that can be seen from here."""
        plan = self._plan.informers.get(informer)
        streams = set(plan.streams if plan else [ALL_NAMESPACES])
        for shard in range(self.shards):
            source = self.source(informer, shard)
            if isinstance(source, LocalShard):
                if not streams <= source.listed_streams():
                    return False
            elif self._is_workers_host and (informer, shard) not in self._of_other_schema:
                # Its files will be here as soon as its worker has made them.
                return False
        return True

    @cached_property
    def _is_workers_host(self) -> bool:
        return (self._plan.store_dir / MARKER).exists()

    def _look(self, informer: str, shard: int) -> Path | None:
        """The folder of a shard that no worker announced: this group gets no events of its informer."""
        now_s = self._clock.now_s()
        looked_s, folder = self._found.get((informer, shard), (float("-inf"), None))
        if now_s - looked_s > FOLDER_KNOWN_FOR_S:
            fresh = self._find(informer, shard)
            if folder is not None and fresh != folder:
                self._local.pop(folder, None)
            folder = fresh
            self._found[(informer, shard)] = (now_s, folder)
        return folder

    def _find(self, informer: str, shard: int) -> Path | None:
        cluster, _, resource = informer.partition("/")
        try:
            cluster_id = last_cluster_id(self._plan.store_dir, cluster)
            if not cluster_id:
                return None
            shards = find_shards(self._plan.store_dir, cluster_id, resource)
        except (DeltawireError, OSError):
            return None
        return next((folder for folder in shards if folder.name == f"shard-{shard}"), None)


class _InformerShards:
    """The shards of one informer: a `ShardSources`."""

    def __init__(self, caches: Caches, informer: str) -> None:
        self._caches = caches
        self._informer = informer

    @property
    def shards(self) -> int:
        return self._caches.shards

    def source(self, shard: int) -> ShardSource:
        return self._caches.source(self._informer, shard)


class LocalShard:
    """A shard read by mmap, and by asking its worker for as long as LMDB has no slot for one more reader.

    Closed when its last user has let go of it: another thread may be reading while its folder is replaced.
    """

    def __init__(self, reader: ShardReader, remote: ShardSource) -> None:
        self._reader = reader
        self._remote = remote
        weakref.finalize(self, reader.close)

    def listed_streams(self) -> set[str]:
        """The streams that have been listed once; none where that cannot be read now."""
        try:
            return {name for name, stream in self._reader.meta().streams.items() if stream.synced}
        except DeltawireError:
            return set()

    def get(self, key: str) -> StoredRow | None:
        try:
            return self._reader.get(key)
        except ReaderUnavailable:
            return self._remote.get(key)

    def page(self, prefix: str, after: str, limit: int) -> tuple[Sequence[StoredRow], str]:
        return self._either(lambda shard: shard.page(prefix, after, limit))

    def index_page(self, name: str, value: str, after: str, limit: int) -> tuple[Sequence[StoredRow], str]:
        return self._either(lambda shard: shard.index_page(name, value, after, limit))

    def _either(self, read: Callable[[ShardSource], T]) -> T:
        try:
            return read(self._reader)
        except ReaderUnavailable:
            return read(self._remote)
