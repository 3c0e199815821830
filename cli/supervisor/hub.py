"""Status, metrics and requests without a supervisor: in containers an engine starts the processes.

The roles report to the control socket as ever; the hub keeps the same status model as the supervisor, and
starts, stops and kills nothing. Roles do not need it: without it they work on and are not seen.
"""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zmq

from deltawire.cli.namespaces import default_namespaces
from deltawire.cli.supervisor.control import FOR_REFLECTORS, FOR_WORKERS, REFLECTOR, ControlSocket, ToWorkers
from deltawire.cli.supervisor.durability import is_durable, read_mounts
from deltawire.cli.supervisor.gathering import GatheringLoop
from deltawire.cli.supervisor.reporters import Reporters
from deltawire.cli.supervisor.run_types import SnapshotSource
from deltawire.cli.supervisor.shape import shape_of
from deltawire.cli.supervisor.status_model import StatusModel
from deltawire.cli.supervisor.status_types import Snapshot
from deltawire.common.beats import of_process
from deltawire.common.clock import Clock
from deltawire.common.config.plan import Plan
from deltawire.common.control import HEALTH_EVERY_S
from deltawire.common.errors import ConfigError
from deltawire.common.health import HealthFile
from deltawire.common.limits import SILENT_INTERVALS_MAX
from deltawire.common.process import EXIT_OK
from deltawire.common.wire.network import open_context
from deltawire.handlers.core import DESCRIBE, describe


class _Beats:
    """The turns of the loop, for the process' parent."""

    def __init__(self) -> None:
        self.turns = 0
        self._beats = of_process()

    def show(self) -> None:
        self._beats.turn()


class Hub:
    """Listens at the control socket of ``plan``. ``serve`` gets the source of snapshots."""

    def __init__(
        self, plan: Plan, *, clock: Clock, serve: Callable[[SnapshotSource], None] | None = None
    ) -> None:
        self._plan = plan
        self._durable = is_durable(plan.store_dir, read_mounts())
        self._clock = clock
        self._started_s = clock.now_s()
        self._reporters = Reporters(expected_of(plan), silent_s=SILENT_INTERVALS_MAX * plan.heartbeat_s)
        self._model = StatusModel(
            shape_of(plan),
            silent_s=SILENT_INTERVALS_MAX * plan.heartbeat_s,
            started_us=int(clock.wall_s() * 1e6),
        )
        health = plan.config.runtime.health
        self._health = HealthFile(Path(health), clock=clock) if health else None
        self._beats = _Beats()
        self._loop = GatheringLoop(clock, self._beats, self._note_silent)
        self._context: zmq.Context[zmq.Socket[bytes]] = open_context(plan, "control")
        self._control = ControlSocket(
            self._context,
            plan.endpoint("control"),
            heartbeat_s=plan.heartbeat_s,
            on_ready=lambda name, pid: None,
            on_silent=lambda name, pid: self._model.on_gone(name, self._wall_us()),
            on_status=self._on_status,
            answer=self._answer,
            clock=clock,
        )
        self._control.join(self._loop)
        if self._health is not None:
            self._loop.every(HEALTH_EVERY_S, self._show_health)
        if serve is not None:
            serve(self.snapshot_now)

    def snapshot_now(self) -> Snapshot | None:
        """The snapshot of now, for another thread; None if the loop does not let go of it in time."""
        with self._loop.between_turns() as is_held:
            if not is_held:
                return None
            self._note_silent()
            return self.snapshot()

    def run(self, stop: threading.Event) -> int:
        """Until ``stop`` is set. The exit code."""
        try:
            self._loop.run(stop, until=lambda: False)
            return EXIT_OK
        finally:
            if self._health:
                self._health.remove()
            self._control.close()
            self._context.term()

    def snapshot(self) -> Snapshot:
        """Everything now."""
        now_s = self._clock.now_s()
        return self._model.snapshot(
            up_s=now_s - self._started_s,
            wall_us=self._wall_us(),
            processes=self._reporters.statuses(now_s),
            kills={},
            rejected=self._control.rejected,
            unanswered=self._control.unanswered,
            connections_refused=self._control.connections_refused,
            store=str(self._plan.store_dir),
            durable=self._durable,
        )

    def _note_silent(self) -> None:
        self._model.tick(self._clock.now_s(), self._wall_us())

    def _show_health(self) -> None:
        if self._health is not None:
            self._health.turn(self._beats.turns, [])

    def _wall_us(self) -> int:
        return int(self._clock.wall_s() * 1e6)

    def _on_status(self, name: str, _pid: int, report: dict[str, Any]) -> None:
        now_s = self._clock.now_s()
        life = self._reporters.on_status(name, report, now_s)
        if life:
            # The model carries a name's counters over from pid to pid; here the life stands for the pid.
            self._model.on_status(name, {**report, "pid": life}, now_s, self._wall_us())

    def _answer(self, verb: str, _arguments: dict[str, Any]) -> Any:
        if verb == "status":
            return self.snapshot().as_plain()
        if verb == DESCRIBE:
            return describe(self._plan, default_namespaces(self._plan))
        if verb in FOR_WORKERS:
            return ToWorkers(leave_out=self._model.standbys)
        if verb in FOR_REFLECTORS:
            return ToWorkers(REFLECTOR)
        if verb == "kill":
            raise ConfigError(
                "the processes were not started by Deltawire", hint="kill one where it was: docker kill"
            )
        raise ConfigError(f"the hub does not know {verb!r}")


def expected_of(plan: Plan) -> dict[str, str]:
    """Name → role of the processes that the config wants. Replicas of handlers have names of their own."""
    runtime = plan.config.runtime
    names = {"fifo": "fifo"}
    names |= {f"worker-{i}": "informer" for i in range(runtime.workers)}
    names |= {f"reflector-{i}": "reflector" for i in range(runtime.reflectors)}
    return names
