"""What all roles' processes share: signals, thread switching, exit codes, the line of a fatal error.

A role is an object with ``run(stop)``; this module makes a process of it and of nothing else.
"""

import argparse
import faulthandler
import gc
import logging
import os
import resource
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deltawire.common import beats, logs, parent
from deltawire.common.config.load import load
from deltawire.common.config.plan import Plan
from deltawire.common.errors import ConfigError, DeltawireError

log = logging.getLogger(__name__)

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_GAVE_UP = 3
EXIT_DRAIN_LATE = 4
EXIT_INTERRUPTED = 130

# Python's default of 5 ms lets one busy thread (a list being split) delay a watch by 5.2 ms; with 0.5 ms it
# is 0.7 ms (docs/design.md, latency).
SWITCH_INTERVAL_S = 0.0005
# Caches and queues hold many long-lived small objects; scanning them every 700 allocations costs more than
# it frees, since nothing here makes cycles in a hot path.
_GC_THRESHOLD = (50_000, 20, 20)
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Role(Protocol):
    """What a process does until it is asked to stop. Returns its exit code."""

    def run(self, stop: threading.Event) -> int:
        """Work until ``stop`` is set, then drain and return. Raises DeltawireError if it cannot go on."""
        ...


@dataclass(frozen=True, slots=True)
class RoleArguments:
    """The command-line arguments of a role's process.

    ``index``: number of the reflector, worker, or replica of handler ``handler``, from 0. ``replica``: the name of a
    replica without a number. ``parent`` (`common.parent`) and ``run`` (`Runtime.run`) come from the supervisor, ""
    without one.
    """

    config: Path
    index: int = 0
    handler: str = ""
    replica: str = ""
    parent: str = ""
    run: str = ""
    log_level: str = "info"

    def name_of(self, role: str) -> str:
        """The process' name: ``reflector-0``, ``fifo``, ``worker-1``, ``printer-0``."""
        if role == "fifo":
            return role
        return self.replica or f"{self.handler or ('worker' if role == 'informer' else role)}-{self.index}"


def parse_arguments(role: str, argv: Sequence[str] | None = None) -> RoleArguments:
    """The arguments of ``python -m deltawire.<role>``."""
    parser = argparse.ArgumentParser(prog=f"python -m deltawire.{role}")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE")
    parser.add_argument("--index", type=int, default=0, metavar="N")
    parser.add_argument("--handler", default="", metavar="NAME")
    parser.add_argument("--replica", default="", metavar="NAME")
    parser.add_argument("--parent", default="", help=argparse.SUPPRESS)
    parser.add_argument("--run", default="", help=argparse.SUPPRESS)
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    return RoleArguments(**vars(parser.parse_args(argv)))


def run_role(role: str, make_role: Callable[[RoleArguments, Plan], Role], arguments: RoleArguments) -> int:
    """Run a role in this process and return the exit code for `sys.exit`.

    SIGTERM makes it drain. SIGINT does so only without a supervisor: on a terminal Ctrl-C reaches every process of
    the group, and then the supervisor decides what follows.
    """
    # First of all: a process whose supervisor is gone already must touch nothing.
    started_by = arguments.parent or os.environ.pop(parent.VARIABLE, "")
    if started_by:
        parent.die_with_parent(started_by)
    if role != "handlers":
        # A role's files are for its user only, whatever umask it inherited; a handler is user code and keeps its umask.
        os.umask(0o077)
    # A crash in C would leave no word: this names the line of Python that it happened in.
    faulthandler.enable(all_threads=False)
    supervised = bool(arguments.parent)
    watched = beats.of_process()
    logs.set_up(arguments.name_of(role), level=arguments.log_level)
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    gc.set_threshold(*_GC_THRESHOLD)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN if supervised else lambda *_: stop.set())
    try:
        plan = Plan(load(arguments.config))
        if arguments.run and arguments.run != plan.run:
            raise ConfigError(f"{arguments.config} is of another run")
        watched.terms(plan.hang_after_s, plan.drain_deadline_s)
        return make_role(arguments, plan).run(stop)
    except DeltawireError as error:
        log.error("%s", error)
        return error.exit_code
    except Exception:
        log.exception("a bug: please report it with this traceback")
        return EXIT_FAILED


def own_usage() -> tuple[float, float]:
    """(resident MB, CPU seconds) of this process; as `usage_of`, at a fraction of its cost."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    rss_mb = 0.0
    try:
        statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)
        try:
            rss_mb = round(int(os.read(statm, 200).split()[1]) * _PAGE_BYTES / 1e6, 1)
        finally:
            os.close(statm)
    except (OSError, IndexError, ValueError):
        pass  # nothing says it
    return rss_mb, round(used.ru_utime + used.ru_stime, 2)


def usage_of(pid: int) -> tuple[float, float]:
    """(resident MB, CPU seconds) of a process; zeros where /proc does not say."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (OSError, IndexError, ValueError):
        return 0.0, 0.0
    return round(pages * _PAGE_BYTES / 1e6, 1), (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
