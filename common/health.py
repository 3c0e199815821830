"""A file that stays fresh while a role is healthy: a check of its age needs no Python process.

The role's own loop renews it, so a loop that hangs lets it grow old; while a session is missing it is removed.
A check is ``find FILE -newermt -10seconds | grep -q .`` (Dockerfile), or an exec probe of the same kind.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from deltawire.common.clock import Clock

log = logging.getLogger(__name__)

# A check should call a file stale that was not renewed for ten times as long.
RENEW_EVERY_S = 1.0


class HealthFile:
    """Keeps one file. It belongs to one process: of two on the same path each would hide the other's failure."""

    def __init__(self, path: Path, *, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._renewed_at_s = float("-inf")
        self._is_told = False
        self.remove()

    def turn(self, turns: int, missing: Sequence[str]) -> None:
        """Call once a turn of the main loop. ``missing``: the sessions that it waits for."""
        if missing:
            self.remove()
            return
        now_s = self._clock.now_s()
        if now_s - self._renewed_at_s < RENEW_EVERY_S:
            return
        self._renewed_at_s = now_s
        try:
            self._path.write_text(f"{turns} turns\n")
        except OSError as error:
            self._complain(error)

    def remove(self) -> None:
        """The role is not well, or ends."""
        self._renewed_at_s = float("-inf")
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        # Once: the check that finds no file says the rest, and the role's work goes on.
        if not self._is_told:
            self._is_told = True
            log.warning("the health file %s cannot be written: %s", self._path, error.strerror)
