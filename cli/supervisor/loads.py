"""The figures that groups are scaled by: what waits for them, and the CPU of their replicas with all their children."""

from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from deltawire.common.process import usage_of

# The span that a share of CPU is taken over, and the shortest that says anything.
CPU_SPAN_S = 5.0
CPU_SPAN_MIN_S = 2.0
# Processes of one replica that are counted: a command may start others.
TREE_MAX = 256


class CpuShares:
    """Cores that processes take, from their CPU time seen now and then. ``read``: CPU seconds of a pid so far."""

    def __init__(self, read: Callable[[int], float]) -> None:
        self._read = read
        self._seen: dict[int, deque[tuple[float, float]]] = {}

    def of(self, pids: Sequence[int], now_s: float) -> float | None:
        """The average of these; None while one of them was not seen for long enough."""
        shares = [self._share(pid, now_s) for pid in pids]
        known = [share for share in shares if share is not None]
        return sum(known) / len(known) if known and len(known) == len(shares) else None

    def keep(self, pids: set[int]) -> None:
        """Forget all others."""
        self._seen = {pid: seen for pid, seen in self._seen.items() if pid in pids}

    def _share(self, pid: int, now_s: float) -> float | None:
        seen = self._seen.setdefault(pid, deque())
        seen.append((now_s, self._read(pid)))
        while len(seen) > 2 and now_s - seen[1][0] >= CPU_SPAN_S:
            seen.popleft()
        (first_s, first), (last_s, last) = seen[0], seen[-1]
        # A child that has ended takes its time along: no share is below nothing.
        return max(0.0, (last - first) / (last_s - first_s)) if last_s - first_s >= CPU_SPAN_MIN_S else None


def cpu_of_tree_s(pid: int) -> float:
    """CPU seconds of a process and all that live below it, at most `TREE_MAX`; 0 for what is gone."""
    total, waiting, seen = 0.0, [pid], 0
    while waiting and seen < TREE_MAX:
        one = waiting.pop()
        seen += 1
        total += usage_of(one)[1]
        waiting += _children(one)
    return total


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += map(int, (task / "children").read_text().split())
    except OSError:
        # It ended meanwhile, or this kernel does not say: then the process alone counts.
        pass
    return found
