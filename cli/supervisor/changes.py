"""Changes of a pipeline that runs: handlers come, go, are scaled and restarted; informers come and go.

A new config is written first, then each process is started that needs it: what did not change goes on. Informers belong
to broker, workers and reflectors alike, so those are started again, as after a kill: nothing is lost, nothing is listed
that was listed before.

Not here: what differs (`differences`), in which order replicas come and leave (`fleet`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from deltawire.cli import runtime_folder
from deltawire.cli.namespaces import default_namespaces
from deltawire.cli.supervisor.autoscaler import Autoscaler, Sources
from deltawire.cli.supervisor.differences import Differences, differences
from deltawire.cli.supervisor.fleet import Fleet, Grow, Kept, Shrink
from deltawire.cli.supervisor.launch import Launch
from deltawire.cli.supervisor.machine import Action, Machine, Phase, Spec
from deltawire.cli.supervisor.processes import Command, Processes
from deltawire.cli.supervisor.shape import Shape, shape_of
from deltawire.common.config.load import dump, parse
from deltawire.common.config.plan import HandlerPlan, Plan
from deltawire.common.config.schema import Scaling
from deltawire.common.errors import ConfigError, DeltawireError
from deltawire.handlers.core import DESCRIBE, describe

REPLICAS_MAX = 64
FLOW = frozenset({"fifo", "informer", "reflector"})
VERBS = frozenset({DESCRIBE, "apply", "scale", "restart", "pause", "resume"})


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the supervisor does for us."""

    add: Callable[[Spec, Command], None]
    forget: Callable[[str], None]
    reshape: Callable[[Shape], None]
    note: Callable[[str], None]
    load: Sources


