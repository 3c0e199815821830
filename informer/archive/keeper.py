"""Writes what a shard committed to its archive, in order, and only while nobody else does.

A transaction counts once it is archived: before that none of its events is sent, and the broker hears of none of its
deltas. So a worker elsewhere that reads the archive knows all that anybody was told of.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable

from deltawire.informer.archive.port import ArchiveUnavailable, FencedError, ShardArchive
from deltawire.informer.archive.record import Op, Place, Position, Record, decode, encode, parts_of

log = logging.getLogger(__name__)

# After so many bytes of records, and so many times the last copy's, the shard is copied whole and what was before goes.
COPY_BYTES_MIN = 4 * 1024 * 1024
COPY_SHARE = 2.0


class ArchiveKeeper:
    """``epoch``: of this owner. ``next_place``: of the next transaction. ``is_behind``: something committed is not
    archived yet; ``error``: why. ``bytes``, ``records``, ``copies``: written, totals."""

    def __init__(self, archive: ShardArchive, *, epoch: int, revision: int, newest: Place, size: int) -> None:
        """``revision``: of the take, the newest entry. ``newest``: transaction of the store; ``size``: bytes that the
        log holds."""
        self.epoch = epoch
        self.error = ""
        self.bytes = self.records = self.copies = 0
        self._archive = archive
        self._revision = revision
        self._newest = newest
        self._since_copy = size
        self._copy_bytes = 0
        self._pending: deque[Record] = deque()
        # An append had no answer: it may be there.
        self._is_unsure = False
        self._copy: Callable[[], tuple[Position, Iterable[Op]]] | None = None

    @property
    def next_place(self) -> Place:
        return Place(self.epoch, self._newest.number + 1)

    @property
    def is_behind(self) -> bool:
        return bool(self._pending)

    def copy_by(self, copy: Callable[[], tuple[Position, Iterable[Op]]]) -> None:
        """``copy``: the whole shard as committed."""
        self._copy = copy

    def add(self, record: Record) -> None:
        """A transaction was committed. While the archive does not answer the informer stands still, so what waits is
        bounded by the shard's credit and its groups' windows."""
        self._pending.append(record)
        self._newest = record.place

    def push(self) -> None:
        """Archive all that was committed, and wait for it.

        Raises FencedError where another owner has come, ArchiveUnavailable where there is no answer.
        """
        if not self._pending:
            return
        try:
            self._catch_up()
            while self._pending:
                self._write(self._pending[0])
                self._pending.popleft()
            if self._since_copy >= max(COPY_BYTES_MIN, COPY_SHARE * self._copy_bytes):
                self.write_copy()
        except ArchiveUnavailable as error:
            self._is_unsure = True
            self.error = str(error)
            raise
        self.error = ""

    def write_copy(self) -> None:
        """Archive the whole shard; what is older is of no more use. Raises as `push`."""
        if self._copy is None:
            return
        position, ops = self._copy()
        whole = Record(kind="all", epoch=self.epoch, place=self._newest, position=position, ops=list(ops))
        before = self.bytes
        first = self._write(whole)
        self._pending.clear()
        self._since_copy, self._copy_bytes = 0, self.bytes - before
        self.copies += 1
        self._archive.drop_before(first)

    def close(self) -> None:
        self._archive.close()

    def _write(self, record: Record) -> int:
        """All parts of it. The revision of the first."""
        first = 0
        for part in parts_of(record):
            data = encode(part)
            self._revision = self._archive.append(data, self._revision)
            first = first or self._revision
            self.bytes += len(data)
            self._since_copy += len(data)
        self.records += 1
        return first

    def _catch_up(self) -> None:
        """After an append without an answer: what is the newest entry? Writing a record twice changes nothing."""
        if not self._is_unsure:
            return
        found = self._archive.tail()
        if found is None or decode(found[1]).epoch != self.epoch:
            raise FencedError("another worker has taken the shard over")
        self._revision, self._is_unsure = found[0], False
