"""``deltawire reflector | fifo | informer | handler NAME``: one role, where something else supervises."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deltawire.cli.commands import options

if TYPE_CHECKING:
    from deltawire.common.config.schema import Config

IndexOption = Annotated[
    int, typer.Option("--index", metavar="N", min=0, help="Which of its kind, counted from 0.")
]
ReplicaOption = Annotated[
    int | None,
    typer.Option("--index", metavar="N", min=0, help="Which replica. Default: named after this host."),
]


def reflector(
    index: IndexOption = 0,
    config: options.ConfigOption = None,
    log_level: options.LogLevelOption = "info",
) -> int:
    """Run one reflector: it lists and watches its share of the streams and hands the changes to the broker."""
    from deltawire.reflector.main import main

    return _run(main, config, log_level, "--index", str(index))


def fifo(config: options.ConfigOption = None, log_level: options.LogLevelOption = "info") -> int:
    """Run the broker: a queue for each shard between reflectors and informer workers."""
    from deltawire.fifo.main import main

    return _run(main, config, log_level)


def informer(
    index: IndexOption = 0,
    config: options.ConfigOption = None,
    log_level: options.LogLevelOption = "info",
) -> int:
    """Run one informer worker: it keeps the caches of its shards and delivers their changes to handlers."""
    from deltawire.cli.config_source import required
    from deltawire.cli.lone import prepare_store
    from deltawire.informer.main import main

    prepare_store(required(config), index)
    return _run(main, config, log_level, "--index", str(index))


def handler(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A handler of the config.")],
    index: ReplicaOption = None,
    inline: Annotated[
        bool, typer.Option("--inline", help="Calls in the main thread, one at a time: for breakpoint().")
    ] = False,
    run: Annotated[
        Path | None, typer.Option("--run", metavar="FILE.py", help="With --core: its code, where no config names it.")
    ] = None,
    config: options.ConfigOption = None,
    core: options.CoreOption = None,
    key: options.KeyOption = None,
    log_level: options.LogLevelOption = "info",
) -> int:
    """Run one replica of a handler.

    With --core it needs no config: its code (--run), its key, and the address of the core's control socket.
    """
    from deltawire.cli.far_handler import config_of
    from deltawire.cli.lone import replica_name
    from deltawire.common.errors import ConfigError
    from deltawire.handlers.main import main

    which = ["--replica", replica_name(name)] if index is None else ["--index", str(index)]
    arguments = ["--handler", name, *which, *(["--inline"] if inline else [])]
    if core is None:
        if key is not None or run is not None:
            option = "--run" if key is None else "--key"
            raise ConfigError("this is for a core on another host", path=option, hint="say --core HOST:PORT, too")
        return _run(main, config, log_level, *arguments)
    return _run_whole(main, config_of(name, core, key, run, config), log_level, *arguments)


def _run(main: Callable[[Sequence[str]], int], config: Path | None, log_level: str, *arguments: str) -> int:
    """Run ``main`` as ``python -m deltawire.<role>`` would, with what plug-ins watch filled in."""
    from deltawire.cli.config_source import required

    options.check_log_level(log_level)
    return _run_whole(main, required(config), log_level, *arguments)


def _run_whole(main: Callable[[Sequence[str]], int], config: "Config", log_level: str, *arguments: str) -> int:
    from deltawire.cli.lone import effective_file

    options.check_log_level(log_level)
    with effective_file(config) as file:
        return main(["--config", str(file), "--log-level", log_level, *arguments])
