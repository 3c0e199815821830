"""``deltawire dead-letters``: events that a handler has given up."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from deltawire.cli.commands import options

# Which pipeline: --config, --store, --core, --key.
Place = tuple[Path | None, Path | None, str | None, Path | None]

app = typer.Typer(help="Events that a handler gave up.", no_args_is_help=True)

HandlerArgument = Annotated[
    str | None, typer.Argument(metavar="HANDLER", help="The handler's name; without it say --all.")
]
TargetArgument = Annotated[
    str | None, typer.Argument(metavar="TYPE/NAME", help="Only this object's; default: all.")
]
AllOption = Annotated[bool, typer.Option("--all", help="Those of all handlers.")]
WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="FIELD=TEXT",
        help="Only those: error=PART, namespace=GLOB, name=GLOB, kind=add|update|delete. May be repeated.",
    ),
]


@app.callback()
def _root() -> None:
    """Events that a handler gave up: after too many attempts, or because it said so."""


def list_(
    handler: Annotated[str | None, typer.Argument(metavar="HANDLER", help="Only this handler's.")] = None,
    where: WhereOption = None,
    config: options.ConfigOption = None,
    store: options.StoreOption = None,
    core: options.CoreOption = None,
    key: options.KeyOption = None,
) -> int:
    """List the dead letters of all handlers, or of one."""
    from deltawire.cli import letters
    from deltawire.cli.output.table import align

    rows = letters.rows(_ask("list", (config, store, core, key), handler, None, where))
    if len(rows) == 1:
        sys.stderr.write("No dead letters.\n")
    else:
        sys.stdout.write("\n".join(align(rows)) + "\n")
    return 0


def show(
    handler: Annotated[str | None, typer.Argument(metavar="HANDLER", help="Only this handler's.")] = None,
    target: TargetArgument = None,
    where: WhereOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, one on a line.")] = False,
    config: options.ConfigOption = None,
    store: options.StoreOption = None,
    core: options.CoreOption = None,
    key: options.KeyOption = None,
) -> int:
    """Show dead letters in full: the object, the attempts, the traceback."""
    from deltawire.cli import letters

    found = _ask("show", (config, store, core, key), handler, target, where)
    if as_json:
        blocks = [letters.as_json(letter).decode() for letter in found]
    else:
        blocks = ["\n".join(letters.shown(letter)) + "\n" for letter in found]
    if found:
        sys.stdout.write("\n".join(blocks).rstrip("\n") + "\n")
    else:
        sys.stderr.write("No dead letters.\n")
    return 0 if found else 1


def retry(
    handler: HandlerArgument = None,
    target: TargetArgument = None,
    all_: AllOption = False,
    where: WhereOption = None,
    config: options.ConfigOption = None,
    store: options.StoreOption = None,
    core: options.CoreOption = None,
    key: options.KeyOption = None,
) -> int:
    """Hand dead letters to the handler again, with the object's present state."""
    return _told("tried again", _act("retry", (config, store, core, key), handler, target, all_, where), target)


def drop(
    handler: HandlerArgument = None,
    target: TargetArgument = None,
    all_: AllOption = False,
    where: WhereOption = None,
    config: options.ConfigOption = None,
    store: options.StoreOption = None,
    core: options.CoreOption = None,
    key: options.KeyOption = None,
) -> int:
    """Delete dead letters."""
    return _told("dropped", _act("drop", (config, store, core, key), handler, target, all_, where), target)


def export(
    handler: Annotated[str | None, typer.Argument(metavar="HANDLER", help="Only this handler's.")] = None,
    target: TargetArgument = None,
    where: WhereOption = None,
    config: options.ConfigOption = None,
    store: options.StoreOption = None,
    core: options.CoreOption = None,
    key: options.KeyOption = None,
) -> int:
    """Print dead letters as recorded events, for `deltawire replay FILE PLUGIN.py`. They hold whole objects."""
    from deltawire.cli import letters

    found = _ask("show", (config, store, core, key), handler, target, where)
    events = [letters.as_event(letter, number) for number, letter in enumerate(found, 1)]
    for event in events:
        if event is not None:
            sys.stdout.write(event.decode() + "\n")
    missing = events.count(None)
    if missing:
        sys.stderr.write(f"{missing} left out: their objects are gone, and were not kept\n")
    return 0 if found else 1


def _act(
    action: str,
    place: Place,
    handler: str | None,
    target: str | None,
    is_all: bool,
    where: list[str] | None,
) -> int:
    """How many were tried again or dropped."""
    from deltawire.cli.core import plan_of
    from deltawire.common.errors import ConfigError

    if (handler is None) == (not is_all):
        raise ConfigError(
            "name one handler, or say --all", hint="deltawire dead-letters list shows whose there are"
        )
    handlers = [handler] if handler is not None else list(plan_of(*place).handlers)
    return sum(_count(action, place, name, target, where) for name in handlers)


def _count(action: str, *arguments: Any) -> int:
    return sum(int(answer["count"]) for answer in _answers(action, *arguments))


def _ask(action: str, *arguments: Any) -> list[dict[str, Any]]:
    """The dead letters that were looked at. Raises NotRunning, ConfigError."""
    return [letter for answer in _answers(action, *arguments) for letter in answer["letters"]]


def _answers(
    action: str,
    place: Place,
    handler: str | None,
    target: str | None,
    where: list[str] | None,
) -> list[dict[str, Any]]:
    """What each worker says."""
    from deltawire.cli.core import plan_of
    from deltawire.cli.hosts.elsewhere import of_this_host_only
    from deltawire.cli.letters import parse_where
    from deltawire.cli.requests import Supervision, from_workers
    from deltawire.cli.trace import parse_target
    from deltawire.common.errors import ConfigError

    plan = plan_of(*place)
    if handler is not None and handler not in plan.handlers:
        known = ", ".join(plan.handlers) or "none"
        raise ConfigError(f"no handler named {handler!r} (handlers: {known})")
    question: dict[str, Any] = {"action": action, "group": handler or "", "where": parse_where(where or ())}
    if target is not None:
        informer, object_key = parse_target(plan, target)
        question |= {"informer": informer, "key": object_key}
    with Supervision(plan) as supervision:
        answer = supervision.ask("dead-letters", question)
    if note := of_this_host_only(answer.get("left_out") or ()):
        sys.stderr.write(f"{note}\n")
    return list(from_workers(answer).values())


def _told(done: str, count: int, target: str | None) -> int:
    """The exit code: 1 where there was no such letter."""
    if not count:
        of = f" of {target}" if target else ""
        sys.stderr.write(f"No such dead letter{of}: `deltawire dead-letters list` shows those that there are.\n")
        return 1
    sys.stdout.write(f"{count} {done}\n")
    return 0
