"""When each process is started, restarted, stopped and given up. Pure: events in, actions out.

A process that ends by itself is started again after a back-off of 0.2 s to 10 s; the old process group is
killed before its successor starts. One that fails ``QUICK_FAILURES_MAX`` times in a row before it was ready,
or within ``QUICK_S`` of being ready, is given up. If it is essential, the whole pipeline ends with it.

Draining goes stage by stage, in the direction of the data: reflectors first, then (when the queues are
empty, or after ``QUEUES_WAIT_S``) handlers, then workers and broker, then the embedded API server.
"""

import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from deltawire.common.process import EXIT_DRAIN_LATE, EXIT_GAVE_UP, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE
from deltawire.reflector.backoff import Backoff

QUICK_FAILURES_MAX = 6
QUICK_S = 5.0
BACKOFF_BASE_S = 0.2
BACKOFF_CAP_S = 10.0
# A process that ran so long since its last start begins with the short delay again.
BACKOFF_RESET_S = 30.0
# The likely sender of a SIGKILL that this supervisor did not send.
MEMORY_HINT = "; by somebody, or by the kernel for want of memory"
# How long a drain waits for what is queued; what is left is kept on disk or asked for again.
QUEUES_WAIT_S = 3.0


class Phase(Enum):
    """Where a process is in its life. The values are what `status` prints."""

    HELD = "held"
    WAITING = "waiting"
    STARTING = "starting"
    READY = "ready"
    SILENT = "silent"
    STOPPING = "stopping"
    ENDED = "ended"
    GAVE_UP = "gave up"


RUNNING = frozenset({Phase.STARTING, Phase.READY, Phase.SILENT, Phase.STOPPING})


@dataclass(frozen=True, slots=True)
class Spec:
    """One process to keep running. Stages are drained in rising order.

    ``essential``: without it nothing works, so that giving it up ends the pipeline. ``is_held``: it is
    started only after `Machine.release`.
    """

    name: str
    role: str
    stage: int
    essential: bool = True
    is_held: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """Kill what is left of the old process group, then start the process."""

    name: str


@dataclass(frozen=True, slots=True)
class Signal:
    """Send ``number`` to the process (SIGTERM) or to its whole group (SIGKILL)."""

    name: str
    number: signal.Signals


Action = Start | Signal


@dataclass(slots=True)
class _Process:
    spec: Spec
    backoff: Backoff
    phase: Phase = Phase.WAITING
    due_s: float = 0.0
    ready_at_s: float | None = None
    restarts: int = 0
    hung: int = 0
    starts: int = 0
    quick_failures: int = 0
    condemned_for: str = ""
    last_end: str = ""
    last_code: int = 0
    # Asked to end by us: for good, or to be started again at once with another config.
    leaves_at_s: float | None = None
    is_renewed: bool = False


