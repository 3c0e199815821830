"""The loop that joins the parts: processes, control socket, status, view, signals."""

import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from random import random
from typing import Any

import zmq

from deltawire.cli.supervisor.autoscaler import Sources
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
from deltawire.cli.supervisor.hangs import Hang, Hangs
from deltawire.cli.supervisor.kills import Kills
from deltawire.cli.supervisor.launch import API_SERVER, HANDLERS, Launch
from deltawire.cli.supervisor.loads import cpu_of_tree_s
from deltawire.cli.supervisor.machine import Action, Machine, Phase, Signal, Spec, Start
from deltawire.cli.supervisor.pins import PinJudge, unpin
from deltawire.cli.supervisor.processes import Command, Processes
from deltawire.cli.supervisor.run_types import Embedded, Outcome, SnapshotSource, View
from deltawire.cli.supervisor.shape import shape_of
from deltawire.cli.supervisor.status_model import StatusModel
from deltawire.cli.supervisor.status_types import ProcessStatus, Snapshot, with_claims_of
from deltawire.cli.supervisor.usage import Usage
from deltawire.cli.supervisor.words import last_words
from deltawire.common.clock import Clock
from deltawire.common.config.plan import Plan
from deltawire.common.errors import ConfigError
from deltawire.common.limits import SILENT_INTERVALS_MAX
from deltawire.common.process import EXIT_FAILED, EXIT_OK
from deltawire.common.wire.network import open_context

