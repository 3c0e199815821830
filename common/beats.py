"""A process reports to its parent that its main loop turns, or which long work it is in.

Over a pipe whose writing end is inherited: it exists before any socket and does not depend on one. Its lines:

- ``terms HANG_S DRAIN_S``: watch me from now on; 0 for ``HANG_S``: never call me hung.
- ``turn``: the main loop has turned.
- ``progress WHAT``: a long turn goes on.
- ``call WHAT``: the main loop has entered something whose length is not ours to bound; the next line ends it.

Not here: what silence means (`cli.supervisor.hangs`).
"""

import os

from deltawire.common.clock import Clock, SystemClock

# The environment variable that names the pipe's descriptor.
VARIABLE = "DELTAWIRE_BEATS_FD"
# Beats are as rare as that, so that a busy loop pays for a look at the clock only.
BEAT_EVERY_S = 0.2
# A line is written whole or not at all (PIPE_BUF is 4,096).
LINE_BYTES_MAX = 200


class Beats:
    """The writing end. ``fd`` None: no parent watches, and all calls do nothing. For the main loop's thread."""

    def __init__(self, fd: int | None, clock: Clock | None = None) -> None:
        self._fd = fd
        self._clock = clock or SystemClock()
        self._said_at_s = float("-inf")
        self._is_in_call = False
        try:
            if fd is not None:
                os.set_inheritable(fd, False)
                os.set_blocking(fd, False)
        except OSError:
            self._fd = None

    def terms(self, hang_after_s: float, drain_s: float) -> None:
        """Say how long silence may be; 0 = for ever. ``drain_s``: and how long leaving may take."""
        self._say(f"terms {hang_after_s:g} {drain_s:g}")
        self._said_at_s = float("-inf")  # the first turn ends the start, whose silence may be long

    def turn(self) -> None:
        """The main loop has turned. Cheap: call it each turn."""
        if self._fd is not None and (
            self._is_in_call or self._clock.now_s() - self._said_at_s >= BEAT_EVERY_S
        ):
            self._say("turn")

    def progress(self, what: str) -> None:
        """A long turn goes on. Call it at least once a second in anything that may take longer."""
        if self._fd is not None and (
            self._is_in_call or self._clock.now_s() - self._said_at_s >= BEAT_EVERY_S
        ):
            self._say(f"progress {what}")

    def enter_call(self, what: str) -> None:
        """From now on the main loop is in a call that cannot be cut into slices. The next line ends it."""
        self._say(f"call {what}")

    def _say(self, line: str) -> None:
        if self._fd is None:
            return
        self._said_at_s = self._clock.now_s()
        self._is_in_call = line.startswith("call ")
        try:
            os.write(self._fd, line.replace("\n", " ").encode()[:LINE_BYTES_MAX] + b"\n")
        except BlockingIOError:
            # The pipe is full: the watcher has not read for an hour. It will find enough beats when it does.
            pass
        except OSError:
            self._fd = None


_of_process: list[Beats] = []


def of_process() -> Beats:
    """The beats of this process. At the first call the variable is taken away: children must not beat for us."""
    if not _of_process:
        text = os.environ.pop(VARIABLE, "")
        _of_process.append(Beats(int(text) if text.isdecimal() else None))
    return _of_process[0]