@dataclass(slots=True)
class Machine:
    """All processes of one pipeline. ``drain_deadline_s`` bounds a drain; then everything is killed."""

    specs: Sequence[Spec]
    drain_deadline_s: float
    random: Callable[[], float]
    exit_code: int = EXIT_OK
    reason: str = ""
    _processes: dict[str, _Process] = field(init=False)
    # Those that only wait for a time: to be started, or to be killed as they do not leave.
    _timed: dict[str, _Process] = field(init=False, default_factory=dict)
    _drain_began_s: float | None = None
    _stage: int = -1
    _stage_began_s: float = 0.0
    _is_killing: bool = False

    def __post_init__(self) -> None:
        self._processes = {spec.name: self._made(spec) for spec in self.specs}

    # -- what others may know

    @property
    def due_s(self) -> float:
        """When `tick` has something to do at the earliest, monotonic; infinity: not before something happens.

        Not while it drains: call it several times a second then.
        """
        return min((self._due_s(process) for process in self._timed.values()), default=float("inf"))

    @property
    def is_draining(self) -> bool:
        return self._drain_began_s is not None

    @property
    def is_over(self) -> bool:
        """True when a drain has left no process running."""
        return self.is_draining and not any(p.phase in RUNNING for p in self._processes.values())

    def phase(self, name: str) -> Phase:
        return self._processes[name].phase

    def restarts(self, name: str) -> int:
        return self._processes[name].restarts

    def hung(self, name: str) -> int:
        """How often the process was killed because it hung."""
        return self._processes[name].hung

    def last_end(self, name: str) -> str:
        """How the process ended the last time, in words; "" if it never did."""
        return self._processes[name].last_end

    def is_renewed(self, name: str) -> bool:
        """True while a process that `renew` asked to end has not ended."""
        return self._processes[name].is_renewed

    def __contains__(self, name: str) -> bool:
        return name in self._processes

    # -- events

    def adopt(self, name: str) -> None:
        """The process was started before the machine was made."""
        process = self._processes[name]
        process.phase = Phase.STARTING
        process.starts = 1
        del self._timed[name]

    def add(self, spec: Spec) -> None:
        """One more process, to be started at the next tick."""
        self.specs = [*self.specs, spec]
        self._processes[spec.name] = self._made(spec)

    def retire(self, name: str, now_s: float) -> list[Action]:
        """Let a process finish and leave for good. `forget` it when it has ended; it may have already."""
        process = self._processes[name]
        if process.phase not in RUNNING:
            process.phase = Phase.ENDED
            return []
        process.leaves_at_s, process.phase = now_s, Phase.STOPPING
        self._timed[name] = process
        return [Signal(name, signal.SIGTERM)]

    def renew(self, name: str, now_s: float) -> list[Action]:
        """Let a process finish, and start it again at once: its config has changed."""
        process = self._processes[name]
        if process.phase not in RUNNING or process.is_renewed:
            return []
        process.is_renewed, process.leaves_at_s = True, now_s
        self._timed[name] = process
        return [Signal(name, signal.SIGTERM)]

    def forget(self, name: str) -> None:
        """The process is not there any more, nor will it be."""
        self.specs = [spec for spec in self.specs if spec.name != name]
        del self._processes[name]
        self._timed.pop(name, None)

    def tick(self, now_s: float, *, are_queues_empty: bool = False) -> list[Action]:
        """What is due (`due_s`)."""
        if self._drain_began_s is not None:
            return self._drain_on(now_s, self._drain_began_s, are_queues_empty)
        actions: list[Action] = []
        for name, process in list(self._timed.items()):
            if process.leaves_at_s is not None and now_s >= process.leaves_at_s + self.drain_deadline_s:
                process.leaves_at_s = None
                actions.append(Signal(process.spec.name, signal.SIGKILL))
            if process.phase is Phase.WAITING and now_s >= process.due_s:
                process.phase = Phase.STARTING
                process.ready_at_s = None
                process.restarts += process.starts > 0
                process.starts += 1
                actions.append(Start(process.spec.name))
            if process.leaves_at_s is None and process.phase is not Phase.WAITING:
                del self._timed[name]
        return actions

    def release(self, role: str) -> None:
        """Let the held processes of a role start: what they waited for is there."""
        for process in self._processes.values():
            if process.spec.role == role and process.phase is Phase.HELD:
                process.phase = Phase.WAITING
                self._timed[process.spec.name] = process

    def on_ready(self, name: str, now_s: float) -> None:
        """The process said hello (again)."""
        process = self._processes[name]
        if process.phase in (Phase.STARTING, Phase.SILENT):
            process.phase = Phase.READY
            process.ready_at_s = process.ready_at_s or now_s

    def on_silent(self, name: str) -> None:
        """The process runs but has missed several heartbeats."""
        process = self._processes[name]
        if process.phase is Phase.READY:
            process.phase = Phase.SILENT

    def on_exit(self, name: str, code: int, now_s: float) -> list[Action]:
        """The process ended: exit code, or minus the signal's number."""
        process = self._processes[name]
        was_stopping = process.phase is Phase.STOPPING
        process.last_code = code
        process.last_end = describe_end(code)
        if process.condemned_for:
            process.last_end = f"{process.last_end}: {process.condemned_for}"
            process.condemned_for = ""
        process.leaves_at_s = None
        if was_stopping or self.is_draining:
            process.phase = Phase.ENDED
            return []
        if process.is_renewed:
            process.is_renewed = False
            self._wait(process, now_s)
            return []
        is_quick = process.ready_at_s is None or now_s - process.ready_at_s < QUICK_S
        # Killed after it was ready says nothing about the process: somebody, or the kernel, did that.
        was_killed = code == -signal.SIGKILL and process.ready_at_s is not None
        process.quick_failures = process.quick_failures + 1 if is_quick and not was_killed else 0
        # A role that refuses its config before it was ready will refuse it again.
        is_refusal = code == EXIT_USAGE and process.ready_at_s is None and process.spec.essential
        if is_refusal or process.quick_failures >= QUICK_FAILURES_MAX:
            return self._give_up(process, now_s)
        self._wait(process, now_s + process.backoff.next_s(now_s))
        return []

    def condemn(self, name: str, why: str) -> list[Action]:
        """Kill one process that harms others; it is started again as usual, and ``why`` is part of its end."""
        process = self._processes[name]
        if process.phase not in RUNNING or process.condemned_for:
            return []
        process.condemned_for = why
        return [Signal(name, signal.SIGKILL)]

    def on_hung(self, name: str, why: str) -> list[Action]:
        """Its main loop stands still: kill and replace it, unless it is to end anyway. ``why`` as in `condemn`."""
        process = self._processes[name]
        if process.phase is Phase.STOPPING or self.is_draining:
            return []
        actions = self.condemn(name, why)
        process.hung += len(actions)
        return actions

    def drain(self, now_s: float) -> list[Action]:
        """Stop everything in order. A second call changes nothing."""
        if self.is_draining:
            return []
        self._drain_began_s = now_s
        for process in self._processes.values():
            if process.phase in (Phase.WAITING, Phase.HELD):
                process.phase = Phase.ENDED
        return self._enter_next_stage(now_s)

    def kill(self, now_s: float, exit_code: int = EXIT_INTERRUPTED) -> list[Action]:
        """Stop everything at once."""
        if self._is_killing:
            return []
        self.drain(now_s)
        self.exit_code = self.exit_code or exit_code
        self._is_killing = True
        return [Signal(p.spec.name, signal.SIGKILL) for p in self._processes.values() if p.phase in RUNNING]

    # -- inside

    def _made(self, spec: Spec) -> _Process:
        backoff = Backoff(
            BACKOFF_BASE_S,
            cap_s=BACKOFF_CAP_S,
            jitter=0.1,
            reset_after_s=BACKOFF_RESET_S,
            random=self.random,
        )
        process = _Process(spec, backoff, Phase.HELD if spec.is_held else Phase.WAITING)
        if not spec.is_held:
            self._timed[spec.name] = process
        return process

    def _wait(self, process: _Process, due_s: float) -> None:
        process.phase, process.due_s = Phase.WAITING, due_s
        self._timed[process.spec.name] = process

    def _due_s(self, process: _Process) -> float:
        due_s = process.due_s if process.phase is Phase.WAITING else float("inf")
        return due_s if process.leaves_at_s is None else min(due_s, process.leaves_at_s + self.drain_deadline_s)

    def _give_up(self, process: _Process, now_s: float) -> list[Action]:
        process.phase = Phase.GAVE_UP
        # A wrong config will stay wrong; the role's exit code says more than the supervisor's.
        self.exit_code = EXIT_USAGE if process.last_code == EXIT_USAGE else EXIT_GAVE_UP
        times = "" if process.quick_failures == 1 else f" {process.quick_failures} times"
        # What we killed ourselves says why.
        hint = MEMORY_HINT if process.last_end == describe_end(-signal.SIGKILL) else ""
        self.reason = f"{process.spec.name} failed{times} right after its start ({process.last_end}{hint})"
        return self.drain(now_s) if process.spec.essential else []

    def _drain_on(self, now_s: float, began_s: float, are_queues_empty: bool) -> list[Action]:
        if self._is_killing or self.is_over:
            return []
        if now_s - began_s >= self.drain_deadline_s:
            self.reason = self.reason or f"the drain was not over after {self.drain_deadline_s:g} s"
            return self.kill(now_s, EXIT_DRAIN_LATE)
        if any(p.phase in RUNNING for p in self._of_stage(self._stage)):
            return []
        if self._stage == 0 and not are_queues_empty and now_s - self._stage_began_s < QUEUES_WAIT_S:
            return []
        return self._enter_next_stage(now_s)

    def _enter_next_stage(self, now_s: float) -> list[Action]:
        later = sorted({s.stage for s in self.specs if s.stage > self._stage})
        if not later:
            return []
        self._stage = later[0]
        self._stage_began_s = now_s
        actions: list[Action] = []
        for process in self._of_stage(self._stage):
            if process.phase in RUNNING:
                process.phase = Phase.STOPPING
                actions.append(Signal(process.spec.name, signal.SIGTERM))
        return actions

    def _of_stage(self, stage: int) -> list[_Process]:
        return [p for p in self._processes.values() if p.spec.stage == stage]


def describe_end(code: int) -> str:
    """``exit code 1`` or ``killed by SIGKILL``."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
