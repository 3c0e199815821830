"""A backup of what groups know: one file for a state folder, and an empty state folder filled from it.

The file is a stream of msgpack values under gzip: a `Head`, then for each shard a `Section` and the parts of one record
(``record``), then the number of sections. A shard is read in one transaction of its own, also while its worker writes.
"""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import lmdb
import msgpack
import msgspec

from deltawire.common.clock import Clock
from deltawire.common.errors import StateError
from deltawire.common.limits import MESSAGE_BYTES_MAX
from deltawire.common.store import layout, meta
from deltawire.common.store.folder import (
    cluster_folder,
    find_shards,
)
from deltawire.informer.archive.record import Image, Op, Place, Position, Record, decode, encode, parts_of
from deltawire.informer.archive.restore import fill, rows_of
from deltawire.informer.groups import state as group_state
from deltawire.informer.groups.events import Fresh
from deltawire.informer.groups.state import GroupState
from deltawire.informer.store import generation, identities
from deltawire.informer.store.damage import is_cut
from deltawire.informer.store.indexer import Indexer
from deltawire.informer.store.ledger import Ledger, LedgerState, Life, folder_of
from deltawire.informer.store.lost import decode_lost
from deltawire.informer.store.recovery import SEQ_MARGIN
from deltawire.informer.store.trouble import explain
from deltawire.informer.store.view import View

FORMAT = 1
# Fences that were given out after the backup are below those that follow: so often no worker has begun since.
EPOCH_MARGIN = 1 << 16
_HINT = "is it a file of `deltawire backup`, and whole?"


class Head(msgspec.Struct, frozen=True):
    """``format``: of the file, ``schema``: of its rows. ``clusters``: name → id; ``addresses``: by id. ``made_at``: µs
    since the epoch."""

    format: int
    schema: int
    shards: int
    clusters: dict[str, str]
    addresses: dict[str, str]
    made_at: int


class Section(msgspec.Struct, frozen=True, array_like=True):
    """A shard, whose record follows in ``parts`` values."""

    cluster: str
    resource: str
    shard: int
    parts: int


class Counts(msgspec.Struct):
    """What was written or restored."""

    shards: int = 0
    objects: int = 0
    groups: int = 0
    parked: int = 0

    def add(self, tables: dict[bytes, int]) -> None:
        self.shards += 1
        self.objects += tables.get(layout.OBJECTS, 0)
        self.groups += tables.get(layout.GROUPS, 0)
        self.parked += tables.get(layout.PARKED, 0)


def write(out: IO[bytes], store_dir: Path, shards: int, clusters: dict[str, str], clock: Clock) -> Counts:
    """Write the backup of a state folder. Raises StateError where a cache cannot be read, OSError."""
    counts = Counts()
    made_at = int(clock.wall_s() * 1e6)
    addresses = {cluster_id: identities.address_of(store_dir, cluster_id) for cluster_id in clusters.values()}
    with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=6) as file:
        pack = msgpack.Packer().pack
        head = Head(FORMAT, layout.SCHEMA, shards, clusters, addresses, made_at)
        file.write(pack(msgspec.to_builtins(head)))
        for cluster, cluster_id in clusters.items():
            folder = cluster_folder(store_dir, cluster_id)
            resources = (
                sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
            )
            for resource in resources:
                for place in find_shards(store_dir, cluster_id, resource):
                    record = _read_shard(place)
                    parts = [encode(part) for part in parts_of(record)]
                    number = int(place.name.removeprefix("shard-"))
                    section = Section(cluster, resource, number, len(parts))
                    file.write(pack(msgspec.to_builtins(section)))
                    for part in parts:
                        file.write(pack(part))
                    counts.add(_count(record.ops))
        file.write(pack(counts.shards))
    return counts


