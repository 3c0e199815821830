"""Memory and CPU of each process, over all its lives."""

from collections.abc import Callable, Iterable

# (resident MB, CPU seconds) of a process of this name.
Read = Callable[[str], tuple[float, float]]
EVERY_S = 1.0


class Usage:
    """Read at most once a second. A life that has ended counts with what was read of it last."""

    def __init__(self) -> None:
        self._now: dict[str, tuple[float, float]] = {}
        self._before: dict[str, float] = {}
        self._read_at_s = float("-inf")

    def refresh(self, names: Iterable[str], read: Read, now_s: float, *, is_due: bool = False) -> None:
        if is_due or now_s - self._read_at_s >= EVERY_S:
            self._read_at_s = now_s
            self._now = {name: read(name) for name in names}

    def ended(self, name: str) -> None:
        """The present life of the process is over."""
        _, cpu_s = self._now.pop(name, (0.0, 0.0))
        self._before[name] = self._before.get(name, 0.0) + cpu_s

    def forget(self, name: str) -> None:
        self._now.pop(name, None)
        self._before.pop(name, None)

    def of(self, name: str) -> tuple[float, float]:
        """(resident MB, CPU seconds of all lives)."""
        rss_mb, cpu_s = self._now.get(name, (0.0, 0.0))
        return rss_mb, round(cpu_s + self._before.get(name, 0.0), 2)
