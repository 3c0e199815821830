"""Finds processes that hold an old state of the store: every page written since then stays in the file.

A lister call takes 5 ms at most, so a reader seen with the same, overtaken transaction for ten seconds hangs, or
was stopped. It is named in the status; whose process it is decides who ends it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deltawire.informer.store.indexer import Indexer

PINNED_AFTER_S = 10.0
# Of the looks at a shard at rest, one in so many is made.
LOOKS_AT_REST = 10


class PinWatch:
    """Fed once a second with LMDB's table of readers."""

    def __init__(self) -> None:
        self._since: dict[tuple[int, str, int], float] = {}

    def look(self, table: str, newest: int, now_s: float) -> list[int]:
        """The pids of readers that have held a transaction older than ``newest`` for too long.

        ``table``: lines of ``pid thread transaction``, as LMDB prints them; a free slot has ``-``.
        """
        present = {}
        for line in table.splitlines():
            fields = line.split()
            if len(fields) == 3 and fields[0].isdecimal() and fields[2].isdecimal():
                reader = (int(fields[0]), fields[1], int(fields[2]))
                if reader[2] < newest:
                    present[reader] = self._since.get(reader, now_s)
        self._since = present
        return sorted({pid for (pid, _, _), since in present.items() if now_s - since >= PINNED_AFTER_S})


class ReaderWatch:
    """Looks after one shard's readers, once a second.

    Only what is committed since makes an old state grow: a shard at rest is looked at now and then.
    """

    def __init__(self, indexer: "Indexer") -> None:
        self._indexer = indexer
        self._pins = PinWatch()
        self._pinned_by: list[int] = []
        self._looks = 0
        self._commits = -1

    def look(self, now_s: float) -> list[int]:
        """Free the slots of dead readers. The pids of those that hold an old state for too long."""
        self._looks += 1
        is_at_rest = self._indexer.commits == self._commits and not self._pinned_by
        if not is_at_rest or self._looks % LOOKS_AT_REST == 0:
            self._commits = self._indexer.commits
            self._indexer.check_readers()
            self._pinned_by = self._pins.look(*self._indexer.readers(), now_s)
        return self._pinned_by
