"""Carries out a schedule on a run's processes, one action after the other, and notes each."""

import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from deltawire.cli.chaos import processes
from deltawire.cli.chaos.action_log import ActionLog
from deltawire.cli.chaos.actions import Action, Kind
from deltawire.cli.chaos.acts import Acts
from deltawire.cli.chaos.later import until_it_succeeds
from deltawire.cli.chaos.pipeline import Pipeline
from deltawire.cli.chaos.schedule import FAULT_S, fault_query
from deltawire.cli.chaos.server import Server
from deltawire.cli.chaos.shape import Shape, changed
from deltawire.cli.chaos.victims import Victims
from deltawire.common.clock import Clock
from deltawire.common.errors import DeltawireError

# What a killed supervisor left must have ended by itself after this: a drain's deadline and some.
ORPHANS_S = 30.0
# Unexpected ends of processes at which the run is broken off.
ENDS_MAX = 5
# What a restart changes that can be changed while it runs, too: every second time it is.
LIVE_CHANGES = frozenset({"indexes", "add-group", "remove-group", "rename-group", "replicas"})


class Driver(Acts):
    """Owns what happens to server and pipeline; both were started before."""

    def __init__(self, server: Server, pipeline: Pipeline, log: ActionLog, clock: Clock) -> None:
        super().__init__(server, log, clock)
        self._pipeline = pipeline
        self._orphaned: dict[int, float] = {}
        self._orphans_may_be_until = 0.0
        self._victims = Victims(pipeline, clock, self.look_after, self._complain)
        self._acts: dict[Kind, Callable[[Action], None]] = {
            Kind.KILL: self._kill,
            Kind.STOP: self._stop,
            Kind.KILL_ALL: self._kill_all,
            Kind.RESTART: self._restart,
            Kind.HANDLER_RESTART: self._handler_restart,
            Kind.SERVER_KILL: self._server_restart,
            Kind.SERVER_RESTART: self._server_restart,
            Kind.SERVER_STOP: self._server_stop,
            Kind.COMPACT: self._admin,
            Kind.COMPACT_BEHIND: self._compact_behind,
            Kind.CUT: self._admin,
            Kind.FAULT: self._fault,
            Kind.FORBID: self._forbid,
        }

    def run(self, actions: Sequence[Action], *, until_s: float) -> None:
        """All actions in turn, and the time until ``until_s`` after now."""
        began = self._clock.now_s()
        for action in actions:
            self._wait(began + action.at_s)
            self._acts[action.kind](action)
            self.done[action.kind] = self.done.get(action.kind, 0) + 1
        self._wait(began + until_s)

    def finish(self) -> None:
        """Take back all that still lies still or is forbidden. Raises DeltawireError where that does not succeed."""
        self._later.finish()
        until_it_succeeds(self._clock, "clear the faults", self._clear_faults)

    def leave_nothing(self) -> None:
        """End what still lives of the pipeline after it was ended; that is a complaint, too."""
        for pid, name in self._pipeline.orphans().items():
            self._end_orphan(pid, name, 0)

    def look_after(self) -> None:
        """Start again what has ended by itself, note orphans, do what is due."""
        self._later.do()
        now = self._clock.now_s()
        if now < self._orphans_may_be_until:
            self._look_for_orphans(now)
        code = self._pipeline.take_end()
        if code is not None:
            self._ended(code)

    def _look_for_orphans(self, now: float) -> None:
        """What a killed supervisor left must end by itself."""
        left = self._pipeline.orphans()
        self._orphaned = {pid: self._orphaned.get(pid, now) for pid in left}
        for pid, since in self._orphaned.items():
            if now > since + ORPHANS_S:
                self._end_orphan(pid, left[pid], now - since)

    def _end_orphan(self, pid: int, name: str, after_s: float) -> None:
        self._complain("orphans", f"{name} ({pid}) outlived its supervisor by {after_s:.0f} s")
        processes.send(pid, signal.SIGKILL)

    def _ended(self, code: int) -> None:
        words = self._pipeline.last_words()
        self._log.add("up-ended", text=f"`up` ended by itself, exit code {code}", code=code, words=words)
        # Also right after a killed supervisor: the next one ends what that left, and is not refused.
        self._complain("ended", f"`up` ended by itself with exit code {code}: {words}")
        if sum(rule == "ended" for rule, _ in self.complaints) > ENDS_MAX:
            raise DeltawireError(f"`up` ended by itself {ENDS_MAX + 1} times, at last with: {words}")
        self._clock.sleep(0.5)
        self._up()

    def _complain(self, rule: str, text: str) -> None:
        self.complaints.append((rule, text))

    def _up(self) -> None:
        self._victims.forget()
        self._pipeline.up()

    def _kill(self, action: Action) -> None:
        name, pid = self._victims.one(action)
        if name == "supervisor":
            self._log.add(Kind.KILL, text=f"kill supervisor ({pid})", name=name, pid=pid)
            self._pipeline.kill_supervisor()
            # One that was being forked shows what it is only later.
            self._orphans_may_be_until = self._clock.now_s() + 2 * ORPHANS_S
            self._up()
        elif processes.send(pid, signal.SIGKILL) if pid else False:
            self._victims.hit(name)
            kind = "command of " if action.target == "command" else ""
            self._log.add(
                Kind.KILL, text=f"kill {kind}{name} ({pid})", name=name, pid=pid, target=action.target
            )

    def _stop(self, action: Action) -> None:
        name, pid = self._victims.one(action)
        if self._stop_process(action, name, pid):
            self._victims.hit(name)

    def _kill_all(self, action: Action) -> None:
        entry = self._log.add(Kind.KILL_ALL, text=f"kill everything, for {action.amount} s")
        self._pipeline.kill_all()
        self._orphans_may_be_until = self._clock.now_s() + 2 * ORPHANS_S
        self._wait(self._clock.now_s() + action.amount)
        self._up()
        self._log.end(entry)

    def _restart(self, action: Action) -> None:
        shape = changed(self._pipeline.shape, action.target, action.pick)
        entry = self._log.add(
            Kind.RESTART, text=f"restart with another config: {action.target}", change=action.target
        )
        self._victims.wait_for("fifo")  # the supervisor's signals are in its own hands by then
        if action.target in LIVE_CHANGES and action.pick % 2 == 0 and self._applied(shape):
            self._log.end(entry)
            return
        code = self._pipeline.drain(self._later.do)
        # 4: a process that lies still cannot drain, and is killed.
        if code not in (0, 4):
            self._complain("drain", f"a drain ended with exit code {code}: {self._pipeline.last_words()}")
        self.use(shape)
        self._up()
        self._log.end(entry)

    def _handler_restart(self, action: Action) -> None:
        name = self._victims.one(action)[0].rpartition("-")[0]
        entry = self._log.add(Kind.HANDLER_RESTART, text=f"restart handler {name}", name=name)
        # Something else may have been killed or stopped just then: not taken, it is only not done.
        if name and self._pipeline.restart_handler(name, self._later.do):
            self.done["handlers restarted"] = self.done.get("handlers restarted", 0) + 1
        self._log.end(entry)

    def _applied(self, shape: Shape) -> bool:
        """While it runs. False where that did not succeed: something else may have been killed or stopped just then."""
        before = self._pipeline.shape
        self.use(shape)
        if self._pipeline.apply(self._later.do):
            self.done["apply"] = self.done.get("apply", 0) + 1
            return True
        # What the log says of it is said again.
        self.use(before)
        return False

    def use(self, shape: Shape) -> None:
        """Write the config of a shape, for the next start; the judges learn of its groups and its scope."""
        before = self._pipeline.shape
        self._pipeline.write_config(shape)
        first = not self._log.of("shape")
        self._log.add("shape", text="", groups={g.name: g.delivery for g in shape.groups})
        if first or (before.namespaces, before.selector) != (shape.namespaces, shape.selector):
            self._log.add("scope", text="", namespaces=shape.namespaces, selector=shape.selector)

    def _server_restart(self, action: Action) -> None:
        entry = self._log.add(action.kind, text=f"{action.kind}, away for {action.amount} s")
        if action.kind is Kind.SERVER_KILL:
            self._server.kill()
        else:
            self._server.stop()
        self._wait(self._clock.now_s() + action.amount)
        self._server.start()
        self._log.end(entry)

    def _admin(self, action: Action) -> None:
        self._log.add(action.kind)
        self._ask(action.kind)

    def _ask(self, name: str, query: Mapping[str, Any] | None = None) -> None:
        until_it_succeeds(self._clock, name, lambda: self._server.admin("POST", name, query))

    def _compact_behind(self, action: Action) -> None:
        """Reflectors are gone while the watches end, things change, and the history is lost: a 410 for each stream."""
        victims = self._victims.all("reflector")
        entry = self._log.add(action.kind)
        for name, pid in victims:
            self._victims.hit(name)
            processes.send(pid, signal.SIGKILL)
        self._clock.sleep(0.1)
        self._ask("compact")
        self._log.end(entry)

    def _fault(self, action: Action) -> None:
        entry = self._log.add(action.kind, text=str(action), fault=action.target)
        self._ask("faults", fault_query(action))
        if action.target not in ("latency", "no-bookmarks"):
            self._ask("cut")  # a fault of watches is met when one is opened

        def clear() -> bool:
            is_cleared = self._clear_faults()
            if is_cleared:
                self._log.end(entry)
            return is_cleared

        self._later.add(FAULT_S, "clear the faults", clear)

    def _clear_faults(self) -> bool:
        return self._server.admin("DELETE", "faults")

    def _forbid(self, action: Action) -> None:
        entry = self._log.add(action.kind, text=f"no rights for {action.amount} s")
        until_it_succeeds(self._clock, "take the rights away", self._server.forbid)

        def grant() -> bool:
            is_given = self._server.grant()
            if is_given:
                self._log.end(entry)
            return is_given

        self._later.add(action.amount, "give the rights back", grant)
