"""What goes wrong with a store, in words of this project."""

import errno
import os
import resource
import struct
from pathlib import Path
from tempfile import TemporaryFile

import lmdb
import msgspec

from deltawire.common.errors import CapacityError, StateError
from deltawire.informer.store.damage import DATA

# Of LMDB: what is read is no state that it can have written.
_DAMAGES = (
    lmdb.CorruptedError,
    lmdb.PageNotFoundError,
    lmdb.InvalidError,
    lmdb.PanicError,
    lmdb.VersionMismatchError,
    lmdb.IncompatibleError,
)
# What Python says of a row that is cut or garbled.
GARBLED = (struct.error, msgspec.DecodeError, UnicodeDecodeError)
_FULL = ("No space left", "File too large", "quota exceeded")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Of LMDB: what fails here is a write. Not among them: the opening, which reads.
_WRITES = ("mdb_txn_commit", "mdb_env_sync", "mdb_put", "mdb_cursor_put", "mdb_del", "mdb_cursor_del", "mdb_drop")
# What a write that was cut has left is less than a page.
_PROBE_BYTES = 64 * 1024
_UNWRITABLE = ("Read-only file system", "Permission denied", "Operation not permitted")


class DamagedError(StateError):
    """What is stored cannot be read: it can be discarded, since a list and the ledger make it anew."""


class OwnerLost(StateError):
    """Another worker owns the shard by now: this process must end without writing anything more."""


def explain(error: Exception, folder: Path) -> Exception:
    """An error of LMDB, or of a row that cannot be read, as an error of this project."""
    text = str(error)
    # LMDB says so of a write that was cut, too, as on a disk with room for a part of it.
    is_failed = "Input/output error" in text
    is_full = isinstance(error, lmdb.MapFullError) or any(words in text for words in _FULL)
    if is_full or (is_failed and not _has_room(folder)):
        return CapacityError(
            f"the disk of the cache {folder / DATA} is full: {text}", hint="make room; it goes on by itself"
        )
    if is_failed and text.startswith(_WRITES):
        # LMDB writes beside what is committed: that is as it was. The room may have come since the write was cut.
        return CapacityError(
            f"the cache {folder / DATA} cannot be written: {text}",
            hint="if it stays so the disk fails (see the kernel's log); it goes on by itself",
        )
    if is_failed or isinstance(error, (*_DAMAGES, *GARBLED)):
        return DamagedError(
            f"the cache {folder / DATA} is damaged: {text}",
            hint=f"it is made anew at the next start; by hand: rm -r {folder}",
        )
    if any(words in text for words in _UNWRITABLE):
        return CapacityError(
            f"the cache {folder / DATA} cannot be written: {text}",
            hint="make the folder writable (mount, chown); it goes on by itself",
        )
    return StateError(f"the store {folder} cannot be used: {text}")


def _has_room(folder: Path) -> bool:
    """False where no more can be written: the disk, a quota or the bound of files' sizes is reached."""
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        if limit != resource.RLIM_INFINITY and (folder / DATA).stat().st_size >= limit:
            return False
        with TemporaryFile(dir=folder) as probe:
            probe.write(bytes(_PROBE_BYTES))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        return error.errno not in _NO_ROOM
    return True
