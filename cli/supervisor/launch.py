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


def pipeline(
    plan: Plan, config: Path, *, log_level: str, server: Command | None
) -> list[tuple[Spec, Command]]:
    """The processes of a plan. With an embedded API server reflectors wait until it listens."""
    found: list[tuple[Spec, Command]] = []

    def add(
        name: str, role: str, index: int, *, handler: str = "", env: Mapping[str, str] | None = None
    ) -> None:
        # Without one handler the others go on.
        essential = role != HANDLERS
        is_held = server is not None and role == "reflector"
        argv = role_command(role, config, index, run=plan.run, handler=handler, log_level=log_level)
        spec = Spec(name, role, _STAGES[role], essential=essential, is_held=is_held)
        found.append((spec, Command(argv, env or {}, is_user_code=role == HANDLERS)))

    if server is not None:
        found.append((Spec(API_SERVER, API_SERVER, _STAGES[API_SERVER]), server))
    add("fifo", "fifo", 0)
    for i in range(plan.config.runtime.workers):
        add(f"worker-{i}", "informer", i)
    for i in range(plan.config.runtime.reflectors):
        add(f"reflector-{i}", "reflector", i)
    for name, handler in plan.handlers.items():
        for i in range(handler.options.replicas):
            add(f"{name}-{i}", HANDLERS, i, handler=name, env=handler.options.env)
    return found
