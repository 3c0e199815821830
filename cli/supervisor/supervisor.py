"""The loop that joins the parts: processes, control socket, status, view, signals."""

import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from random import random
from typing import Any

import zmq

from deltawire.cli.supervisor.autoscaler import LOOK_EVERY_S, Sources
from deltawire.cli.supervisor.changes import VERBS, Changes, Hooks
from deltawire.cli.supervisor.comparison import Settling, compare
from deltawire.cli.supervisor.control import (
    FOR_REFLECTORS,
    FOR_WORKERS,
    REFLECTOR,
    WORKER,
    ControlSocket,
    ToWorkers,
)
from deltawire.cli.supervisor.durability import is_durable, read_mounts
from deltawire.cli.supervisor.ending import Ending
from deltawire.cli.supervisor.figures import Figures
from deltawire.cli.supervisor.gathering import GatheringLoop, NoBeats
from deltawire.cli.supervisor.kills import Kills
from deltawire.cli.supervisor.launch import HANDLERS, Launch
from deltawire.cli.supervisor.lives import HANGS_EVERY_S, Lives
from deltawire.cli.supervisor.loads import cpu_of_tree_s
from deltawire.cli.supervisor.machine import Action, Machine, Spec
from deltawire.cli.supervisor.pins import PinJudge, unpin
from deltawire.cli.supervisor.processes import Command, Processes
from deltawire.cli.supervisor.run_types import Embedded, Outcome, SnapshotSource, View
from deltawire.cli.supervisor.shape import shape_of
from deltawire.cli.supervisor.status_model import StatusModel
from deltawire.cli.supervisor.status_types import Snapshot
from deltawire.common.clock import Clock
from deltawire.common.config.plan import Plan
from deltawire.common.errors import ConfigError
from deltawire.common.limits import SILENT_INTERVALS_MAX
from deltawire.common.process import EXIT_FAILED, EXIT_OK
from deltawire.common.wire.network import open_context

