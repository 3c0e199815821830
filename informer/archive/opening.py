"""A shard's store and its archive when a worker opens the shard: it takes the archive, then one follows the other.

- The archive is empty: the store is copied into it.
- The store holds the archive's newest transaction: it goes on. It may be ahead, by what was committed and not archived
  when the worker was killed: nobody was told of that. Then it is copied.
- Else the shard was elsewhere since, or this disk is new: an empty store is filled from the archive, another one is
  discarded by the caller first.

Taking is an entry like others: from then on what the owner before writes is refused.
"""

from functools import partial

from deltawire.common.errors import StateError
from deltawire.informer.archive.batch import ArchivedBatch
from deltawire.informer.archive.keeper import ArchiveKeeper
from deltawire.informer.archive.mark import mark_of, put_mark
from deltawire.informer.archive.port import FencedError, ShardArchive
from deltawire.informer.archive.record import Image, Place, Record, decode, encode
from deltawire.informer.archive.restore import copy, fill
from deltawire.informer.store.indexer import Indexer

# Two workers that take at once refuse each other; so often it is tried.
_TAKES_MAX = 3


class OutOfDate(StateError):
    """The store is older than the archive: the shard was with another worker since."""


def open_archive(indexer: Indexer, archive: ShardArchive, owner: str) -> tuple[ArchiveKeeper, bool]:
    """Take the archive for ``owner`` and make store and archive equal. The keeper, and whether the store was filled.

    Raises OutOfDate for a store that is not empty and must go, FencedError, ArchiveUnavailable.
    """
    image, revision, size = _take(archive, owner)
    mark = mark_of(indexer)
    is_behind = not image.is_empty and not _continues(mark, image.place)
    if is_behind and (indexer.state.seq or mark is not None):
        raise OutOfDate(f"{indexer.folder} is older than its archive: another worker had the shard since")
    if is_behind:
        fill(indexer, image)
        newest = image.place
    elif mark is None:
        newest = Place(image.epoch, 0)
        with indexer.batch() as batch:
            put_mark(batch, newest)
    else:
        newest = mark
    keeper = ArchiveKeeper(archive, epoch=image.epoch, revision=revision, newest=newest, size=size)
    keeper.copy_by(lambda: copy(indexer))
    indexer.write_with(partial(ArchivedBatch, keeper=keeper))
    if not is_behind and (image.is_empty or newest != image.place):
        keeper.write_copy()
    return keeper, is_behind


def _continues(mark: Place | None, newest: Place) -> bool:
    """True if a store whose newest transaction is ``mark`` holds all up to ``newest``."""
    return mark is not None and mark.epoch == newest.epoch and mark.number >= newest.number


def _take(archive: ShardArchive, owner: str) -> tuple[Image, int, int]:
    """What is archived, the revision of our entry, and the bytes of the log."""
    for left in reversed(range(_TAKES_MAX)):
        found = archive.read()
        image = Image().add_all(decode(data) for _, data in found)
        revision = found[-1][0] if found else 0
        record = Record(kind="take", epoch=image.epoch + 1, place=image.place, owner=owner)
        try:
            revision = archive.append(encode(record), revision)
        except FencedError:
            if not left:
                raise
            continue
        image.add(record)
        return image, revision, sum(len(data) for _, data in found)
    raise AssertionError
