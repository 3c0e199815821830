"""One informer's shards in this worker: opened together for one cluster, failed together."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deltawire.common.beats import Beats
from deltawire.common.clock import Clock
from deltawire.common.config.plan import InformerPlan
from deltawire.common.errors import CapacityError, DeltawireError, StateError
from deltawire.common.store.folder import last_cluster_id, ledger_folder, remember_cluster_id
from deltawire.common.store.layout import Row
from deltawire.informer import generation, recovery
from deltawire.informer.group_state import KnownReplica
from deltawire.informer.indexer import Indexer
from deltawire.informer.ledger import Ledger, LedgerKeeper, Submit, submit_now
from deltawire.informer.shard import Shard

log = logging.getLogger(__name__)

# Of `max_bytes`: from here on the status warns.
WARN_SHARE = 0.8


class SharedInformer:
    """``error`` is "" while the informer works; else why its shards stand still."""

    def __init__(
        self,
        plan: InformerPlan,
        numbers: list[int],
        shards_in_all: int,
        *,
        store_dir: Path,
        owner: str,
        boot_id: str,
        lease_s: float,
        is_dead: Callable[[KnownReplica], bool],
        clock: Clock,
        submit: Submit = submit_now,
        beats: Beats | None = None,
    ) -> None:
        """``submit``: runs commits that wait for the disk, one after another, in a thread; ``beats`` are told of
        long work."""
        self.plan = plan
        self.numbers = numbers
        self.shards_in_all = shards_in_all
        self.cluster_id = ""
        self.shards: dict[int, Shard] = {}
        self.error = ""
        self.warning = ""
        self.discarded = 0
        self._bytes_max = plan.max_bytes * len(numbers) // max(1, shards_in_all)
        self._store_dir = store_dir
        self._owner = owner
        self._boot_id = boot_id
        self._lease_s = lease_s
        self._is_dead = is_dead
        self._clock = clock
        self._submit = submit
        self._beats = beats

    @property
    def name(self) -> str:
        return self.plan.name

    def open(self, cluster_id: str) -> bool:
        """Open the shards for this cluster; "": the one last known. False if nothing is known of it yet.

        Raises StateError if they are open for another cluster, or cannot be used.
        """
        wanted = cluster_id or self.cluster_id or last_cluster_id(self._store_dir, self.plan.cluster)
        if not wanted:
            return False
        if self.cluster_id and wanted != self.cluster_id:
            raise StateError(
                f"the cache of {self.name} is of cluster {self.cluster_id}, the API server is of {wanted}",
                hint="restart to use the cache of the other cluster",
            )
        if self.cluster_id:
            return True
        try:
            for number in self.numbers:
                self.shards[number] = self._open_shard(wanted, number)
        except (OSError, DeltawireError) as error:
            self.close(clean=False)
            raise StateError(f"the cache of {self.name} cannot be used: {error}") from None
        self.cluster_id = wanted
        if cluster_id:
            remember_cluster_id(self._store_dir, self.plan.cluster, cluster_id)
        return True

    def fail(self, error: DeltawireError) -> None:
        """The shards stand still from now on; readers keep what is committed."""
        self.error = str(error)
        log.error("%s stops: %s", self.name, error)

    def check_bounds(self) -> None:
        """Compare with `max_bytes`, and give up what can be given up. Raises CapacityError where all is needed."""
        used = self.used_bytes()
        if used <= self._bytes_max * WARN_SHARE:
            self.warning = ""
            return
        self.warning = f"{used} of {self._bytes_max} bytes are in use"
        for give_up in (Shard.give_up_history, Shard.shorten_gone):
            if used <= self._bytes_max:
                return
            for shard in self.shards.values():
                give_up(shard)
            used = self.used_bytes()
        if used > self._bytes_max:
            raise CapacityError(
                f"{self.name} holds {used} bytes, its bound is {self._bytes_max}",
                hint="raise max_bytes, drop fields, or narrow the selectors",
            )

    def used_bytes(self) -> int:
        return sum(shard.indexer.used_bytes() for shard in self.shards.values())

    def close(self, *, clean: bool) -> None:
        """Close all shards; ``clean``: everything is on the disk then."""
        for shard in self.shards.values():
            shard.close(clean=clean and not self.error)
            if clean and not self.error:
                generation.mark_clean(shard.indexer.folder)
        self.shards = {}
        self.cluster_id = ""

    def query(self, shard: Shard, verb: str, arguments: list[Any]) -> tuple[list[Row], str]:
        """Answer a lister that cannot read the files. Raises StateError for what cannot be answered."""
        match verb, arguments:
            case "get", [str(key)]:
                row = shard.indexer.get(key)
                return ([row] if row is not None else []), ""
            case "list", [str(prefix), str(after), int(limit)]:
                return shard.indexer.query_page(prefix, after, limit)
            case "index", [str(name), str(value), str(after), int(limit)]:
                return shard.indexer.query_index(name, value, after, limit)
        raise StateError(f"a worker does not answer {str(verb)[:40]!r} with these arguments")

    def _open_shard(self, cluster_id: str, number: int) -> Shard:
        folder, discarded = generation.choose_folder(
            self._store_dir, cluster_id, self.plan.resource, number, self._boot_id
        )
        self.discarded += discarded
        ledger = Ledger(ledger_folder(self._store_dir, cluster_id, self.plan.resource, number))
        try:
            shard = self._open_cache(number, folder, ledger)
        except BaseException:
            ledger.close()
            raise
        generation.remove_older(self._store_dir, cluster_id, self.plan.resource, number, folder)
        return shard

    def _open_cache(self, number: int, folder: Path, ledger: Ledger) -> Shard:
        indexer = Indexer(
            folder,
            owner=self._owner,
            informer=self.name,
            indexes=dict(self.plan.options.indexes),
            index_hash=self.plan.index_hash,
            clock=self._clock,
            beats=self._beats,
        )
        lost = recovery.recover(indexer, ledger)
        if lost:
            log.warning(
                "%s shard %d: the next list tells which of %d objects are gone", self.name, number, lost
            )
        keeper = LedgerKeeper(ledger, self._submit)
        keeper.note(recovery.catch_up(indexer, ledger))
        return Shard(
            self.name,
            number,
            indexer,
            streams=self.plan.streams,
            scope=self.plan.scope_hash,
            lease_s=self._lease_s,
            is_dead=self._is_dead,
            clock=self._clock,
            keeper=keeper,
        )
