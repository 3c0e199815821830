"""What is known of a pipeline whose processes are ours, as snapshots: what they report, and what the kernel says."""

from collections.abc import Mapping
from functools import partial

from deltawire.cli.supervisor.control import ControlSocket
from deltawire.cli.supervisor.kills import Kills
from deltawire.cli.supervisor.machine import Machine, Spec
from deltawire.cli.supervisor.processes import Processes
from deltawire.cli.supervisor.status_model import StatusModel
from deltawire.cli.supervisor.status_types import ProcessStatus, Snapshot, with_claims_of
from deltawire.cli.supervisor.usage import Usage
from deltawire.cli.supervisor.words import last_words
from deltawire.common.clock import Clock


class Figures:
    """``specs``: the processes by name, as the supervisor has them at any time. ``started_s``: monotonic."""

    def __init__(
        self,
        model: StatusModel,
        machine: Machine,
        processes: Processes,
        specs: Mapping[str, Spec],
        kills: Kills,
        control: ControlSocket,
        *,
        store: str,
        is_durable: bool,
        clock: Clock,
        started_s: float,
    ) -> None:
        self.usage = Usage()
        self._model = model
        self._machine = machine
        self._processes = processes
        self._specs = specs
        self._kills = kills
        self._control = control
        self._store = store
        self._is_durable = is_durable
        self._clock = clock
        self._started_s = started_s
        self._before_drain: Snapshot | None = None

    def note_ended(self) -> None:
        """Before anything else is believed: who has ended, who fell silent while nobody looked."""
        wall_us = self.wall_us()
        for name in self._processes.absent(self._specs):
            self._model.on_gone(name, wall_us)
        self._model.tick(self._clock.now_s(), wall_us)

    def note_drain(self) -> None:
        """The drain begins: the figures of the run, while the processes are still there to be measured."""
        if self._before_drain is None:
            self._before_drain = self.snapshot(is_measured=True)

    def snapshot(self, *, is_measured: bool = False) -> Snapshot:
        """Everything now. ``is_measured``: memory and CPU are not taken from reports."""
        read = partial(self._usage_of, is_measured=is_measured)
        self.usage.refresh(self._specs, read, self._clock.now_s(), is_due=is_measured)
        return self._model.snapshot(
            state="draining" if self._machine.is_draining else "",
            up_s=self.uptime_s(),
            wall_us=self.wall_us(),
            processes={name: self._process_status(name) for name in self._specs},
            kills=self._kills.statuses,
            rejected=self._control.rejected,
            unanswered=self._control.unanswered,
            connections_refused=self._control.connections_refused,
            store=self._store,
            durable=self._is_durable,
        )

    def final(self) -> Snapshot:
        """The last report of each role. Processes and readiness are as before the drain, when all were there."""
        now = self.snapshot()
        return now if self._before_drain is None else with_claims_of(now, self._before_drain)

    def uptime_s(self) -> float:
        return self._clock.now_s() - self._started_s

    def wall_us(self) -> int:
        return int(self._clock.wall_s() * 1e6)

    def _usage_of(self, name: str, *, is_measured: bool) -> tuple[float, float]:
        """What the process says of itself; measured where it says nothing, or where it counts."""
        said = None if is_measured else self._model.usage(name, self._processes.pid(name))
        return self._processes.usage(name) if said is None else said

    def _process_status(self, name: str) -> ProcessStatus:
        rss_mb, cpu_s = self.usage.of(name)
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
