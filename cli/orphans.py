"""Processes that a killed supervisor left behind: found in the process table, and ended.

The kernel signals children at their supervisor's death, and a child that starts after it finds out by itself
(`common.parent`). A process that lives on was stopped, hangs, or drains for long; it would hold locks and sockets
that the next run needs. Only processes are ended whose command line names this config, a run, and a dead parent. The
signal goes to the process that was examined, also if its pid has been reused.
"""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from deltawire.common import parent
from deltawire.common.clock import Clock
from deltawire.common.wire.identity import process_started

# They were signalled to drain when their supervisor died; the time they may still take.
GRACE_S = 2.0
# After SIGKILL: for the kernel.
GONE_S = 5.0
_LOOK_EVERY_S = 0.05


@dataclass(frozen=True, slots=True)
class Orphan:
    """One process; ``started`` in ticks since boot, as /proc has it."""

    pid: int
    started: int
    run: str
    command: tuple[str, ...]

    @property
    def is_there(self) -> bool:
        """The same process, and no zombie."""
        return process_started(self.pid) == self.started

    @property
    def what(self) -> str:
        """``deltawire.informer (pid 7)``."""
        module = next((part for part in self.command if part.startswith("deltawire.")), self.command[0])
        return f"{module} (pid {self.pid})"


def find(config: Path) -> list[Orphan]:
    """What supervisors that are dead have started with this effective config. [] without /proc."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        started = process_started(int(entry.name))
        try:
            if entry.stat().st_uid != os.getuid():
                continue
            command = tuple((entry / "cmdline").read_bytes().decode(errors="replace").split("\0")[:-1])
        except OSError:
            continue  # it has just ended
        marks = _marks(command)
        if marks is None or marks[0] != str(config) or parent.is_alive(marks[2]) or not started:
            continue
        orphan = Orphan(int(entry.name), started, marks[1], command)
        if orphan.is_there:
            found.append(orphan)
    return found


def end(config: Path, *, clock: Clock) -> list[str]:
    """End all of them; print one line if there were any."""
    orphans = find(config)
    if not orphans:
        return []
    if not _gone_within(orphans, GRACE_S, clock):
        for orphan in orphans:
            _kill(orphan)
        _gone_within(orphans, GONE_S, clock)
    return [f"ended what a killed supervisor had left behind: {', '.join(o.what for o in orphans)}"]


def _marks(command: tuple[str, ...]) -> tuple[str, str, str] | None:
    """(config, run, parent) of a command line that `supervisor.launch` made."""
    try:
        config, run, started_by = (command[command.index(f"--{n}") + 1] for n in ("config", "run", "parent"))
    except (ValueError, IndexError):
        return None
    return (config, run, started_by) if run else None


def _gone_within(orphans: list[Orphan], seconds: float, clock: Clock) -> bool:
    deadline_s = clock.now_s() + seconds
    while any(orphan.is_there for orphan in orphans):
        if clock.now_s() >= deadline_s:
            return False
        clock.sleep(_LOOK_EVERY_S)
    return True


def _kill(orphan: Orphan) -> None:
    try:
        handle = os.pidfd_open(orphan.pid)
    except ProcessLookupError:
        return
    try:
        # The handle is of one process for ever: if it is the one that was found now, it is so when it is signalled.
        if orphan.is_there:
            # It leads a group of its own, which its number stands for as long as it is there.
            if os.getpgid(orphan.pid) == orphan.pid:
                os.killpg(orphan.pid, signal.SIGKILL)
            signal.pidfd_send_signal(handle, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it has ended by itself
    finally:
        os.close(handle)
