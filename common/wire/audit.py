"""The lines of the logger ``deltawire.audit``: who connected, who was refused. Bounded: a peer can connect in a loop.

Not here: who is let in (``guard``).
"""

import logging
from collections.abc import Callable

audit = logging.getLogger("deltawire.audit")

# Lines about the connections of one key that is allowed; those beyond are counted.
ADMITTED_MAX = 10
ADMITTED_EVERY_S = 60.0
# Lines about connections that were refused; those beyond are counted. Of all addresses: a stranger's key is any key.
REFUSALS_MAX = 20
REFUSALS_EVERY_S = 10.0


class Lines:
    """At most ``lines_max`` lines in each ``every_s``. A line says how many were left out before it."""

    def __init__(self, lines_max: int, every_s: float) -> None:
        self._lines_max = lines_max
        self._every_s = every_s
        self._began_s = float("-inf")
        self._written = 0
        self._left_out = 0

    def write(self, now_s: float, log: Callable[..., None], text: str, *arguments: object) -> None:
        if now_s - self._began_s >= self._every_s:
            self._began_s, self._written = now_s, 0
        if self._written >= self._lines_max:
            self._left_out += 1
            return
        self._written += 1
        left_out, self._left_out = self._left_out, 0
        if left_out:
            text, arguments = f"{text} (%d lines like this one were left out before)", (*arguments, left_out)
        if self._written == self._lines_max:
            text, arguments = f"{text} (more within %g s are only counted)", (*arguments, self._every_s)
        log(text, *arguments)


class Audit:
    """The lines about one socket. For the gate's thread."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._refusals = Lines(REFUSALS_MAX, REFUSALS_EVERY_S)
        self._of_keys: dict[str, Lines] = {}

    def admitted(self, owner: str, address: str, key: str, now_s: float) -> None:
        """``key`` is on the list of those that are allowed, so there are no more of them than it has."""
        lines = self._of_keys.setdefault(key, Lines(ADMITTED_MAX, ADMITTED_EVERY_S))
        lines.write(now_s, audit.info, "%s: %s connects from %s with %s", self._socket, owner, address, key)

    def refused(self, address: str, key: str, why: str, now_s: float) -> None:
        self._refusals.write(
            now_s, audit.warning, "%s: refused %s: its key %s is %s", self._socket, address, key, why
        )

    def forget(self, key: str) -> None:
        """It is not allowed any more."""
        self._of_keys.pop(key, None)