def restore(data: IO[bytes], store_dir: Path, shards: int, clock: Clock) -> Counts:
    """Fill a state folder that holds no cache and no ledger from ``data``, which can be sought: it is read whole before
    anything is written.

    Raises StateError for what is no backup, one that is cut or damaged, of another number of shards or a newer version,
    and for a folder that has caches or ledgers; CapacityError where there is no room, OSError. What was filled by then
    is left for the caller to remove.
    """
    data.seek(0)
    head = _head(_values(data), shards)
    check_empty(store_dir)
    for _ in _shards(data, head):
        pass
    counts = Counts()
    for cluster_id, section, image in _shards(data, head):
        try:
            _fill_shard(store_dir, cluster_id, section, image, clock)
        except (msgspec.MsgspecError, LookupError, TypeError, ValueError) as error:
            raise _unreadable(f"{section.cluster}/{section.resource}: {error}") from None
        counts.add({name: len(rows) for name, rows in image.tables.items()})
    for cluster, cluster_id in head.clusters.items():
        identities.remember(store_dir, cluster_id, head.addresses.get(cluster_id, ""))
        identities.remember_name(store_dir, cluster, cluster_id)
    return counts


def check_empty(store_dir: Path) -> None:
    """Raises StateError for a folder that has caches, or ledgers, which outlive them."""
    for pattern, what in (("*/*/*/shard-*", "caches"), ("*/*/ledger-*", "a ledger of what handlers know")):
        if next(store_dir.glob(pattern), None) is not None:
            raise StateError(f"{store_dir} holds {what}", hint="a backup is restored into an empty state folder")


def _head(values: Iterator[Any], shards: int) -> Head:
    head: Head = _as(Head, next(values, None))
    if head.format > FORMAT or head.schema > layout.SCHEMA:
        raise StateError(
            f"the backup was written in format {head.format}, schema {head.schema}; this program reads {FORMAT} and"
            f" {layout.SCHEMA}",
            hint="use the version that wrote it",
        )
    if head.shards != shards:
        raise StateError(
            f"the backup is of {head.shards} shards, the config says {shards}",
            hint=f"say store.shards: {head.shards}",
        )
    return head


def _shards(data: IO[bytes], head: Head) -> Iterator[tuple[str, Section, Image]]:
    """The cluster's id and the content of each shard. Raises StateError, also behind the last one."""
    data.seek(0)
    values = _values(data)
    next(values)
    for number, value in enumerate(values):
        if isinstance(value, int):
            # The check of the whole lies behind the last value.
            if value != number or next(values, None) is not None:
                break
            return
        section = _as(Section, value)
        image = Image()
        for _ in range(section.parts):
            part = next(values, None)
            if not isinstance(part, bytes):
                raise _unreadable("a part is missing")
            try:
                image.add(decode(part))
            except (StateError, LookupError, ValueError) as error:
                raise _unreadable(str(error)) from None
        cluster_id = head.clusters.get(section.cluster)
        if cluster_id is None or image.is_empty or not 0 <= section.shard < head.shards:
            raise _unreadable(f"{section.cluster}/{section.resource}")
        yield cluster_id, section, image
    raise StateError("the backup is cut: its end is missing", hint=_HINT)


def _read_shard(folder: Path) -> Record:
    """What the shard's archive would hold, as committed at one moment."""
    try:
        with lmdb.open(
            str(folder), readonly=True, create=False, map_size=layout.MAP_BYTES, max_dbs=layout.DBS_MAX,
            max_readers=layout.READERS_MAX,
        ) as env:  # fmt: skip
            if is_cut(folder, env):
                raise StateError(f"{folder} is damaged: its file is cut", hint="a worker makes it anew")
            dbs = {name: env.open_db(name, create=False) for name in layout.PLAIN_DBS}
            txn = env.begin()
            state = meta.decode_state(txn.get(meta.STATE_KEY, db=dbs[layout.META]) or meta.encode({}))
            if state.schema > layout.SCHEMA:
                raise StateError(
                    f"{folder} was written in schema {state.schema}, this program reads {layout.SCHEMA}",
                    hint="use the version that wrote it",
                )
            with View(txn, dbs, state.seq, Fresh(), lambda error: None) as view:
                ops = list(rows_of(view))
    except lmdb.Error as error:
        raise StateError(f"{folder} cannot be read: {error}") from None
    position = Position(state.boot, state.number, state.seq)
    return Record(kind="all", epoch=0, place=Place(), position=position, ops=ops)


