"""Finds processes that hold an old state of the store (pure): every page written since then stays in the file.

A lister call takes 5 ms at most, so a reader seen with the same, overtaken transaction for ten seconds hangs, or
was stopped. It is named in the status; whose process it is decides who ends it (design: readers).
"""

PINNED_AFTER_S = 10.0


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
