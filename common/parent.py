"""A process ends when its parent does. Linux only; elsewhere a role notices the lost control connection.

A parent is written ``PID:STARTED`` (`wire.identity.process_started`), by the parent itself before it forks: a child
that asks who its parent is may ask too late, when somebody else has become it.
"""

import ctypes
import os
import signal
import sys

from deltawire.common.wire.identity import has_ended, process_started

# The environment variable by which a role that is started as a command learns its parent.
VARIABLE = "DELTAWIRE_PARENT"
_PR_SET_PDEATHSIG = 1


def this_process() -> str:
    """How this process is named to its children."""
    return f"{os.getpid()}:{process_started(os.getpid())}"


def is_alive(parent: str) -> bool:
    """False only for a process that is known to be gone."""
    pid, _, started = parent.partition(":")
    if not (pid.isdecimal() and started.isdecimal()):
        return False
    return started == "0" or not has_ended(int(pid), int(started))


def die_with_parent(parent: str, sign: signal.Signals = signal.SIGTERM) -> None:
    """Ask the kernel for ``sign`` when the parent dies. If it is gone already this process ends here and now."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, sign, 0, 0, 0)
    # In this order: a parent that dies between the two is seen by the second, one that dies later by the kernel.
    if parent.partition(":")[0] != str(os.getppid()) or not is_alive(parent):
        signal.signal(sign, signal.SIG_DFL)
        os.kill(os.getpid(), sign)
