"""File descriptors: every connection takes one. As many as the system allows, and one line when none is left."""

import asyncio
import errno
import logging
import resource
from typing import Any

_log = logging.getLogger(__name__)

# While none is left, connections wait in the kernel's queue and the event loop tries again each second.
TELL_AGAIN_S = 60.0


def raise_limit() -> int:
    """Let this process open as many files as its hard limit allows; how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError):
            return soft  # some systems have a lower bound than they report
    return hard


class ShortageTeller:
    """Logs in one line, not a traceback for each connection, that no descriptor is left.

    For the event loop that accepts connections; other failures go where they went before.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._before = loop.get_exception_handler()
        self._tell_at = 0.0

    def start(self) -> None:
        self._loop.set_exception_handler(self._handle)

    def stop(self) -> None:
        self._loop.set_exception_handler(self._before)

    def _handle(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            self._tell(error.errno)
        elif self._before is not None:
            self._before(loop, context)
        else:
            loop.default_exception_handler(context)

    def _tell(self, code: int) -> None:
        now = self._loop.time()
        if now < self._tell_at:
            return
        self._tell_at = now + TELL_AGAIN_S
        limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        whose = f"this process may open {limit}" if code == errno.EMFILE else "the whole system has no more"
        _log.error(
            "no file descriptor is left (%s): new connections wait until others end; raise it with ulimit -n",
            whose,
        )