class Changes:
    """``launch`` None: a pipeline that cannot be changed. `answer` and `turn` belong to the supervisor's thread."""

    def __init__(
        self, plan: Plan, launch: Launch | None, machine: Machine, processes: Processes, hooks: Hooks
    ) -> None:
        self.plan = plan
        self._launch = launch
        self._machine = machine
        self._processes = processes
        self._hooks = hooks
        self._fleet = Fleet({name: h.replicas for name, h in plan.handlers.items()})
        self._autoscaler = Autoscaler(self._fleet, hooks.load)
        self._autoscaler.take(_rules(plan))
        # The roles between API server and handlers that are still to come back with the new config.
        self._renewing: set[str] = set()
        # Paused handlers, with the replicas that they had.
        self._paused: dict[str, int | Scaling] = {}
        # What to go back to if the first new replica fails.
        self._before: dict[str, Any] = {}

    def answer(self, verb: str, arguments: Mapping[str, Any], now_s: float) -> tuple[dict[str, Any], list[Action]]:
        """The answer to a command, and what is to be done at once. Raises ConfigError to refuse."""
        if verb == DESCRIBE:
            return describe(self.plan, default_namespaces(self.plan)), []
        if self._launch is None or self._machine.is_draining:
            raise ConfigError("the pipeline is ending: nothing of it is changed any more")
        if verb == "apply":
            return self._apply(arguments, now_s)
        name = str(arguments.get("name", ""))
        if name not in self.plan.handlers:
            known = ", ".join(self.plan.handlers) or "none"
            raise ConfigError(f"no handler named {name!r} (handlers: {known})")
        if verb == "restart":
            self._fleet.renew(name)
            self._write(self.plan)
            return self._said([f"{name} is restarted, one replica after another"]), []
        if verb == "pause":
            if name in self._paused:
                raise ConfigError(f"{name} is paused already", hint=f"deltawire handlers resume {name}")
            self._paused[name] = self.plan.handlers[name].options.replicas
            return self._scale(name, 0), []
        if verb == "resume":
            if name not in self._paused:
                raise ConfigError(f"{name} is not paused", hint=f"deltawire handlers scale {name} N")
            return self._scale(name, self._paused.pop(name)), []
        answer = self._scale(name, arguments.get("replicas"))
        self._paused.pop(name, None)
        return answer, []

    def scale(self, now_s: float) -> None:
        """Decide by the load how many replicas there are to be. Call it each `autoscaler.LOOK_EVERY_S`."""
        if not self._is_open():
            return
        for scaled in self._autoscaler.turn(now_s):
            self._hooks.note(f"{scaled.group}: {scaled.before} → {_replicas(scaled.replicas)} ({scaled.why})")
            self._hooks.reshape(self._shape())

    def turn(self, now_s: float) -> list[Action]:
        """What follows for replicas from what has happened since the last turn."""
        if self._launch is None or not self._is_open():
            return []
        actions: list[Action] = []
        for step in self._fleet.turn():
            match step:
                case Grow(group, _, index):
                    spec, command = self._launch.replica(self.plan, group, index)
                    self._hooks.add(spec, command)
                case Shrink(_, name):
                    actions += self._machine.retire(name, now_s)
                    if self._machine.phase(name) is Phase.ENDED:
                        self._forget(name)
        return actions

    def _is_open(self) -> bool:
        """False while nothing of the pipeline is to be changed, or all is being started again."""
        if self._renewing:
            self._renewing = {name for name in self._renewing if self._machine.phase(name) is not Phase.READY}
        return not (self._launch is None or self._machine.is_draining or self._renewing)

    def on_ready(self, name: str) -> None:
        self._fleet.on_ready(name)

    def on_exit(self, name: str, words: str) -> None:
        """A replica has ended, and the machine knows it. ``words``: its last ones."""
        kept = self._fleet.on_exit(name)
        if kept is not None:
            self._go_back(kept, words)
        if name in self._machine and self._machine.phase(name) is Phase.ENDED and not self._machine.is_draining:
            self._forget(name)

    def _forget(self, name: str) -> None:
        self._fleet.on_exit(name)
        self._hooks.forget(name)

    def _go_back(self, kept: Kept, words: str) -> None:
        self._hooks.note(f"the new {kept.group} ended before it was ready, the one before goes on: {words}")
        options = self._before.get(kept.group)
        if options is not None:
            handlers = [options if h.name == kept.group else h for h in self.plan.config.handlers]
            self._take(Plan(msgspec.structs.replace(self.plan.config, handlers=handlers)))

    def _scale(self, name: str, replicas: Any) -> dict[str, Any]:
        """A number, or the range that a paused handler had."""
        is_number = isinstance(replicas, int) and 0 <= replicas <= REPLICAS_MAX
        if not is_number and not isinstance(replicas, Scaling):
            raise ConfigError(f"replicas is a number from 0 to {REPLICAS_MAX}, not {replicas!r}")
        before = self._fleet.wanted(name)
        handlers = [
            msgspec.structs.replace(h, replicas=replicas) if h.name == name else h
            for h in self.plan.config.handlers
        ]
        plan = Plan(msgspec.structs.replace(self.plan.config, handlers=handlers))
        self._fleet.want(name, plan.handlers[name].replicas)
        self._take(plan)
        return self._said([f"{name}: {before} → {_replicas(plan.handlers[name].replicas)}"])

    def _apply(self, arguments: Mapping[str, Any], now_s: float) -> tuple[dict[str, Any], list[Action]]:
        try:
            wanted = Plan(parse(arguments.get("config")))
        except DeltawireError as error:
            raise ConfigError(f"the config is refused: {error.message}", hint=error.hint) from None
        now = self.plan.config.runtime
        if wanted.config.runtime.revision != now.revision or wanted.run != now.run:
            raise ConfigError("the pipeline was changed meanwhile", hint="try again")
        found = differences(self.plan, wanted)
        if found.fixed:
            raise ConfigError(
                f"{', '.join(found.fixed)} cannot be changed while the pipeline runs",
                hint="end it and start it again: nothing is lost",
            )
        restarts = [str(n) for n in arguments.get("restart") or () if n in wanted.handlers and n not in found.added]
        self._before = {name: handler.options for name, handler in self.plan.handlers.items()}
        for name in found.removed:
            self._fleet.remove(name)
        for name in [*found.removed, *found.scaled]:
            self._paused.pop(name, None)
        for name in [*found.added, *found.scaled]:
            self._fleet.want(name, self._begin(wanted.handlers[name]))
        self._take(wanted)
        renewed = list(dict.fromkeys([*found.changed, *restarts]))
        for name in renewed:
            self._fleet.renew(name)
        actions: list[Action] = []
        if found.is_flow:
            for spec in self._machine.specs:
                if spec.role in FLOW:
                    actions += self._machine.renew(spec.name, now_s)
                    self._renewing.add(spec.name)
        return self._said(_lines(found, renewed, wanted)), actions

    def _take(self, plan: Plan) -> None:
        """From now on this is the config: on disk for processes that start, and for all figures."""
        self._write(plan)
        self._autoscaler.take(_rules(plan))
        self._hooks.reshape(self._shape())

    def _begin(self, handler: HandlerPlan) -> int:
        """How many it has from now on: where a range says so, as many as there are, if the range has room for them."""
        rule = handler.scaling
        now = self._fleet.wanted(handler.name) if handler.name in self.plan.handlers else 0
        return handler.replicas if rule is None else min(max(now, rule.min), rule.max)

    def _shape(self) -> Shape:
        return shape_of(self.plan, {name: self._fleet.wanted(name) for name in self.plan.handlers})

    def _write(self, plan: Plan) -> None:
        config = plan.config
        runtime = msgspec.structs.replace(config.runtime, revision=config.runtime.revision + 1)
        self.plan = Plan(msgspec.structs.replace(config, runtime=runtime))
        if self._launch is not None:
            runtime_folder.write(self._launch.config, dump(self.plan.config))

    def _said(self, lines: list[str]) -> dict[str, Any]:
        for line in lines:
            self._hooks.note(line)
        return {"revision": self.plan.config.runtime.revision, "lines": lines}


def _rules(plan: Plan) -> dict[str, Scaling]:
    return {name: handler.scaling for name, handler in plan.handlers.items() if handler.scaling is not None}


def _replicas(number: int) -> str:
    return "1 replica" if number == 1 else f"{number} replicas"


def _lines(found: Differences, renewed: list[str], wanted: Plan) -> list[str]:
    lines = [f"informer {n}: {'added or changed' if n in wanted.informers else 'removed'}" for n in found.informers]
    lines += [f"{name}: added, {_replicas(wanted.handlers[name].replicas)}" for name in found.added]
    lines += [f"{name}: removed" for name in found.removed]
    lines += [f"{name}: {_replicas(wanted.handlers[name].replicas)}" for name in found.scaled]
    return [*lines, *(f"{name}: restarted, one replica after another" for name in renewed)] or ["nothing to change"]
