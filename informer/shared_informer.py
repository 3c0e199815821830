"""One informer's shards in this worker: opened together for one cluster, failed together."""

import errno
import logging
from collections.abc import Callable
from pathlib import Path

from deltawire.common.beats import Beats
from deltawire.common.clock import Clock
from deltawire.common.config.plan import InformerPlan
from deltawire.common.errors import CapacityError, DeltawireError, StateError
from deltawire.common.store.folder import last_cluster_id
from deltawire.informer.archive.keeper import ArchiveKeeper
from deltawire.informer.archive.opening import OutOfDate, open_archive
from deltawire.informer.archive.port import ArchiveUnavailable, ShardArchive
from deltawire.informer.groups.state import KnownReplica
from deltawire.informer.shard import Shard
from deltawire.informer.store import generation, identities, recovery
from deltawire.informer.store.identities import address_of, remember
from deltawire.informer.store.indexer import Indexer
from deltawire.informer.store.ledger import Ledger, LedgerKeeper, Submit, folder_of, submit_now
from deltawire.informer.store.trouble import DamagedError, OwnerLost

log = logging.getLogger(__name__)

# What the system says where nothing can be written: tried again.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM)
# Of `max_bytes`: from here on the status warns.
WARN_SHARE = 0.8


# Where there is no room it is tried again so often.
RETRY_S = 10.0
# Of `max_bytes`: above it nothing more is stored to see whether it makes room.
TRY_SHARE = 1.1

# Of cluster id, resource, number of the shard.
ArchiveOf = Callable[[str, str, int], ShardArchive]


