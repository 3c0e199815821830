"""What can be known before anything runs: commands of handlers that cannot be started, clusters that cannot be found.

Looks at files only: a cluster that does not answer is no mistake of the config, and is tried again for ever.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from deltawire.cli.clients import client_config
from deltawire.cli.keys import owners_of, problems
from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import HandlerProcess
from deltawire.common.errors import ConfigError
from deltawire.common.wire.keys import KeyFolder

# Of a script's first line, as the kernel reads it.
_FIRST_LINE_BYTES = 256


def require(plan: Plan, *, but: str | None = None) -> None:
    """Raises ConfigError for the first thing that is missing. ``but``: a cluster that makes its kubeconfig itself."""
    if plan.keys_dir is not None and (missing := next(key_problems(plan), "")):
        raise ConfigError(missing, path="network.keys")
    for i, handler in enumerate(plan.config.handlers):
        if handler.command and (problem := command_problem(handler)):
            raise ConfigError(
                problem, path=f"handlers[{i}].command", hint="write its path, or put it on the PATH"
            )
    for cluster in used_clusters(plan):
        if cluster != but:
            client_config(plan, cluster)


def key_problems(plan: Plan) -> Iterator[str]:
    """What keeps the processes that `deltawire up` starts from being let in over TCP."""
    elsewhere = {f"handler/{handler.name}" for handler in plan.config.handlers if handler.replicas == 0}
    owners = [owner for owner in owners_of(plan) if owner != "cli" and owner not in elsewhere]
    yield from problems(KeyFolder(Path(plan.keys_dir or "")), owners)


def used_clusters(plan: Plan) -> Iterator[str]:
    """Those that something is watched of, in the config's order."""
    used = {informer.cluster for informer in plan.informers.values()}
    return (name for name in plan.clusters if name in used)


def command_problem(handler: HandlerProcess) -> str:
    """Why the handler's command cannot be started, "" if it can, as far as files show."""
    name = handler.command[0]
    path = {**os.environ, **handler.env}.get("PATH", os.defpath)
    found = shutil.which(name, path=path)
    if found is not None:
        interpreter = _interpreter_of(Path(found))
        if interpreter and not Path(interpreter).exists():
            return f"handler {handler.name!r}: {name} names {interpreter} in its first line, which does not exist"
        return ""
    if "/" not in name:
        return f"handler {handler.name!r}: there is no command {name!r} on the PATH"
    if not Path(name).exists():
        return f"handler {handler.name!r}: there is no file {name}"
    return f"handler {handler.name!r}: {name} is not an executable file"


def _interpreter_of(file: Path) -> str:
    """What a script's first line names, "" if it is no script."""
    try:
        with file.open("rb") as opened:
            first = opened.read(_FIRST_LINE_BYTES).partition(b"\n")[0]
    except OSError:
        return ""
    words = first.removeprefix(b"#!").split() if first.startswith(b"#!") else []
    return os.fsdecode(words[0]) if words else ""
