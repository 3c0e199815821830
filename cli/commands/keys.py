"""``deltawire keys``: who may connect over TCP."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deltawire.cli.commands import options

if TYPE_CHECKING:
    from deltawire.common.wire.keys import KeyFolder

app = typer.Typer(help="Keys of processes that talk over TCP.", no_args_is_help=True)

FolderOption = Annotated[
    Path | None,
    typer.Option("--keys", metavar="DIR", help="The folder of keys, instead of the config's network.keys."),
]
OwnerArgument = Annotated[
    str,
    typer.Argument(
        metavar="OWNER",
        help="fifo, control, reflector-0, worker-0, handler/NAME, cli, cli/NAME, reader or reader/NAME.",
    ),
]
InformersOption = Annotated[
    str,
    typer.Option(
        "--informers", metavar="NAME,...", help="Which a handler or a reader may read (main/pods). Default: all."
    ),
]


@app.callback()
def _root() -> None:
    """Keys of processes that talk over TCP: made, listed, allowed, revoked and rotated while all runs."""


def new(
    owner: Annotated[
        str | None, typer.Argument(metavar="OWNER", help="Default: all that the config needs.")
    ] = None,
    informers: InformersOption = "",
    config: options.ConfigOption = None,
    keys: FolderOption = None,
) -> int:
    """Make the keys that are not there yet, and allow them.

    A key that is there and not allowed, such as a revoked one, stays so: it is named, with exit code 1.
    """
    from deltawire.cli import keys as core
    from deltawire.cli.config_source import effective, required
    from deltawire.common.config.plan import Plan

    folder = _folder(config, keys)
    owners = [owner] if owner else list(core.owners_of(Plan(effective(required(config)))))
    made = core.make(folder, owners, _names(informers))
    for entry in made:
        sys.stdout.write(
            f"{folder.secret_path(entry.owner)}: a key of {entry.owner}, allowed as {entry.key}\n"
        )
    refused = list(core.problems(folder, owners))
    sys.stderr.writelines(f"{problem}\n" for problem in refused)
    if not made and not refused:
        sys.stdout.write(f"{folder.folder}: all are there (`deltawire keys rotate OWNER` makes a new one)\n")
    return 1 if refused else 0


def list_(config: options.ConfigOption = None, keys: FolderOption = None) -> int:
    """List the keys that are allowed, and whose secrets are on this host."""
    from deltawire.cli import keys as core
    from deltawire.cli.output.table import align

    folder = _folder(config, keys)
    rows = core.rows(folder)
    if len(rows) == 1:
        sys.stderr.write(f"No keys are allowed in {folder.folder}.\n")
    else:
        sys.stdout.write("\n".join(align(rows)) + "\n")
    return 0


def allow(
    owner: OwnerArgument,
    key: Annotated[str, typer.Argument(metavar="KEY", help="Its public key; after -- where it begins with a hyphen.")],
    informers: InformersOption = "",
    config: options.ConfigOption = None,
    keys: FolderOption = None,
) -> int:
    """Allow a key that was made elsewhere, or change which informers it may read."""
    from deltawire.cli import keys as core

    entry = core.allow(_folder(config, keys), owner, key, _names(informers))
    sys.stdout.write(entry.line)
    return 0


def revoke(
    what: Annotated[str, typer.Argument(metavar="OWNER|KEY", help="All keys of an owner, or one key.")],
    config: options.ConfigOption = None,
    keys: FolderOption = None,
) -> int:
    """Allow a key no longer: who is connected with it is cut off within a second or two."""
    from deltawire.cli import keys as core

    for entry in core.revoke(_folder(config, keys), what):
        sys.stdout.write(f"revoked {entry.line}")
    return 0


def rotate(owner: OwnerArgument, config: options.ConfigOption = None, keys: FolderOption = None) -> int:
    """Make a new key for an owner, which its process takes up while it runs. The former one stays allowed."""
    from deltawire.cli import keys as core

    pair, former = core.rotate(_folder(config, keys), owner)
    sys.stdout.write(f"{owner} has a new key: {pair.public}\n")
    for entry in former:
        sys.stdout.write(f"the former one stays allowed until `deltawire keys revoke '{entry.key}'`\n")
    return 0


def _folder(config: Path | None, keys: Path | None) -> "KeyFolder":
    from deltawire.cli.config_source import required
    from deltawire.common.config.plan import Plan
    from deltawire.common.errors import ConfigError
    from deltawire.common.wire.keys import KeyFolder

    if keys is not None:
        return KeyFolder(keys)
    named = Plan(required(config)).keys_dir
    if named is None:
        raise ConfigError("the config names no folder of keys", path="network.keys", hint="or say --keys DIR")
    return KeyFolder(Path(named))


def _names(informers: str) -> list[str]:
    return [name for name in informers.split(",") if name]
