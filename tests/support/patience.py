"""Waiting in tests: deadlines in the machine's own time, so that a busy machine makes a test slow and not red.

A second of patience is a second of a machine as busy as `make test` makes it by itself. With k times as many
processes that want to run, it takes k seconds. What waits says what it waits for, and may name a number that grows
while things go on: then the patience begins anew with each growth.
"""

import os
import time
from collections.abc import Callable
from typing import Any

# `make test` runs five workers for two cores, and some of them wait: so many processes that want to run, for each core,
# are no load.
USUAL_PER_CORE = 2.0
STRETCH_MAX = 8.0
# However long a look takes, so many are made before the patience is over.
LOOKS_MIN = 10
_CORES = os.cpu_count() or 1
# As they are now: a test may put its own in their places.
_open, _read, _close, _monotonic = os.open, os.read, os.close, time.monotonic


def stretch() -> float:
    """How many seconds of the clock a second of patience takes now; 1 where /proc does not say."""
    try:
        descriptor = _open("/proc/loadavg", os.O_RDONLY)
        try:
            average, _, _, running, _ = _read(descriptor, 200).split()
        finally:
            _close(descriptor)
        wanting = max(float(average), float(running.partition(b"/")[0]))
    except (OSError, ValueError):
        return 1.0
    return min(max(1.0, wanting / (USUAL_PER_CORE * _CORES)), STRETCH_MAX)


class Patience:
    """So many seconds of the machine's own time, from now on.

    ``progress``: any value that changes while what is waited for comes nearer.
    """

    def __init__(self, seconds: float, progress: Callable[[], Any] | None = None) -> None:
        self.seconds = seconds
        self._left_s = seconds
        self._progress = progress
        self._reached = progress() if progress else None
        self._looks = 0
        self._last_s = _monotonic()

    def left_s(self) -> float:
        """Seconds of the clock that are left, as the machine is now; below 0 when the patience is over."""
        factor = stretch()
        now_s = _monotonic()
        self._left_s -= (now_s - self._last_s) / factor
        self._last_s = now_s
        if self._progress and (reached := self._progress()) != self._reached:
            self._reached, self._left_s = reached, self.seconds
        return self._left_s * factor

    def is_over(self) -> bool:
        """Whether it is time to give up. To be asked after each look."""
        self._looks += 1
        return self.left_s() <= 0 and self._looks >= LOOKS_MIN


def wait_until(
    condition: Callable[[], Any],
    what: object,
    *,
    seconds: float = 20.0,
    every_s: float = 0.01,
    progress: Callable[[], Any] | None = None,
    turn: Callable[[], Any] | None = None,
) -> Any:
    """The first true value of ``condition``; AssertionError that says ``what`` was waited for.

    ``turn`` is called between two looks, in place of a sleep of ``every_s``. A ``what`` that can be called is asked
    in the end.
    """
    patience = Patience(seconds, progress)
    while not (value := condition()):
        if patience.is_over():
            told = what() if callable(what) else what
            raise AssertionError(f"not within {seconds:g} s of patience: {told}")
        if turn is not None:
            turn()
        else:
            time.sleep(every_s)
    return value


def comes_true(statement: Callable[[], bool], seconds: float = 5.0) -> bool:
    """Whether it does, for an assertion of the caller's."""
    patience = Patience(seconds)
    while not statement():
        if patience.is_over():
            return statement()
        time.sleep(0.001)
    return True