TURN_MS = 100
# What comes within so long after something came is dealt with together: each process reports and beats by itself.
GATHER_S = 0.05
# How often it is looked at what the processes said of their main loops.
HANGS_EVERY_S = 0.25
# A snapshot waits so long for a turn of the loop to end; after that the request fails.
LOCK_TIMEOUT_S = 2.0


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
        self._durable = is_durable(plan.store_dir, read_mounts())
        self._specs = {spec.name: spec for spec, _ in pipeline}
        self._view = view
        self._clock = clock
        self._started_s = started_s
        self._for_s = for_s
        self._embedded = embedded
        self._machine = Machine([spec for spec, _ in pipeline], plan.drain_deadline_s, random)
        self._processes = processes
        for spec, command in pipeline:
            processes.add(spec.name, command)
            if processes.pid(spec.name):
                self._machine.adopt(spec.name)
        up_s = clock.now_s() - started_s
        self._model = StatusModel(
            shape_of(plan),
            silent_s=SILENT_INTERVALS_MAX * plan.heartbeat_s,
            started_us=int((clock.wall_s() - up_s) * 1e6),
        )
        load = Sources(self._model.pending, processes.pid, cpu_of_tree_s)
        hooks = Hooks(self._add, self._forget, self._model.reshape, view.note, load)
        self._changes = Changes(plan, launch, self._machine, processes, hooks)
        # Another thread answers HTTP requests from the model.
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="compare")
        self._kills = Kills(self._make_settling)
        self._ending = Ending(embedded.stop_churn if embedded else None, self._submit, self._make_settling)
        self._pins = PinJudge()
        self._hangs = Hangs()
        self._is_server_awaited = embedded is not None
        self._signals = 0
        self._signals_seen = 0
        self._shown_at_s = self._looked_at_s = float("-inf")
        self._usage = Usage()
        self._last: Snapshot | None = None
        context: zmq.Context[zmq.Socket[bytes]] = open_context(plan, "control")
        self._context = context
        self._control = ControlSocket(
            context,
            plan.endpoint("control"),
            heartbeat_s=plan.heartbeat_s,
            run=plan.run,
            on_ready=self._on_ready,
            on_silent=self._on_silent,
            on_status=self._on_status,
            answer=self._answer,
            clock=clock,
        )
        self._poller = zmq.Poller()
        self._poller.register(self._control.socket, zmq.POLLIN)
        self._poller.register(processes.fileno(), zmq.POLLIN)
        if serve is not None:
            serve(self.snapshot_now)

    def snapshot_now(self) -> Snapshot | None:
        """As things are now, for another thread; None if the loop does not let go of them in time."""
        if not self._lock.acquire(timeout=LOCK_TIMEOUT_S):
            return None
        try:
            self._note_ended()
            return self._snapshot()
        finally:
            self._lock.release()

    def run(self) -> Outcome:
        """Until the time is up, a signal comes, or a process is given up; everything has ended afterwards."""
        before = {
            number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            while not self._machine.is_over:
                self._turn()
            return self._outcome()
        finally:
            self._processes.close()
            self._control.close()
            self._pool.shutdown(wait=True, cancel_futures=True)
            self._context.term()
            for number, handler in before.items():
                signal.signal(number, handler)

    # -- one turn

    def _turn(self) -> None:
        if self._poller.poll(TURN_MS):
            self._clock.sleep(GATHER_S)
        with self._lock:
            self._work()

    def _work(self) -> None:
        self._note_ended()
        for line in self._processes.take_lines():
            self._view.process_line(line)
        self._control.turn()
        now_s = self._clock.now_s()
        for name, code in self._processes.take_exited():
            self._on_exit(name, code, now_s)
        if now_s - self._looked_at_s >= HANGS_EVERY_S:
            self._looked_at_s = now_s
            self._find_hangs(now_s)
        self._on_signals(now_s)
        self._await_server()
        self._do(self._changes.turn(now_s))
        are_queues_empty = self._machine.is_draining and self._model.are_queues_empty()
        self._do(self._machine.tick(now_s, are_queues_empty=are_queues_empty))
        self._end_in_time(now_s)
        if self._machine.is_draining and self._last is None:
            # The figures of the run, while the processes are still there to be measured.
            self._last = self._snapshot(is_measured=True)
        for text in self._kills.turn(now_s, self._machine, self._is_synced):
            self._view.note(text)
        if now_s - self._shown_at_s >= self._view.every_s:
            self._shown_at_s = now_s
            self._view.show(self._snapshot())

    def _watch(self, name: str) -> None:
        # The embedded API server says nothing of its loop: it is another program.
        limit_s = self._changes.plan.hang_after_s if self._specs[name].role != API_SERVER else 0.0
        self._hangs.started(name, self._clock.now_s(), hang_after_s=limit_s or None)

    def _find_hangs(self, now_s: float) -> None:
        for name, line in self._processes.take_beats():
            self._hangs.heard(name, line, now_s)
        for hang in self._hangs.look(now_s):
            self._replace(hang)

    def _replace(self, hang: Hang) -> None:
        what = hang.describe(self._processes.state(hang.name))
        actions = self._machine.on_hung(hang.name, f"hung: {what}")
        if actions:
            self._view.note(f"{hang.name} hangs and is killed: {what}")
            self._do(actions)

    def _end_in_time(self, now_s: float) -> None:
        if self._for_s is None or self._machine.is_draining or self._uptime_s() < self._for_s:
            return
        if self._is_server_awaited:
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

    def _await_server(self) -> None:
        if self._is_server_awaited and self._embedded is not None and self._embedded.kubeconfig.exists():
            self._is_server_awaited = False
            self._machine.on_ready(API_SERVER, self._clock.now_s())
            self._machine.release("reflector")

    def _do(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case Start(name):
                    self._processes.start(name)
                    self._watch(name)
                    # It has no control connection; it listened before, so its address is known.
                    if name == API_SERVER and not self._is_server_awaited:
                        self._machine.on_ready(name, self._clock.now_s())
                case Signal(name, number):
                    self._processes.signal(name, number)

    # -- what happens

    def _note_ended(self) -> None:
        """Before anything else is believed: who has ended, who fell silent while we did not look."""
        wall_us = self._wall_us()
        for name in self._processes.absent(self._specs):
            self._model.on_gone(name, wall_us)
        self._model.tick(self._clock.now_s(), wall_us)

    def _wall_us(self) -> int:
        return int(self._clock.wall_s() * 1e6)

    def _on_signal(self, *_: object) -> None:
        self._signals += 1

    def _on_exit(self, name: str, code: int, now_s: float) -> None:
        for line in self._processes.take_lines():
            self._view.process_line(line)
        self._usage.ended(name)
        self._hangs.forget(name)
        self._model.on_gone(name, self._wall_us())
        was_given_up = self._machine.phase(name) is Phase.GAVE_UP
        is_renewed = self._machine.is_renewed(name)
        self._do(self._machine.on_exit(name, code, now_s))
        words = last_words(self._processes.last_words(name))
        if self._machine.phase(name) is Phase.GAVE_UP and not was_given_up:
            self._view.note(f"{self._machine.reason}: {words}")
        elif self._machine.phase(name) is Phase.WAITING and not is_renewed:
            self._view.note(f"{name} ended ({self._machine.last_end(name)}) and is started again")
        self._changes.on_exit(name, words)

    def _add(self, spec: Spec, command: Command) -> None:
        self._specs[spec.name] = spec
        self._processes.add(spec.name, command)
        self._machine.add(spec)

    def _forget(self, name: str) -> None:
        del self._specs[name]
        self._machine.forget(name)
        self._usage.forget(name)

    def _is_present(self, name: str, pid: int) -> bool:
        return name in self._machine and self._processes.pid(name) == pid

    def _on_ready(self, name: str, pid: int) -> None:
        if self._is_present(name, pid):
            self._machine.on_ready(name, self._clock.now_s())
            self._changes.on_ready(name)

    def _on_silent(self, name: str, pid: int) -> None:
        if self._is_present(name, pid):
            self._machine.on_silent(name)
            self._model.on_gone(name, self._wall_us())

    def _on_status(self, name: str, pid: int, report: dict[str, Any]) -> None:
        if self._is_present(name, pid):
            self._model.on_status(name, report, self._clock.now_s(), self._wall_us())
            if report.get("role") == WORKER:
                self._look_for_pins(report)

    def _look_for_pins(self, report: dict[str, Any]) -> None:
        handlers = {self._processes.pid(n): n for n, spec in self._specs.items() if spec.role == HANDLERS}
        for pin in self._pins.judge(report, handlers):
            self._do(unpin(pin, self._machine, self._processes, self._view.note))

    def _answer(self, verb: str, arguments: dict[str, Any]) -> Any:
        if verb == "status":
            return self._snapshot().as_plain()
        if verb == "kill":
            return self._kill(str(arguments.get("name", "")))
        if verb in VERBS:
            answer, actions = self._changes.answer(verb, arguments, self._clock.now_s())
            self._do(actions)
            return answer
        if verb in FOR_WORKERS:
            return ToWorkers()
        if verb in FOR_REFLECTORS:
            return ToWorkers(REFLECTOR)
        raise ConfigError(f"the supervisor does not know {verb!r}")

    def _kill(self, name: str) -> dict[str, Any]:
        if name not in self._machine:
            raise ConfigError(f"no process named {name!r} (processes: {', '.join(self._specs)})")
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

    def _uptime_s(self) -> float:
        return self._clock.now_s() - self._started_s

    def _snapshot(self, *, is_measured: bool = False) -> Snapshot:
        read = partial(self._usage_of, is_measured=is_measured)
        self._usage.refresh(self._specs, read, self._clock.now_s(), is_due=is_measured)
        return self._model.snapshot(
            state="draining" if self._machine.is_draining else "",
            up_s=self._uptime_s(),
            wall_us=self._wall_us(),
            processes={name: self._process_status(name) for name in self._specs},
            kills=self._kills.statuses,
            rejected=self._control.rejected,
            unanswered=self._control.unanswered,
            connections_refused=self._control.connections_refused,
            store=str(self._changes.plan.store_dir),
            durable=self._durable,
        )

    def _usage_of(self, name: str, *, is_measured: bool) -> tuple[float, float]:
        """What the process says of itself; measured where it says nothing, or where it counts."""
        said = None if is_measured else self._model.usage(name, self._processes.pid(name))
        return self._processes.usage(name) if said is None else said

    def _process_status(self, name: str) -> ProcessStatus:
        rss_mb, cpu_s = self._usage.of(name)
        return ProcessStatus(
            role=self._specs[name].role,
            state=self._machine.phase(name).value,
            pid=self._processes.pid(name),
            restarts=self._machine.restarts(name),
            hung=self._machine.hung(name),
            rss_mb=rss_mb,
            cpu_s=cpu_s,
            turns=self._model.turns(name),
            rejected=self._model.rejected(name),
            last_end=self._machine.last_end(name),
            last_words=last_words(self._processes.last_words(name)),
        )

    def _final(self) -> Snapshot:
        """The last report of each role. Processes and readiness are as before the drain, when all were there."""
        now = self._snapshot()
        return now if self._last is None else with_claims_of(now, self._last)

    def _outcome(self) -> Outcome:
        snapshot = self._final()
        failures = list(self._ending.failures)
        if self._machine.reason:
            failures.append(self._machine.reason)
        exit_code = self._machine.exit_code or (EXIT_FAILED if failures else EXIT_OK)
        return Outcome(exit_code, snapshot, failures, self._ending.has_begun)