def _fill_shard(store_dir: Path, cluster_id: str, section: Section, image: Image, clock: Clock) -> None:
    """A shard that a worker will open, and the ledger beside it."""
    now = clock.wall_s()
    groups = {}
    for raw, data in image.tables[layout.GROUPS].items():
        known = group_state.decode_group(data)
        known.epoch += EPOCH_MARGIN
        # It was not away while there was nothing to come to.
        known.last_seen = now
        image.tables[layout.GROUPS][raw] = group_state.encode(known)
        groups[layout.text_of(raw)] = known
    # Numbers that were given out after the backup are not given out again: a handler may still be in such a call. What
    # the broker of the backup's time has sent since is in no store, so its numbers mean nothing.
    image.position = Position(seq=image.position.seq + SEQ_MARGIN)
    place = (store_dir, cluster_id, section.resource, section.shard)
    folder, _ = generation.choose_folder(*place, generation.boot_id())
    indexer = Indexer(
        folder, owner="restore", informer=f"{section.cluster}/{section.resource}", indexes={}, index_hash="",
        clock=clock,
    )  # fmt: skip
    try:
        fill(indexer, image)
        ledger = Ledger(folder_of(*place))
        try:
            ledger.commit(_remembered(indexer, groups), _lives(image))
        except lmdb.Error as error:
            raise explain(error, folder_of(*place)) from None
        finally:
            ledger.close()
        indexer.sync()
    finally:
        indexer.close()
    generation.mark_clean(folder)


def _remembered(indexer: Indexer, groups: dict[str, GroupState]) -> LedgerState:
    kept = {
        name: GroupState(
            birth=known.birth, delivery=known.delivery, last_seen=known.last_seen, epoch=known.epoch,
            forgotten=known.forgotten, gaps=known.gaps, clauses=known.clauses,
        )
        for name, known in groups.items()
    }  # fmt: skip
    return LedgerState(indexer.state.seq, indexer.streams(), kept, layout.SCHEMA)


def _lives(image: Image) -> dict[int, Life | None]:
    """All that some group may know of."""
    lives: dict[int, Life | None] = {}
    for table in (layout.OBJECTS, layout.GONE):
        for row in image.rows(table):
            lives[row.born] = Life(row.uid, row.key)
    for data in image.tables[layout.LOST].values():
        lost = decode_lost(data)
        lives |= {born: Life(uid, lost.key) for born, uid in lost.lives}
    return lives


def _count(ops: list[Op]) -> dict[bytes, int]:
    counts: dict[bytes, int] = {}
    for name, _, _ in ops:
        counts[name] = counts.get(name, 0) + 1
    return counts


def _values(data: IO[bytes]) -> Iterator[Any]:
    """The values of the stream, one after another. Raises StateError."""
    try:
        with gzip.GzipFile(fileobj=data, mode="rb") as file:
            unpacker = msgpack.Unpacker(file, raw=False, max_buffer_size=4 * MESSAGE_BYTES_MAX)
            with suppress(msgpack.OutOfData):
                while True:
                    yield unpacker.unpack()
    except (OSError, EOFError, zlib.error, ValueError, msgpack.UnpackException) as error:
        raise _unreadable(str(error) or type(error).__name__) from None


def _as(kind: Any, value: Any) -> Any:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise _unreadable(str(error)) from None


def _unreadable(why: str) -> StateError:
    return StateError(f"the backup cannot be read: {why}", hint=_HINT)
