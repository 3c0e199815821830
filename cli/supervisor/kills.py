"""What a kill did: how long the successor took, and whether anything was lost. Pure but for the comparison."""

from collections.abc import Callable
from dataclasses import dataclass

from deltawire.cli.supervisor.comparison import Settling
from deltawire.cli.supervisor.kill_lines import describe
from deltawire.cli.supervisor.machine import Machine, Phase
from deltawire.cli.supervisor.status_types import KillStatus

# For the successor to be ready and synced, and again for the comparison.
RECOVERY_DEADLINE_S = 60.0
SETTLE_DEADLINE_S = 20.0


@dataclass(slots=True)
class _Kill:
    began_s: float
    restarts_before: int
    ready_at_s: float | None = None
    took_s: float | None = None
    settling: Settling | None = None


class Kills:
    """The latest kill of each process. ``make_settling(deadline_s, is_still)`` makes a comparison."""

    def __init__(self, make_settling: Callable[[float, bool], Settling]) -> None:
        self._make_settling = make_settling
        self._running: dict[str, _Kill] = {}
        self.statuses: dict[str, KillStatus] = {}

    @property
    def are_under_way(self) -> bool:
        """True while the consequences of one are not known."""
        return bool(self._running)

    def begin(self, name: str, now_s: float, restarts: int) -> None:
        """``name`` is about to be killed; it was restarted so often before."""
        self._running[name] = _Kill(now_s, restarts)
        self.statuses[name] = KillStatus(restarts=restarts)

    def turn(self, now_s: float, machine: Machine, is_synced: Callable[[float], bool]) -> list[str]:
        """A line for each kill whose consequences are known now. ``is_synced(since_s)``: by reports since then."""
        lines = []
        for name, kill in list(self._running.items()):
            status = self._follow(name, kill, now_s, machine, is_synced)
            if status is None:
                continue
            del self._running[name]
            self.statuses[name] = status
            lines.append(describe(name, status))
        return lines

    def _follow(
        self, name: str, kill: _Kill, now_s: float, machine: Machine, is_synced: Callable[[float], bool]
    ) -> KillStatus | None:
        restarts = machine.restarts(name)
        if kill.settling is None:
            if restarts > kill.restarts_before and machine.phase(name) is Phase.READY:
                kill.ready_at_s = kill.ready_at_s or now_s
                if is_synced(kill.ready_at_s):
                    kill.took_s = round(kill.ready_at_s - kill.began_s, 3)
                    kill.settling = self._make_settling(now_s + SETTLE_DEADLINE_S, False)
            if now_s - kill.began_s >= RECOVERY_DEADLINE_S:
                return KillStatus(restarts=restarts, error=f"not back after {RECOVERY_DEADLINE_S:.0f} s")
            return None
        if not kill.settling.turn(now_s):
            return None
        if kill.settling.problem:
            return KillStatus(restarts=restarts, took_s=kill.took_s, error=kill.settling.problem)
        return KillStatus(restarts=restarts, took_s=kill.took_s, lost=len(kill.settling.differences))
