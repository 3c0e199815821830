"""Ends a child process that a plug-in's function forked, where it comes back from the function.

It has our sockets, and the pipes that wake our loops: going on, it would take what is meant for this process.

Not here: programs that a function starts; those inherit none of it.
"""

import logging
import os
import sys
from contextlib import suppress

log = logging.getLogger(__name__)

# One entry for each fork between this process and the one that loaded the module. A look at it is no system call.
_forks: list[None] = []
os.register_at_fork(after_in_child=lambda: _forks.append(None))


def fork_depth() -> int:
    """For `end_if_forked`, which compares; taken by who will make calls."""
    return len(_forks)


def end_if_forked(depth: int, *, failed: bool) -> None:
    """End the process, with code 1 where its function ``failed``, else 0, if it was forked since ``depth``."""
    if len(_forks) == depth:
        return
    log.warning(
        "process %d, forked in a function, came back from it and is ended: end it with os._exit, or use subprocess",
        os.getpid(),
    )
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os._exit(int(failed))
