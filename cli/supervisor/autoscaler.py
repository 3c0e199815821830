"""Scales the groups whose config says by what: asks for the figures, lets each group's `Scaler` decide."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from deltawire.cli.supervisor.fleet import Fleet
from deltawire.cli.supervisor.loads import CpuShares
from deltawire.cli.supervisor.scaling import Load, Scaler
from deltawire.common.config.schema import Scaling

LOOK_EVERY_S = 1.0
_EARLY_S = 0.05


@dataclass(frozen=True, slots=True)
class Sources:
    """``backlog`` of a group, None where it is not known; the ``pid`` of a process, 0 where none runs."""

    backlog: Callable[[str], int | None]
    pid: Callable[[str], int]
    cpu_s: Callable[[int], float]


@dataclass(frozen=True, slots=True)
class Scaled:
    """``group`` has other replicas from now on."""

    group: str
    before: int
    replicas: int
    why: str


class Autoscaler:
    """All groups with a range of replicas. What it decides is told to ``fleet`` at once."""

    def __init__(self, fleet: Fleet, sources: Sources) -> None:
        self._fleet = fleet
        self._sources = sources
        self._shares = CpuShares(sources.cpu_s)
        self._scalers: dict[str, Scaler] = {}
        self._looked_at_s = float("-inf")

    def take(self, rules: Mapping[str, Scaling]) -> None:
        """The groups to scale from now on. One whose rule is the same goes on with what it has seen."""
        self._scalers = {
            name: known if (known := self._scalers.get(name)) and known.rule == rule else Scaler(rule)
            for name, rule in rules.items()
        }

    def turn(self, now_s: float) -> list[Scaled]:
        # The caller's period is the same: a look that comes a moment early is no other.
        if not self._scalers or now_s - self._looked_at_s < LOOK_EVERY_S - _EARLY_S:
            return []
        self._looked_at_s = now_s
        pids = {
            name: self._pids(name) for name, scaler in self._scalers.items() if scaler.rule.cpu is not None
        }
        self._shares.keep({pid for some in pids.values() for pid in some})
        done = []
        for name, scaler in self._scalers.items():
            before = self._fleet.wanted(name)
            load = Load(
                self._sources.backlog(name) if scaler.rule.backlog is not None else None,
                self._shares.of(pids[name], now_s) if name in pids else None,
                self._fleet.is_settled(name),
            )
            decision = scaler.look(now_s, before, load)
            if decision is not None and decision.replicas != before:
                self._fleet.want(name, decision.replicas)
                done.append(Scaled(name, before, decision.replicas, decision.why))
        return done

    def _pids(self, group: str) -> list[int]:
        return [pid for replica in self._fleet.ready(group) if (pid := self._sources.pid(replica))]
