"""``deltawire handlers``: the groups of the pipeline that runs."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from deltawire.cli.commands import options

if TYPE_CHECKING:
    from deltawire.cli.requests import Supervision
    from deltawire.common.config.schema import Config

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A handler as `handlers list` names it.")]

app = typer.Typer(help="The handlers of the pipeline that runs.", no_args_is_help=True)


@app.callback()
def _root() -> None:
    """The handlers of the pipeline that runs."""


def list_(
    config: options.ConfigOption = None,
    store: options.StoreOption = None,
    core: options.CoreOption = None,
    key: options.KeyOption = None,
) -> int:
    """List the handlers with what each watches and how far it is."""
    import msgspec

    from deltawire.cli.core import plan_of
    from deltawire.cli.output.table import align
    from deltawire.cli.requests import Supervision
    from deltawire.cli.supervisor.status_types import Snapshot
    from deltawire.cli.view.text import known

    plan = plan_of(config, store, core, key)
    with Supervision(plan) as supervision:
        snapshot = msgspec.convert(supervision.ask("status"), Snapshot)
    rows = [["NAME", "WATCHES", "REPLICAS", "SYNCED", "ACKNOWLEDGED", "PENDING", "DEAD", "RUNS"]]
    for name, group in snapshot.groups.items():
        handler = plan.handlers.get(name)
        rows.append(
            [
                name,
                ",".join(handler.informers) if handler else "-",
                group.replicas_text,
                "off" if group.off else "yes" if group.synced else "no",
                str(group.acknowledged),
                known(group.pending),
                known(group.dead),
                (handler.options.run or " ".join(handler.options.command)) if handler else "-",
            ]
        )
    sys.stdout.write("\n".join(align(rows)) + "\n")
    return 0


def installed() -> int:
    """List the handlers that installed packages bring along (entry points `deltawire.handlers`)."""
    from deltawire.cli.output.table import align
    from deltawire.handlers import installed as packages

    rows = [["NAME", "MODULE"], *([name, module] for name, module in sorted(packages.installed().items()))]
    if len(rows) == 1:
        sys.stderr.write("No installed package has handlers (entry points `deltawire.handlers`).\n")
        return 0
    sys.stdout.write("\n".join(align(rows)) + "\n")
    return 0


def add(
    files: Annotated[list[Path], typer.Argument(metavar="FILE.py", help="Plug-in files.")],
    replicas: Annotated[int, typer.Option("--replicas", min=0, max=64, help="Of each handler.")] = 1,
    config: options.ConfigOption = None,
    store: options.StoreOption = None,
) -> int:
    """Run the handlers of plug-in files beside those that run, until `up` ends; the config file is yours to change."""
    import msgspec

    from deltawire.cli import apply as changes
    from deltawire.cli.config_source import of_plugins

    found = of_plugins(files)

    def wanted(running: "Config") -> "Config":
        for handler in found.handlers:
            running = changes.with_handler(running, msgspec.structs.replace(handler, replicas=replicas))
        return running

    return _apply(wanted, config, store)


def remove(
    name: NameArgument, config: options.ConfigOption = None, store: options.StoreOption = None
) -> int:
    """Let a handler finish what it is in, and run it no more. How far it was is kept for `store.forget_after`."""
    from deltawire.cli import apply as changes

    return _apply(lambda running: changes.without_handler(running, name), config, store)


def restart(
    name: NameArgument, config: options.ConfigOption = None, store: options.StoreOption = None
) -> int:
    """Replace each replica by a new one with the file's present code: first the new one, then the old one leaves.

    A file that cannot be loaded, or a replica that ends before it is ready, leaves the old ones as they are.
    """
    from deltawire.cli.plugins import describe, target_of

    def look(supervision: "Supervision", running: "Config") -> Any:
        describe([target_of(h) for h in running.handlers if h.name == name and h.run])
        return supervision.ask("restart", {"name": name})

    return _ask(look, config, store)


def scale(
    name: NameArgument,
    replicas: Annotated[int, typer.Argument(metavar="N", min=0, max=64, help="Replicas from now on.")],
    config: options.ConfigOption = None,
    store: options.StoreOption = None,
) -> int:
    """Run so many replicas of a handler."""
    return _ask(lambda s, _: s.ask("scale", {"name": name, "replicas": replicas}), config, store)


def pause(name: NameArgument, config: options.ConfigOption = None, store: options.StoreOption = None) -> int:
    """Let all replicas of a handler leave. What it has to see waits in the caches, and other handlers go on."""
    return _ask(lambda s, _: s.ask("pause", {"name": name}), config, store)


def resume(name: NameArgument, config: options.ConfigOption = None, store: options.StoreOption = None) -> int:
    """Bring a paused handler back, with as many replicas as it had."""
    return _ask(lambda s, _: s.ask("resume", {"name": name}), config, store)


def _apply(
    wanted: "Callable[[Config], Config]", config: options.ConfigOption, store: options.StoreOption
) -> int:
    from deltawire.cli import apply as changes

    def apply(supervision: "Supervision", running: "Config") -> Any:
        lines = changes.apply(supervision, wanted(running), running, note=_note)
        return {"lines": lines}

    return _ask(apply, config, store)


def _ask(
    ask: "Callable[[Supervision, Config], Any]", config: options.ConfigOption, store: options.StoreOption
) -> int:
    from deltawire.cli.apply import running_config
    from deltawire.cli.config_source import plan_of
    from deltawire.cli.requests import Supervision

    plan = plan_of(config, store)
    with Supervision(plan) as supervision:
        answer = ask(supervision, running_config(plan))
    sys.stdout.write("\n".join(answer["lines"]) + "\n")
    return 0


def _note(text: str) -> None:
    sys.stderr.write(f"deltawire: {text}\n")
