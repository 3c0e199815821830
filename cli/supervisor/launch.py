"""Which processes a plan needs, and the command of each."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deltawire.cli.supervisor.machine import Spec
from deltawire.cli.supervisor.processes import Command
from deltawire.common import parent
from deltawire.common.config.plan import Plan

API_SERVER = "apiserver"
HANDLERS = "handlers"
# Stages of a drain (see `machine`): the direction of the data.
_STAGES = {"reflector": 0, HANDLERS: 1, "informer": 2, "fifo": 2, API_SERVER: 3}


def role_command(
    role: str, config: Path, index: int, *, run: str, handler: str = "", log_level: str
) -> list[str]:
    """The command line of one role under this supervisor. ``cli.orphans`` reads it in the process table."""
    argv = [sys.executable, "-m", f"deltawire.{role}", *_marks(config, run), "--index", str(index)]
    if handler:
        argv += ["--handler", handler]
    return [*argv, "--log-level", log_level]


def server_command(config: Path, run: str, arguments: Sequence[str]) -> Command:
    """The embedded API server. It can be started before anything else is known; ``config`` need not be there yet."""
    child = [sys.executable, "-m", "deltawire.cli.supervisor.child", *_marks(config, run)]
    return Command([*child, "deltawire.apiserver", *arguments])


def _marks(config: Path, run: str) -> list[str]:
    return ["--config", str(config), "--run", run, "--parent", parent.this_process()]


class Launch:
    """The processes of a plan, and how each is started. Reflectors wait until an embedded API server listens."""

    def __init__(self, config: Path, run: str, *, log_level: str, server: Command | None) -> None:
        self.config = config
        self._run = run
        self._log_level = log_level
        self._server = server

    def pipeline(self, plan: Plan) -> list[tuple[Spec, Command]]:
        found: list[tuple[Spec, Command]] = []
        if self._server is not None:
            found.append((Spec(API_SERVER, API_SERVER, _STAGES[API_SERVER]), self._server))
        found.append(self._role("fifo", "fifo", 0))
        found += [self._role(f"worker-{i}", "informer", i) for i in range(plan.config.runtime.workers)]
        found += [self._role(f"reflector-{i}", "reflector", i) for i in range(plan.config.runtime.reflectors)]
        for name, handler in plan.handlers.items():
            found += [self.replica(plan, name, i) for i in range(handler.replicas)]
        return found

    def replica(self, plan: Plan, handler: str, index: int) -> tuple[Spec, Command]:
        """One replica of a handler of the plan."""
        env = plan.handlers[handler].options.env
        return self._role(f"{handler}-{index}", HANDLERS, index, handler=handler, env=env)

    def _role(
        self, name: str, role: str, index: int, *, handler: str = "", env: Mapping[str, str] | None = None
    ) -> tuple[Spec, Command]:
        # Without one handler the others go on.
        essential = role != HANDLERS
        is_held = self._server is not None and role == "reflector"
        argv = role_command(
            role, self.config, index, run=self._run, handler=handler, log_level=self._log_level
        )
        spec = Spec(name, role, _STAGES[role], essential=essential, is_held=is_held)
        return spec, Command(argv, env or {}, is_user_code=role == HANDLERS)