class OverBound(CapacityError):
    """The informer holds more than `max_bytes`."""


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
        sync: bool = False,
        archive_of: ArchiveOf | None = None,
    ) -> None:
        """``submit``: runs commits that wait for the disk, one after another, in a thread; ``beats`` report long
        work. ``sync``: all commits wait for the disk. ``archive_of``: the archive of a shard (cluster id, resource,
        number); None: the disk is all there is."""
        self.plan = plan
        self.name = plan.name
        self.numbers = numbers
        self.shards_in_all = shards_in_all
        self.cluster_id = ""
        self.address = ""  # at which the cluster's id was read
        self.shards: dict[int, Shard] = {}
        self.error = ""
        # When an informer that has no room is tried again, monotonic; None: `error` is final.
        self.retry_at_s: float | None = None
        self.is_trying = self.try_failed = self._is_over_bound = False
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
        self._sync = sync
        self._archive_of = archive_of

    def open(self, cluster_id: str, address: str = "") -> bool:
        """Open the shards for this cluster; "": the one last known. False if nothing is known of it yet.

        ``address``: at which the id was read. Where state was made by that address alone, it is the state of this
        cluster, and becomes known by the id. Raises StateError if the shards are open for another cluster, or cannot
        be used.
        """
        last = self.cluster_id or last_cluster_id(self._store_dir, self.plan.cluster)
        wanted = cluster_id or last
        if not wanted:
            return False
        is_stand_in = wanted == address and bool(last) and address_of(self._store_dir, last) == address
        if is_stand_in:
            wanted = last
        is_upgrade = bool(address) and last == address and wanted != last
        if self.cluster_id and wanted != self.cluster_id and not is_upgrade:
            raise StateError(
                f"the cache of {self.name} is of cluster {self.cluster_id}, the API server is of {wanted}",
                hint="restart to use the cache of the other cluster",
            )
        try:
            if cluster_id:
                remember(self._store_dir, wanted, address, was=last if is_upgrade else "")
            if not self.cluster_id:
                for number in self.numbers:
                    self.shards[number] = self._open_shard(wanted, number)
            if cluster_id:
                identities.remember_name(self._store_dir, self.plan.cluster, wanted)
        except (OSError, DeltawireError) as error:
            if not self.cluster_id:
                self.close(clean=False)
            if isinstance(error, (ArchiveUnavailable, OwnerLost)):
                raise
            text = f"the cache of {self.name} cannot be used: {error}"
            if isinstance(error, CapacityError) or getattr(error, "errno", None) in _NO_ROOM:
                raise CapacityError(
                    text, hint="make room, or the folder writable; it goes on by itself"
                ) from None
            raise StateError(text) from None
        self.cluster_id = wanted
        self.address = address_of(self._store_dir, wanted)
        return True

    @property
    def is_paused(self) -> bool:
        """It stands still for want of room, and is tried again."""
        return bool(self.error) and self.retry_at_s is not None

    @property
    def has_failed(self) -> bool:
        """It stands still and is not tried again."""
        return bool(self.error) and self.retry_at_s is None

    @property
    def may_write(self) -> bool:
        """What groups acknowledged may be committed: also over `max_bytes`, since that makes room."""
        return not self.error or (self.is_paused and self._is_over_bound)

    def pause(self, error: CapacityError) -> None:
        """There is no room: stand still with an error, until a later try. Readers keep what is committed."""
        if self.error != str(error):
            log.error("%s stands still: %s", self.name, error)
        self.error, self.retry_at_s = str(error), self._clock.now_s() + RETRY_S
        self._is_over_bound = isinstance(error, OverBound)
        self.is_trying = False
        self.try_failed = True

    def begin_try(self) -> bool:
        """True if it is time to try again: for a turn, its batches are committed as if there was room."""
        if self.retry_at_s is None or self._clock.now_s() < self.retry_at_s:
            return False
        self.retry_at_s = self._clock.now_s() + RETRY_S
        self.try_failed = False
        # Deletions may make room; what is added by the tries must not add up.
        self.is_trying = self.used_bytes() <= self._bytes_max * TRY_SHARE
        return True

    def end_try(self) -> None:
        """Go on if all can be written and the bound is kept. Raises CapacityError if not."""
        self.is_trying = False
        for shard in self.shards.values():
            shard.probe()
        self.check_bounds()
        self.resume()

    def resume(self) -> None:
        log.warning("%s goes on", self.name)
        self.error, self.retry_at_s, self._is_over_bound = "", None, False

    def fail(self, error: DeltawireError) -> None:
        """The shards stand still from now on; readers keep what is committed."""
        self.error, self.retry_at_s = str(error), None
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
            raise OverBound(
                f"{self.name} holds {used} bytes, its bound is {self._bytes_max}",
                hint="raise max_bytes, drop fields, or narrow the selectors; it goes on by itself",
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

    def discard_damaged(self, error: DamagedError) -> None:
        """What was found damaged is not opened again: the next worker makes it anew."""
        for shard in self.shards.values():
            if str(shard.indexer.folder) in str(error):
                generation.distrust(shard.indexer.folder)

    def _open_shard(self, cluster_id: str, number: int) -> Shard:
        try:
            return self._open_generation(cluster_id, number)
        except DamagedError as error:
            # What a list and the ledger cannot bring back is reported by `gap`, and no deletion is missed.
            log.error("%s shard %d is made anew: %s", self.name, number, error)
        except OutOfDate as error:
            log.warning("%s shard %d is filled from its archive: %s", self.name, number, error)
        generation.discard(self._store_dir, cluster_id, self.plan.resource, number)
        return self._open_generation(cluster_id, number)

    def _open_generation(self, cluster_id: str, number: int) -> Shard:
        folder, discarded = generation.choose_folder(
            self._store_dir, cluster_id, self.plan.resource, number, self._boot_id, sync=self._sync
        )
        self.discarded += discarded
        if self._archive_of is not None:
            shard = self._open_archived(
                number, folder, self._archive_of(cluster_id, self.plan.resource, number)
            )
            generation.remove_older(self._store_dir, cluster_id, self.plan.resource, number, folder)
            return shard
        ledger = Ledger(folder_of(self._store_dir, cluster_id, self.plan.resource, number))
        try:
            shard = self._open_cache(number, folder, ledger)
        except BaseException:
            ledger.close()
            raise
        generation.remove_older(self._store_dir, cluster_id, self.plan.resource, number, folder)
        return shard

    def _open_archived(self, number: int, folder: Path, archive: ShardArchive) -> Shard:
        """The archive takes the ledger's place: it outlives a crash of the machine, too."""
        indexer = None
        try:
            indexer = self._indexer(folder)
            keeper, is_filled = open_archive(indexer, archive, self._owner)
            if is_filled:
                log.warning("%s shard %d is filled from its archive", self.name, number)
            return self._shard(number, indexer, archive=keeper)
        except BaseException:
            if indexer is not None:
                indexer.close()
            archive.close()
            raise

    def _open_cache(self, number: int, folder: Path, ledger: Ledger) -> Shard:
        indexer = self._indexer(folder)
        lost = recovery.recover(indexer, ledger)
        if lost:
            log.warning(
                "%s shard %d: the next list tells which of %d objects are gone", self.name, number, lost
            )
        keeper = LedgerKeeper(ledger, self._submit)
        keeper.note(recovery.catch_up(indexer, ledger))
        return self._shard(number, indexer, keeper=keeper)

    def _indexer(self, folder: Path) -> Indexer:
        indexer = Indexer(
            folder,
            owner=self._owner,
            informer=self.name,
            indexes=dict(self.plan.options.indexes),
            index_hash=self.plan.index_hash,
            clock=self._clock,
            beats=self._beats,
            sync=self._sync,
        )
        if self._sync:
            generation.mark_synced(folder)
        return indexer

    def _shard(
        self,
        number: int,
        indexer: Indexer,
        *,
        keeper: LedgerKeeper | None = None,
        archive: ArchiveKeeper | None = None,
    ) -> Shard:
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
            archive=archive,
        )
