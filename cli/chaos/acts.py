"""What drivers of chaos runs do alike: waiting, and what lies still for a while."""

import signal
from abc import ABC, abstractmethod

from deltawire.cli.chaos import processes
from deltawire.cli.chaos.action_log import ActionLog
from deltawire.cli.chaos.actions import Action, Kind
from deltawire.cli.chaos.later import Later
from deltawire.cli.chaos.server import Server
from deltawire.common.clock import Clock

LOOK_S = 0.05


class Acts(ABC):
    """``complaints``: rule and text; ``done``: how often, by kind of action."""

    def __init__(self, server: Server, log: ActionLog, clock: Clock) -> None:
        self._server, self._log, self._clock = server, log, clock
        self._later = Later(clock)
        self._stops: dict[int, int] = {}
        self.complaints: list[tuple[str, str]] = []
        self.done: dict[str, int] = {}

    @abstractmethod
    def look_after(self) -> None:
        """Do what is due, and see to what has ended by itself."""

    def _wait(self, until_s: float) -> None:
        while True:
            self.look_after()
            left_s = until_s - self._clock.now_s()
            if left_s <= 0:
                return
            self._clock.sleep(min(left_s, LOOK_S))

    def _stop_process(self, action: Action, name: str, pid: int) -> bool:
        """SIGSTOP for as long as the action says. False where there is no such process."""
        if not pid or not processes.send(pid, signal.SIGSTOP):
            return False
        entry = self._log.add(
            Kind.STOP, text=f"stop {action.target} {name} ({pid}) for {action.amount} s",
            name="command" if action.target == "command" else name, victim=name, pid=pid,
        )  # fmt: skip
        entry["until"] += action.amount  # `end` says when it really was
        self._stops[pid] = self._stops.get(pid, 0) + 1

        def go_on() -> bool:
            self._stops[pid] -= 1
            if not self._stops[pid]:
                # Of several stops of one process the last to be over wakes it: each is as long as it says.
                processes.send(pid, signal.SIGCONT)
            self._log.end(entry)
            return True

        self._later.add(action.amount, f"wake {name}", go_on)
        return True

    def _server_stop(self, action: Action) -> None:
        entry = self._log.add(action.kind, text=f"the API server lies still for {action.amount} s")
        self._server.signal(signal.SIGSTOP)
        self._wait(self._clock.now_s() + action.amount)
        self._server.signal(signal.SIGCONT)
        self._log.end(entry)
