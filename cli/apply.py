"""Changes of the pipeline that runs: the config that is wanted, made whole as for a start, and given to its supervisor.

User code is looked at here, in the command's process: the supervisor never loads a plug-in.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from deltawire.cli import config_source, preflight, resource_names
from deltawire.cli.requests import Supervision
from deltawire.common.config.load import check, dump, load
from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import Config, HandlerProcess, Metrics
from deltawire.common.errors import ConfigError

Note = Callable[[str], object]


def apply(
    supervision: Supervision, wanted: Config, running: Config, *, restart: Sequence[str] = (), note: Note
) -> list[str]:
    """Make the pipeline that runs what ``wanted`` says; a line for each change.

    ``running``: its effective config. ``restart``: handlers whose code has changed. Raises ConfigError, PluginError.
    """
    whole = effective(wanted, running, note=note)
    config = msgspec.json.decode(dump(whole))
    answer: dict[str, Any] = supervision.ask("apply", {"config": config, "restart": list(restart)})
    lines: list[str] = answer["lines"]
    resource_names.remember(Plan(whole))
    return lines


def effective(wanted: Config, running: Config, *, note: Note) -> Config:
    """What the roles would read if the pipeline were started with this config. Raises ConfigError, PluginError."""
    replace = msgspec.structs.replace
    embedded = config_source.EMBEDDED if config_source.EMBEDDED in running.clusters else ""
    if embedded:
        others = {name: cluster for name, cluster in wanted.clusters.items() if name != embedded}
        wanted = replace(wanted, clusters={embedded: running.clusters[embedded], **others})
    wanted = replace(
        wanted,
        resources=list(dict.fromkeys([*running.resources, *wanted.resources])),
        # Where figures are served is often a flag of `up`.
        metrics=running.metrics if wanted.metrics == Metrics() else wanted.metrics,
    )
    found = config_source.effective(
        wanted, lambda config: resource_names.with_resources(config, but=embedded, note=note)
    )
    runtime = replace(found.runtime, run=running.runtime.run, revision=running.runtime.revision)
    found = replace(found, runtime=runtime)
    preflight.require(Plan(found), but=embedded or None)
    return found


def running_config(plan: Plan) -> Config:
    """The effective config of what runs on the plan's state folder. Raises ConfigError where nothing was started."""
    return load(plan.runtime_dir / config_source.EFFECTIVE)


def with_handler(running: Config, handler: HandlerProcess) -> Config:
    """Raises ConfigError for a name that is there already."""
    if any(other.name == handler.name for other in running.handlers):
        raise ConfigError(
            f"there is a handler named {handler.name!r} already",
            hint=f"deltawire handlers restart {handler.name} takes its new code",
        )
    config = msgspec.structs.replace(running, handlers=[*running.handlers, handler])
    check(config)
    return config


def without_handler(running: Config, name: str) -> Config:
    """Its informers stay: others may have come to read their caches. Raises ConfigError for an unknown name."""
    kept = [handler for handler in running.handlers if handler.name != name]
    if len(kept) == len(running.handlers):
        known = ", ".join(handler.name for handler in running.handlers) or "none"
        raise ConfigError(f"no handler named {name!r} (handlers: {known})")
    return msgspec.structs.replace(running, handlers=kept)


def of_file(path: Path | None, store: Path | None) -> Config:
    """The config of ``-c`` or ./deltawire.yaml. Raises ConfigError."""
    return config_source.with_options(config_source.required(path), store=store)
