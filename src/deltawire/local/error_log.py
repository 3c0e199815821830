"""One log line for an error that lasts, not one for each attempt."""

import logging

from deltawire.common.clock import Clock
from deltawire.common.errors import DeltawireError

# The same error is logged again after so long.
LOG_EVERY_S = 60.0


class ErrorLog:
    """Logs an error when it is another one than before, and again after `LOG_EVERY_S`."""

    def __init__(self, logger: logging.Logger, subject: str, clock: Clock) -> None:
        self._logger = logger
        self._subject = subject
        self._clock = clock
        self._logged: tuple[str, float] = ("", 0.0)

    def note(self, error: DeltawireError) -> None:
        text, now_s = str(error), self._clock.now_s()
        if text == self._logged[0] and now_s - self._logged[1] < LOG_EVERY_S:
            return
        self._logged = (text, now_s)
        self._logger.warning("%s: %s", self._subject, text)
