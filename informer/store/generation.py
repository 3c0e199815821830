"""Which folder a shard's environment lives in, and when it has to be thrown away.

Environments are written without syncing, unless the config asks for it: a killed process loses nothing, but after a
crash of the machine pages may be on the disk in any order. So a note beside the environment says in which boot of the
machine it was written and whether it was closed cleanly; it is a file of its own, since it must be readable when the
environment is not. Otherwise the shard begins anew in the next generation, under another path, so that readers
of the old files cannot mistake them (docs/design.md §4).
"""

import logging
import os
import shutil
from collections.abc import Container
from pathlib import Path

import msgspec

from deltawire.common.errors import StateError
from deltawire.common.store import layout
from deltawire.common.store.files import write_whole
from deltawire.common.store.folder import newest_generation, shard_folder

log = logging.getLogger(__name__)

NOTE = "written.json"


class Note(msgspec.Struct):
    """``boot_id``: of the machine, "" where it cannot be known; ``clean``: nothing was written since the sync.

    ``synced``: whatever was committed is on the disk, and what comes will be. ``schema``: of the program that had it
    last; 2 where it does not say.
    """

    boot_id: str
    clean: bool
    schema: int = 2
    synced: bool = False


def boot_id() -> str:
    """The id of the machine's boot; "" where the kernel has none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def choose_folder(
    store_dir: Path, cluster_id: str, resource: str, shard: int, boot: str, *, sync: bool = False
) -> tuple[Path, bool]:
    """The shard's folder, marked as in use in this boot, and whether an older one had to be discarded.

    ``sync``: each commit will wait for the disk; what was written without is on it after `mark_synced`.

    Raises StateError where a newer program has written it.
    """
    generation = newest_generation(store_dir, cluster_id, resource, shard)
    discarded, synced = False, sync
    if generation:
        folder = shard_folder(store_dir, cluster_id, resource, generation, shard)
        _require_schema(folder)
        note = _read(folder)
        if note is None or _may_be_torn(note, boot):
            log.warning(
                "the machine went down while %s was written, or it is damaged: its cache is made anew", folder
            )
            discarded = True
            generation += 1
        else:
            synced = sync and (note.synced or note.clean)
    folder = shard_folder(store_dir, cluster_id, resource, max(generation, 1), shard)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(folder, Note(boot, clean=False, schema=layout.SCHEMA, synced=synced))
    return folder, discarded


def require_schema(store_dir: Path, shards: Container[int]) -> None:
    """Raises StateError where a newer program has written a cache of one of these shards, of any informer."""
    for note in sorted(store_dir.glob(f"*/*/*/shard-*/{NOTE}")):
        number = note.parent.name.removeprefix("shard-")
        if number.isdecimal() and int(number) in shards:
            _require_schema(note.parent)


def remove_older(store_dir: Path, cluster_id: str, resource: str, shard: int, folder: Path) -> None:
    """Remove the shard's environments of generations before the one in use."""
    generation = int(folder.parent.name)
    for older in range(1, generation):
        path = shard_folder(store_dir, cluster_id, resource, older, shard)
        if path.exists():
            shutil.rmtree(path, ignore_errors=True)


def distrust(folder: Path) -> None:
    """The environment is damaged: the next worker that opens the shard begins a new generation."""
    (folder / NOTE).unlink(missing_ok=True)


def discard(store_dir: Path, cluster_id: str, resource: str, shard: int) -> None:
    """`distrust` the newest environment of a shard, if there is one."""
    newest = newest_generation(store_dir, cluster_id, resource, shard)
    if newest:
        distrust(shard_folder(store_dir, cluster_id, resource, newest, shard))


def mark_clean(folder: Path) -> None:
    """All that was written is on the disk, and nothing more will be written."""
    note = _read(folder)
    if note is not None:
        note.clean = True
        _write(folder, note)


def mark_synced(folder: Path) -> None:
    """All that was written is on the disk, and all that is written from now on is before it counts."""
    note = _read(folder)
    if note is not None and not note.synced:
        note.synced = True
        _write(folder, note)


def _require_schema(folder: Path) -> None:
    note = _read(folder)
    if note is not None and note.schema > layout.SCHEMA:
        raise StateError(
            f"{folder} was written in schema {note.schema}, this program reads {layout.SCHEMA}",
            hint="use the version that wrote it, or name another folder in store.dir",
        )


def _may_be_torn(note: Note, boot: str) -> bool:
    return not note.clean and not note.synced and note.boot_id != boot


def _read(folder: Path) -> Note | None:
    try:
        return msgspec.json.decode((folder / NOTE).read_bytes(), type=Note)
    except (OSError, msgspec.MsgspecError):
        return None


def _write(folder: Path, note: Note) -> None:
    """On the disk before this returns: a stale `clean` after a crash would be believed."""
    write_whole(folder / NOTE, msgspec.json.encode(note))
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