# While something is under way that tells nobody when it is over, it is looked at so often.
UNDER_WAY_EVERY_S = 0.1
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Supervisor:
    """One run of a pipeline. ``for_s``: how long, None until a signal. Use in the main thread only."""

    def __init__(
        self,
        plan: Plan,
        pipeline: list[tuple[Spec, Command]],
        processes: Processes,
        view: View,
        *,
        clock: Clock,
        started_s: float,
        for_s: float | None = None,
        embedded: Embedded | None = None,
        launch: Launch | None = None,
        serve: Callable[[SnapshotSource], None] | None = None,
    ) -> None:
        """``processes`` may have some of the pipeline running already.

        ``launch``: how further processes are started; without it the pipeline cannot be changed while it runs.
        ``started_s``: the monotonic instant that the figures count from; ``serve`` gets the source of snapshots.
        """
        self._view = view
        self._clock = clock
        self._for_s = for_s
        self._processes = processes
        self._machine = Machine([spec for spec, _ in pipeline], plan.drain_deadline_s, random)
        self._lives = Lives(
            self._machine, processes, pipeline, view, lambda: self._changes.plan.hang_after_s, embedded
        )
        up_s = clock.now_s() - started_s
        self._model = StatusModel(
            shape_of(plan),
            silent_s=SILENT_INTERVALS_MAX * plan.heartbeat_s,
            started_us=int((clock.wall_s() - up_s) * 1e6),
        )
        load = Sources(self._model.pending, processes.pid, cpu_of_tree_s)
        hooks = Hooks(self._lives.add, self._forget, self._model.reshape, view.note, load)
        self._changes = Changes(plan, launch, self._machine, processes, hooks)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="compare")
        self._kills = Kills(self._make_settling)
        self._ending = Ending(embedded.stop_churn if embedded else None, self._submit, self._make_settling)
        self._pins = PinJudge()
        self._signals = 0
        self._signals_seen = 0
        self._context: zmq.Context[zmq.Socket[bytes]] = open_context(plan, "control")
        self._control = ControlSocket(
            self._context,
            plan.endpoint("control"),
            heartbeat_s=plan.heartbeat_s,
            run=plan.run,
            on_ready=self._on_ready,
            on_silent=self._on_silent,
            on_status=self._on_status,
            answer=self._answer,
            clock=clock,
        )
        self._figures = Figures(
            self._model,
            self._machine,
            processes,
            self._lives.specs,
            self._kills,
            self._control,
            store=str(plan.store_dir),
            is_durable=is_durable(plan.store_dir, read_mounts()),
            clock=clock,
            started_s=started_s,
        )
        self._join()
        if serve is not None:
            serve(self.snapshot_now)

    def _join(self) -> None:
        self._loop = loop = GatheringLoop(self._clock, NoBeats(), self._figures.note_ended)
        loop.reads(self._processes.fileno(), self._show_lines)
        self._control.join(loop)
        self._due = loop.timer(lambda: None)
        loop.every(HANGS_EVERY_S, lambda: self._lives.find_hangs(self._clock.now_s()))
        loop.every(LOOK_EVERY_S, lambda: self._changes.scale(self._clock.now_s()))
        if self._view.every_s is not None:
            loop.every(self._view.every_s, lambda: self._view.show(self._figures.snapshot()))

    def snapshot_now(self) -> Snapshot | None:
        """As things are now, for another thread; None if the loop does not let go of them in time."""
        with self._loop.between_turns() as is_held:
            if not is_held:
                return None
            self._figures.note_ended()
            return self._figures.snapshot()

    def run(self) -> Outcome:
        """Until the time is up, a signal comes, or a process is given up; everything has ended afterwards."""
        before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        # The end of a child wakes the loop; what it does then asks the kernel who has ended.
        before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            self._loop.run(threading.Event(), self._work, until=lambda: self._machine.is_over)
            return self._outcome()
        finally:
            self._processes.close()
            self._control.close()
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._context.term()
            for number, handler in before.items():
                signal.signal(number, handler)

    # -- one turn

    def _work(self) -> None:
        """The end of a turn: what follows from what has come, and from the time."""
        now_s = self._clock.now_s()
        for name, code in self._processes.take_exited():
            self._on_exit(name, code, now_s)
        self._on_signals(now_s)
        self._lives.await_server(now_s)
        self._do(self._changes.turn(now_s))
        are_queues_empty = self._machine.is_draining and self._model.are_queues_empty()
        self._do(self._machine.tick(now_s, are_queues_empty=are_queues_empty))
        self._end_in_time(now_s)
        if self._machine.is_draining:
            self._figures.note_drain()
        for text in self._kills.turn(now_s, self._machine, self._is_synced):
            self._view.note(text)
        self._set_due(now_s)

    def _set_due(self, now_s: float) -> None:
        due_s = self._machine.due_s
        if self._for_s is not None and not self._machine.is_draining:
            due_s = min(due_s, max(now_s, now_s + self._for_s - self._figures.uptime_s()))
        is_under_way = (
            self._machine.is_draining
            or self._lives.is_server_awaited
            or self._kills.are_under_way
            or self._ending.has_begun
        )
        if is_under_way:
            due_s = now_s + UNDER_WAY_EVERY_S
        if due_s < float("inf"):
            self._due.set(due_s)
        else:
            self._due.cancel()

    def _show_lines(self) -> None:
        for line in self._processes.take_lines():
            self._view.process_line(line)

    def _do(self, actions: list[Action]) -> None:
        self._lives.do(actions, self._clock.now_s())

    def _end_in_time(self, now_s: float) -> None:
        if self._for_s is None or self._machine.is_draining or self._figures.uptime_s() < self._for_s:
            return
        if self._lives.is_server_awaited:
            return  # there is no churn yet to stop, nor anything to compare with
        if self._ending.turn(now_s, self._model):
            self._do(self._machine.drain(now_s))

    def _on_signals(self, now_s: float) -> None:
        if self._signals == self._signals_seen:
            return
        is_second = self._signals_seen > 0 or self._signals > 1
        self._signals_seen = self._signals
        if is_second:
            self._do(self._machine.kill(now_s))
        else:
            self._view.note("stopping: what is in flight is finished; Ctrl-C again kills")
            self._ending.interrupt()
            self._do(self._machine.drain(now_s))

    # -- what happens

    def _on_signal(self, *_: object) -> None:
        self._signals += 1

    def _on_exit(self, name: str, code: int, now_s: float) -> None:
        self._show_lines()
        self._figures.usage.ended(name)
        self._model.on_gone(name, self._figures.wall_us())
        self._changes.on_exit(name, self._lives.on_exit(name, code, now_s))

    def _forget(self, name: str) -> None:
        self._lives.forget(name)
        self._figures.usage.forget(name)

    def _on_ready(self, name: str, pid: int) -> None:
        if self._lives.is_present(name, pid):
            self._machine.on_ready(name, self._clock.now_s())
            self._changes.on_ready(name)

    def _on_silent(self, name: str, pid: int) -> None:
        if self._lives.is_present(name, pid):
            self._machine.on_silent(name)
            self._model.on_gone(name, self._figures.wall_us())

    def _on_status(self, name: str, pid: int, report: dict[str, Any]) -> None:
        if self._lives.is_present(name, pid):
            self._model.on_status(name, report, self._clock.now_s(), self._figures.wall_us())
            if report.get("role") == WORKER:
                self._look_for_pins(report)

    def _look_for_pins(self, report: dict[str, Any]) -> None:
        specs = self._lives.specs
        handlers = {self._processes.pid(n): n for n, spec in specs.items() if spec.role == HANDLERS}
        for pin in self._pins.judge(report, handlers):
            self._do(unpin(pin, self._machine, self._processes, self._view.note))

    def _answer(self, verb: str, arguments: dict[str, Any]) -> Any:
        if verb == "status":
            return self._figures.snapshot().as_plain()
        if verb == "kill":
            return self._kill(str(arguments.get("name", "")))
        if verb in VERBS:
            answer, actions = self._changes.answer(verb, arguments, self._clock.now_s())
            self._do(actions)
            return answer
        if verb in FOR_WORKERS:
            return ToWorkers(leave_out=self._model.standbys)
        if verb in FOR_REFLECTORS:
            return ToWorkers(REFLECTOR)
        raise ConfigError(f"the supervisor does not know {verb!r}")

    def _kill(self, name: str) -> dict[str, Any]:
        if name not in self._machine:
            raise ConfigError(f"no process named {name!r} (processes: {', '.join(self._lives.specs)})")
        pid = self._processes.pid(name)
        if not pid:
            raise ConfigError(f"{name} is not running ({self._machine.phase(name).value})")
        self._kills.begin(name, self._clock.now_s(), self._machine.restarts(name))
        self._processes.signal(name, signal.SIGKILL)
        return {"name": name, "pid": pid}

    # -- what is known

    def _is_synced(self, since_s: float) -> bool:
        return self._model.reported_since(since_s, "informer") and not self._model.not_synced()

    def _submit(self, job: Callable[[], Any]) -> "Future[Any]":
        return self._pool.submit(job)

    def _make_settling(self, deadline_s: float, is_still: bool) -> Settling:
        return Settling(lambda: compare(self._changes.plan), self._submit, deadline_s, is_still)

    def _outcome(self) -> Outcome:
        snapshot = self._figures.final()
        failures = list(self._ending.failures)
        if self._machine.reason:
            failures.append(self._machine.reason)
        exit_code = self._machine.exit_code or (EXIT_FAILED if failures else EXIT_OK)
        return Outcome(exit_code, snapshot, failures, self._ending.has_begun)
