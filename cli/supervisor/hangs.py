"""Which process hangs: its main loop has neither turned nor reported progress for too long. Pure.

Time is counted while the watcher itself runs: of a pause between two looks at most `LOOK_GAP_S_MAX` counts, so that a
watcher that was stopped does not count its own pause as silence of a process.

Starting has a deadline of its own, since imports and plug-ins may take long; draining has the supervisor's. A process
that reports a call is not judged until its next report: user code has deadlines of its own.
"""

from dataclasses import dataclass

# Between its start and the first turn of its loop a process may be silent so long: imports, plug-ins, a large cache.
START_S_MAX = 60.0
# Of the time between two looks so much counts.
LOOK_GAP_S_MAX = 1.0


@dataclass(slots=True)
class _Watched:
    limit_s: float | None
    moved_at_s: float
    doing: str = ""
    is_starting: bool = True
    is_in_call: bool = False
    is_found: bool = False


@dataclass(frozen=True, slots=True)
class Hang:
    """``name`` was silent for ``silent_s`` of the watcher's time; ``doing``: what it said it was in, or ""."""

    name: str
    silent_s: float
    doing: str
    is_starting: bool

    def describe(self, state: str = "") -> str:
        """``its loop has not turned for 30 s (stopped, in a sweep of …)``; ``state``: of the process, or ""."""
        what = "it did not get through its start" if self.is_starting else "its loop has not turned"
        details = ", ".join(text for text in (state, self.doing) if text)
        return f"{what} for {self.silent_s:.0f} s" + (f" ({details})" if details else "")


class Hangs:
    """``start_s``: silence that is allowed before the first turn; at least the process' own limit."""

    def __init__(self, *, start_s: float = START_S_MAX) -> None:
        self._start_s = start_s
        self._watched: dict[str, _Watched] = {}
        self._now_s: float | None = None
        self._awake_s = 0.0

    def started(self, name: str, now_s: float, *, hang_after_s: float | None) -> None:
        """A process was started. ``hang_after_s`` None: never call it hung, unless its ``terms`` say more."""
        self._pass(now_s)
        self._watched[name] = _Watched(hang_after_s, self._awake_s)

    def forget(self, name: str) -> None:
        """The process ended, or its end has a deadline of its own."""
        self._watched.pop(name, None)

    def heard(self, name: str, line: str, now_s: float) -> None:
        """A line of `common.beats`. An unknown line counts as a sign of life, too."""
        self._pass(now_s)
        watched = self._watched.get(name)
        if watched is None:
            return
        watched.moved_at_s = self._awake_s
        word, _, rest = line.partition(" ")
        watched.is_in_call = word == "call"
        watched.doing = rest if word in ("call", "progress") else ""
        if word == "turn":
            watched.is_starting = False
        elif word == "terms":
            watched.limit_s = _limit_of(rest)

    def look(self, now_s: float) -> list[Hang]:
        """The processes that hang, each once. Call several times a second, after the waiting beats were read."""
        self._pass(now_s)
        found = []
        for name, watched in self._watched.items():
            silent_s = self._awake_s - watched.moved_at_s
            if watched.limit_s is None or watched.is_in_call or watched.is_found:
                continue
            limit_s = max(self._start_s, watched.limit_s) if watched.is_starting else watched.limit_s
            if silent_s >= limit_s:
                watched.is_found = True
                found.append(Hang(name, silent_s, watched.doing, watched.is_starting))
        return found

    def _pass(self, now_s: float) -> None:
        if self._now_s is not None:
            self._awake_s += min(max(0.0, now_s - self._now_s), LOOK_GAP_S_MAX)
        self._now_s = now_s


def _limit_of(terms: str) -> float | None:
    try:
        hang_after_s = float(terms.partition(" ")[0])
    except ValueError:
        return None
    return hang_after_s if hang_after_s > 0 else None
