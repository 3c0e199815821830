"""The lives of our processes: the machine's actions are carried out, and starts, ends and hangs are taken to it.

Not here: what follows from them (``machine``), how a process is started (``processes``).
"""

from collections.abc import Callable

from deltawire.cli.supervisor.hangs import Hang, Hangs
from deltawire.cli.supervisor.launch import API_SERVER
from deltawire.cli.supervisor.machine import Action, Machine, Phase, Signal, Spec, Start
from deltawire.cli.supervisor.processes import Command, Processes
from deltawire.cli.supervisor.run_types import Embedded, View
from deltawire.cli.supervisor.words import last_words

# How often it is looked at what the processes said of their main loops.
HANGS_EVERY_S = 0.5


class Lives:
    """``specs``: the processes that there are to be, by name. ``hang_after_s``: as the config says at any time.

    ``embedded``: the reflectors wait for its kubeconfig.
    """

    def __init__(
        self,
        machine: Machine,
        processes: Processes,
        pipeline: list[tuple[Spec, Command]],
        view: View,
        hang_after_s: Callable[[], float],
        embedded: Embedded | None,
    ) -> None:
        self.specs = {spec.name: spec for spec, _ in pipeline}
        self.is_server_awaited = embedded is not None
        self._machine = machine
        self._processes = processes
        self._view = view
        self._hang_after_s = hang_after_s
        self._hangs = Hangs()
        self._embedded = embedded
        for spec, command in pipeline:
            processes.add(spec.name, command)
            if processes.pid(spec.name):
                machine.adopt(spec.name)

    def add(self, spec: Spec, command: Command) -> None:
        """One more process, to be started when the machine says so."""
        self.specs[spec.name] = spec
        self._processes.add(spec.name, command)
        self._machine.add(spec)

    def forget(self, name: str) -> None:
        del self.specs[name]
        self._machine.forget(name)

    def is_present(self, name: str, pid: int) -> bool:
        """True if ``pid`` is the present life of the process."""
        return name in self._machine and self._processes.pid(name) == pid

    def do(self, actions: list[Action], now_s: float) -> None:
        for action in actions:
            match action:
                case Start(name):
                    self._processes.start(name)
                    self._watch(name, now_s)
                    # It has no control connection; it listened before, so its address is known.
                    if name == API_SERVER and not self.is_server_awaited:
                        self._machine.on_ready(name, now_s)
                case Signal(name, number):
                    self._processes.signal(name, number)

    def await_server(self, now_s: float) -> None:
        """Let the reflectors start once the embedded API server is there."""
        if self.is_server_awaited and self._embedded is not None and self._embedded.kubeconfig.exists():
            self.is_server_awaited = False
            self._machine.on_ready(API_SERVER, now_s)
            self._machine.release("reflector")

    def on_exit(self, name: str, code: int, now_s: float) -> str:
        """The process has ended; its last words."""
        self._hangs.forget(name)
        was_given_up = self._machine.phase(name) is Phase.GAVE_UP
        is_renewed = self._machine.is_renewed(name)
        self.do(self._machine.on_exit(name, code, now_s), now_s)
        words = last_words(self._processes.last_words(name))
        if self._machine.phase(name) is Phase.GAVE_UP and not was_given_up:
            self._view.note(f"{self._machine.reason}: {words}")
        elif self._machine.phase(name) is Phase.WAITING and not is_renewed:
            self._view.note(f"{name} ended ({self._machine.last_end(name)}) and is started again")
        return words

    def find_hangs(self, now_s: float) -> None:
        """Call it each `HANGS_EVERY_S`."""
        for name, line in self._processes.take_beats():
            self._hangs.heard(name, line, now_s)
        for hang in self._hangs.look(now_s):
            self._replace(hang, now_s)

    def _watch(self, name: str, now_s: float) -> None:
        # The embedded API server says nothing of its loop: it is another program.
        limit_s = self._hang_after_s() if self.specs[name].role != API_SERVER else 0.0
        self._hangs.started(name, now_s, hang_after_s=limit_s or None)

    def _replace(self, hang: Hang, now_s: float) -> None:
        what = hang.describe(self._processes.state(hang.name))
        actions = self._machine.on_hung(hang.name, f"hung: {what}")
        if actions:
            self._view.note(f"{hang.name} hangs and is killed: {what}")
            self.do(actions, now_s)
