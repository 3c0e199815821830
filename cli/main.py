"""Entry point of ``deltawire``: the commands, and what an error looks like."""

import errno
import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import typer

from deltawire.cli.commands import dead_letters, faults, handlers, keys, new, shards
from deltawire.cli.commands.apiserver import apiserver
from deltawire.cli.commands.apply import apply
from deltawire.cli.commands.backup import backup, restore
from deltawire.cli.commands.chaos import chaos
from deltawire.cli.commands.check import check
from deltawire.cli.commands.get import get
from deltawire.cli.commands.hub import hub
from deltawire.cli.commands.kill import kill
from deltawire.cli.commands.manifest import manifest
from deltawire.cli.commands.models import models
from deltawire.cli.commands.rbac import rbac
from deltawire.cli.commands.record import record, replay
from deltawire.cli.commands.relist import relist
from deltawire.cli.commands.roles import fifo, handler, informer, reflector
from deltawire.cli.commands.run import run
from deltawire.cli.commands.status import status
from deltawire.cli.commands.tail import tail
from deltawire.cli.commands.trace import trace
from deltawire.cli.commands.up import up
from deltawire.common.errors import DeltawireError
from deltawire.common.version import __version__

app = typer.Typer(
    name="deltawire",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


# A disk that is full or over its quota, under a file that the output goes to.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _write_no_more() -> None:
    """What is still buffered has nowhere to go, now and when Python ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _exits(command: Callable[..., int | None]) -> Callable[..., None]:
    """The command as typer wants it: its number is the exit code, a user's mistake is one line."""

    @wraps(command)
    def call(*args: Any, **kwargs: Any) -> None:
        try:
            code = command(*args, **kwargs)
            # What cannot be written is found here, and not when Python ends.
            sys.stdout.flush()
        except DeltawireError as error:
            sys.stderr.write(f"deltawire: {error}\n")
            raise typer.Exit(error.exit_code) from None
        except KeyboardInterrupt:
            # Before the supervisor took the signals over, or in a command that waits for an answer.
            # Imported here: it reads the config's code, which `--help` does not need.
            from deltawire.common.process import EXIT_INTERRUPTED

            raise typer.Exit(EXIT_INTERRUPTED) from None
        except BrokenPipeError:
            # `| head` has seen enough.
            _write_no_more()
            raise typer.Exit(0) from None
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            _write_no_more()
            sys.stderr.write(f"deltawire: the output cannot be written: {error.strerror}\n")
            raise typer.Exit(1) from None
        raise typer.Exit(code or 0)

    return call


_PANELS: dict[str, list[tuple[str, Callable[..., int]]]] = {
    "Run": [
        ("up", up),
        ("run", run),
        ("apply", apply),
        ("backup", backup),
        ("restore", restore),
        ("apiserver", apiserver),
    ],
    "Look": [
        ("get", get),
        ("tail", tail),
        ("trace", trace),
        ("status", status),
        ("check", check),
        ("rbac", rbac),
        ("manifest", manifest),
        ("models", models),
    ],
    "Try": [("record", record), ("replay", replay), ("kill", kill), ("relist", relist), ("chaos", chaos)],
    "One role alone": [
        ("reflector", reflector),
        ("fifo", fifo),
        ("informer", informer),
        ("handler", handler),
        ("hub", hub),
    ],
}
for _panel, _commands in _PANELS.items():
    for _name, _command in _commands:
        app.command(_name, rich_help_panel=_panel)(_exits(_command))
# Commands of a group, in the order in which the help shows them.
_GROUPS: list[tuple[str, str, typer.Typer, dict[str, Callable[..., int]]]] = [
    (
        "Look",
        "handlers",
        handlers.app,
        {
            "list": handlers.list_,
            "installed": handlers.installed,
            "add": handlers.add,
            "remove": handlers.remove,
            "restart": handlers.restart,
            "pause": handlers.pause,
            "resume": handlers.resume,
            "scale": handlers.scale,
        },
    ),
    (
        "Look",
        "dead-letters",
        dead_letters.app,
        {
            "list": dead_letters.list_,
            "show": dead_letters.show,
            "retry": dead_letters.retry,
            "drop": dead_letters.drop,
            "export": dead_letters.export,
        },
    ),
    ("Look", "shards", shards.app, {"list": shards.list_, "move": shards.move}),
    (
        "Look",
        "keys",
        keys.app,
        {
            "new": keys.new,
            "list": keys.list_,
            "allow": keys.allow,
            "revoke": keys.revoke,
            "rotate": keys.rotate,
        },
    ),
    ("Try", "new", new.app, {"handler": new.handler, "controller": new.controller}),
    ("Try", "faults", faults.app, {"set": faults.set_, "list": faults.list_, "clear": faults.clear}),
]
for _panel, _name, _group, _verbs in _GROUPS:
    for _verb, _command in _verbs.items():
        _group.command(_verb)(_exits(_command))
    app.add_typer(_group, name=_name, rich_help_panel=_panel)


def _version(is_asked: bool) -> None:
    if is_asked:
        sys.stdout.write(f"deltawire {__version__}\n")
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Watch Kubernetes once, handle it everywhere: client-go's shared informers as a set of processes."""


def main() -> None:
    """The console script."""
    try:
        app()
    finally:
        # The exit code is decided: a second Ctrl-C while the interpreter ends would replace it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
