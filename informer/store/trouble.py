"""What goes wrong with a store, in words of this project."""

import struct
from pathlib import Path

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
_UNWRITABLE = ("Read-only file system", "Permission denied", "Operation not permitted")


class DamagedError(StateError):
    """What is stored cannot be read: it can be discarded, since a list and the ledger make it anew."""


class OwnerLost(StateError):
    """Another worker owns the shard by now: this process must end without writing anything more."""


def explain(error: Exception, folder: Path) -> Exception:
    """An error of LMDB, or of a row that cannot be read, as an error of this project."""
    text = str(error)
    if isinstance(error, (*_DAMAGES, *GARBLED)) or "Input/output error" in text:
        return DamagedError(
            f"the cache {folder / DATA} is damaged: {text}",
            hint=f"it is made anew at the next start; by hand: rm -r {folder}",
        )
    if isinstance(error, lmdb.MapFullError) or any(words in text for words in _FULL):
        return CapacityError(
            f"the disk of the cache {folder / DATA} is full: {text}", hint="make room; it goes on by itself"
        )
    if any(words in text for words in _UNWRITABLE):
        return CapacityError(
            f"the cache {folder / DATA} cannot be written: {text}",
            hint="make the folder writable (mount, chown); it goes on by itself",
        )
    return StateError(f"the store {folder} cannot be used: {text}")
