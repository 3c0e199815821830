"""Lines of log about peers that break the rules: so many and no more, however many messages they send."""

import logging

from deltawire.common.clock import Clock
from deltawire.common.limits import LINES_EVERY_S, LINES_MAX
from deltawire.common.wire.session import Allowance


class BoundedLog:
    """At most `LINES_MAX` lines in each `LINES_EVERY_S`. ``endpoint`` is named where lines are held back."""

    def __init__(self, log: logging.Logger, endpoint: str, clock: Clock) -> None:
        self._log = log
        self._endpoint = endpoint
        self._clock = clock
        self._lines = Allowance(LINES_MAX, LINES_EVERY_S)
        self._are_lines_held_back = False

    def warning(self, text: str, *arguments: object) -> None:
        """Log a line; after many, one line that says so."""
        if self._lines.take(self._clock.now_s()):
            self._log.warning(text, *arguments)
            self._are_lines_held_back = False
        elif not self._are_lines_held_back:
            self._are_lines_held_back = True
            self._log.warning("%s: more messages broke the rules; they are counted", self._endpoint)
