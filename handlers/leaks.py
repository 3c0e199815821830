"""A handler's process whose threads, tasks, open files or memory only grow is named once, with the function.

`Growth` is the rule, pure: figures in, what grows out. `Meter` finds the function: once something grows, it looks at
the figures before and after some calls. `Leaks` puts both together.

Not here: calls that never return (``pool``, ``hooks``), the bounds of the process' own queues.
"""

import logging
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from deltawire.handlers.signatures import place_of

log = logging.getLogger(__name__)

# How often the figures are looked at, and over how many steps between looks they must have grown.
LOOK_EVERY_S = 60.0
STEPS = 10
# Of these steps so many must go up.
RISES_MIN = 6
# What must have come in these steps at least, and this part of it in each half: what is filled once is no leak.
GREW_MIN = {"threads": 20, "tasks": 100, "open files": 50, "MiB of memory": 64}
HALF_MIN = 0.25
# So many calls are looked at to find the function; the others cost nothing.
CALLS_MEASURED_MAX = 200
REMEDIES = {
    "threads": "join them, or use a pool that is made once",
    "tasks": "await them, or keep them and cancel them",
    "open files": "close them, as `with` does; a session of an HTTP library is made once",
    "MiB of memory": "a list, dict or cache of the module keeps all that is put into it: bound it",
}

Figures = Mapping[str, int]
_PROC = Path("/proc/self")


class Growth:
    """What has only grown, each kind said once. Remembers `STEPS` figures of each kind."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[int]] = {kind: deque(maxlen=STEPS + 1) for kind in GREW_MIN}
        self._told: set[str] = set()

    def look(self, figures: Figures) -> dict[str, tuple[int, int]]:
        """What grows and was not said yet, with the oldest and the newest figure. Called each `LOOK_EVERY_S`."""
        found: dict[str, tuple[int, int]] = {}
        for kind, number in figures.items():
            seen = self._seen[kind]
            seen.append(number)
            if kind not in self._told and len(seen) > STEPS and _grows(kind, list(seen)):
                self._told.add(kind)
                found[kind] = (seen[0], seen[-1])
        return found


def _grows(kind: str, seen: list[int]) -> bool:
    rises = sum(after > before for before, after in pairwise(seen))
    middle = seen[len(seen) // 2]
    least = GREW_MIN[kind]
    return (
        rises >= RISES_MIN
        and seen[-1] - seen[0] >= least
        and min(middle - seen[0], seen[-1] - middle) >= least * HALF_MIN
    )


class Meter:
    """Looks at figures around calls, while it is on: which function leaves the most behind."""

    def __init__(self, figures: Callable[[], Figures]) -> None:
        """``figures`` are asked for twice a call while it is on."""
        self._figures = figures
        self._left = 0
        self._lock = threading.Lock()
        self._grew: dict[Callable[..., Any], dict[str, int]] = {}

    @property
    def is_on(self) -> bool:
        return self._left > 0

    def start(self) -> None:
        """Look at the next `CALLS_MEASURED_MAX` calls."""
        with self._lock:
            self._grew = {}
            self._left = CALLS_MEASURED_MAX

    @contextmanager
    def around(self, function: Callable[..., Any]) -> Iterator[None]:
        """A call of ``function``. Calls at the same time are taken for each other's; over many calls that evens out."""
        before = self._figures()
        try:
            yield
        finally:
            after = self._figures()
            with self._lock:
                self._left -= 1
                grew = self._grew.setdefault(function, {})
                for kind, number in after.items():
                    grew[kind] = grew.get(kind, 0) + number - before[kind]

    def worst(self, kind: str) -> Callable[..., Any] | None:
        """The function whose calls left the most of ``kind``; None where none left any."""
        with self._lock:
            self._left = 0
            grew = {function: found.get(kind, 0) for function, found in self._grew.items()}
        worst = max(grew, key=lambda function: grew[function], default=None)
        return worst if worst is not None and grew[worst] > 0 else None


class Leaks:
    """`look` each `LOOK_EVERY_S`. What grows is logged at the look after the one that found it: calls were measured."""

    def __init__(self, figures: Callable[[], Figures], meter: Meter) -> None:
        self._figures = figures
        self._meter = meter
        self._growth = Growth()
        self._suspected: dict[str, tuple[int, int]] = {}

    def look(self) -> None:
        for kind, (before, after) in self._suspected.items():
            function = self._meter.worst(kind)
            name = getattr(function, "__name__", "")
            log.warning(
                "%s%d → %d %s in %.0f min, and they only grow%s (%s); said once",
                f"{place_of(function)}: " if function is not None else "",
                before,
                after,
                kind,
                STEPS * LOOK_EVERY_S / 60,
                f"; calls of {name} leave the most behind" if function is not None else "",
                REMEDIES[kind],
            )
        self._suspected = self._growth.look(self._figures())
        if self._suspected:
            self._meter.start()


def figures_of(tasks: Callable[[], int]) -> Figures:
    """This process' figures. ``tasks``: those of the event loop."""
    return {
        "threads": threading.active_count(),
        "tasks": tasks(),
        "open files": _open_files(),
        "MiB of memory": _memory_mib(),
    }


def cheap_figures_of(tasks: Callable[[], int]) -> Figures:
    """The same around one call: memory in blocks of Python's, which one call changes."""
    return {**figures_of(tasks), "MiB of memory": sys.getallocatedblocks()}


def _open_files() -> int:
    try:
        return len(os.listdir(_PROC / "fd"))  # noqa: PTH208 - four times as fast
    except OSError:
        return 0  # not on this platform: files are not looked at


def _memory_mib() -> int:
    try:
        pages = int((_PROC / "statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") >> 20
