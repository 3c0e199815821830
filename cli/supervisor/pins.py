"""The processes that hold an old state of a cache (pure except for reads of /proc).

LMDB keeps every page written since the oldest reader's state, so one reader that holds still makes the file grow
without end. Workers name readers that did so for ten seconds (`pinned_by`); a handler among them is killed, since
no lister call takes longer than 5 ms. A process that is no handler is only shown.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from deltawire.cli.supervisor.machine import Action, Machine
from deltawire.cli.supervisor.processes import Processes

# A handler's children are looked for so many generations up.
DEPTH_MAX = 16


class Pin(msgspec.Struct, frozen=True):
    """Process ``pid`` pins the cache of ``informer``; ``handler``: the handler process that it belongs to, or ""."""

    pid: int
    informer: str
    handler: str


class PinJudge:
    """Reads workers' reports. Each foreign process is handed out once, a handler's as long as it is there."""

    def __init__(self, parent_of: Callable[[int], int] | None = None) -> None:
        """``parent_of``: a process' parent, 0 where there is none (any more)."""
        self._parent_of = parent_of or parent_of_process
        self._told: set[int] = set()

    def judge(self, report: Mapping[str, Any], handlers: Mapping[int, str]) -> list[Pin]:
        """The pins of this report. ``handlers``: pid → name of the handler processes that run now."""
        found = []
        for pid, informer in pinned_by(report).items():
            handler = self._owner(pid, handlers)
            if handler or pid not in self._told:
                found.append(Pin(pid, informer, handler))
            if not handler:
                self._told.add(pid)
        return found

    def _owner(self, pid: int, handlers: Mapping[int, str]) -> str:
        """The handler that the process is or descends from now: the number may have been given away since."""
        here = pid
        for _ in range(DEPTH_MAX):
            parent = self._parent_of(here)
            if not parent:
                return ""
            if here in handlers:
                return handlers[here]
            here = parent
        return ""


def pinned_by(report: Mapping[str, Any]) -> dict[int, str]:
    """Pid → the informer it pins, of a worker's report that was found well-formed."""
    return {
        int(pid): name
        for name, informer in (report.get("informers") or {}).items()
        for shard in (informer.get("shards") or {}).values()
        for pid in shard.get("pinned_by") or ()
    }


def parent_of_process(pid: int) -> int:
    """From the process table; 0 for what is not there or a zombie, which holds nothing any more."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except (OSError, ValueError):
        return 0
    return 0 if state == "Z" else int(parent)


def unpin(pin: Pin, machine: Machine, processes: Processes, note: Callable[[str], None]) -> list[Action]:
    """Kill the handler that holds it; a process that is not ours is only named."""
    held = f"an old state of the cache of {pin.informer}"
    if not pin.handler:
        note(f"process {pin.pid} holds {held}, which grows until it lets go: it is not ours to end")
        return []
    actions = machine.condemn(pin.handler, f"it held {held}")
    if actions:
        note(f"{pin.handler} is killed: its process {pin.pid} held {held} for too long")
        processes.kill_child(pin.pid)
    return actions
