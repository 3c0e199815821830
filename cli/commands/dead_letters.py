"""``deltawire dead-letters``: events that a handler has given up."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from deltawire.cli.commands import options

app = typer.Typer(help="Events that a handler gave up.", no_args_is_help=True)

HandlerArgument = Annotated[str, typer.Argument(metavar="HANDLER", help="The handler's name.")]
TargetArgument = Annotated[
    str | None, typer.Argument(metavar="TYPE/NAME", help="Only this object's; default: all.")
]
_SHOWN_CHARS = 60


@app.callback()
def _root() -> None:
    """Events that a handler gave up: after too many attempts, or because it said so."""


def list_(
    handler: Annotated[str | None, typer.Argument(metavar="HANDLER", help="Only this handler's.")] = None,
    config: options.ConfigOption = None,
    store: options.StoreOption = None,
) -> int:
    """List the dead letters of all handlers, or of one."""
    from deltawire.cli.output.table import align

    rows = [["HANDLER", "OBJECT", "KIND", "ATTEMPTS", "ERROR"]]
    for letter in _ask("list", config, store, handler, None):
        error = " ".join(str(letter["error"]).split())
        rows.append(
            [
                str(letter["group"]),
                f"{letter['informer']} {letter['key']}",
                _KINDS.get(str(letter["kind"]), str(letter["kind"])),
                str(letter["attempts"]),
                error if len(error) <= _SHOWN_CHARS else error[: _SHOWN_CHARS - 1] + "…",
            ]
        )
    if len(rows) == 1:
        sys.stderr.write("No dead letters.\n")
    else:
        sys.stdout.write("\n".join(align(rows)) + "\n")
    return 0


def show(
    handler: HandlerArgument,
    target: TargetArgument = None,
    config: options.ConfigOption = None,
    store: options.StoreOption = None,
) -> int:
    """Show dead letters in full, as JSON, one on a line."""
    import msgspec

    letters = _ask("show", config, store, handler, target)
    for letter in letters:
        letter["object"] = msgspec.Raw(letter["object"] or b"null")
        sys.stdout.write(msgspec.json.encode(letter).decode() + "\n")
    if not letters:
        sys.stderr.write("No dead letters.\n")
    return 0 if letters else 1


def retry(
    handler: HandlerArgument,
    target: TargetArgument = None,
    config: options.ConfigOption = None,
    store: options.StoreOption = None,
) -> int:
    """Hand dead letters to the handler again, with the object's present state."""
    return _told("tried again", _ask("retry", config, store, handler, target))


def drop(
    handler: HandlerArgument,
    target: TargetArgument = None,
    config: options.ConfigOption = None,
    store: options.StoreOption = None,
) -> int:
    """Delete dead letters."""
    return _told("dropped", _ask("drop", config, store, handler, target))


_KINDS = {"A": "add", "U": "update", "D": "delete", "S": "resync"}


def _ask(
    action: str, config: Path | None, store: Path | None, handler: str | None, target: str | None
) -> list[dict[str, Any]]:
    """The dead letters that were looked at, tried again or dropped. Raises NotRunning, ConfigError."""
    from deltawire.cli.config_source import plan_of
    from deltawire.cli.requests import Supervision, from_workers
    from deltawire.cli.trace import parse_target
    from deltawire.common.errors import ConfigError

    plan = plan_of(config, store)
    if handler is not None and handler not in plan.handlers:
        known = ", ".join(plan.handlers) or "none"
        raise ConfigError(f"no handler named {handler!r} (handlers: {known})")
    question = {"action": action, "group": handler or ""}
    if target is not None:
        informer, key = parse_target(plan, target)
        question |= {"informer": informer, "key": key}
    with Supervision(plan) as supervision:
        answers = from_workers(supervision.ask("dead-letters", question))
    return [letter for answer in answers.values() for letter in answer["letters"]]


def _told(done: str, letters: list[dict[str, Any]]) -> int:
    sys.stdout.write(f"{len(letters)} {done}\n")
    return 0 if letters else 1
