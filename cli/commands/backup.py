"""``deltawire backup`` and ``deltawire restore``: what handlers have acknowledged, and dead letters, as a file."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from deltawire.cli.commands import options

FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="A file; - is the standard output or input.")
]
_STREAM = Path("-")


def backup(
    file: FileArgument,
    config: options.ConfigOption = None,
    store: options.StoreOption = None,
) -> int:
    """Write what handlers have acknowledged, what waits to be tried again, and dead letters to a file.

    The pipeline may run; each shard is as it was at one moment. The only objects in it are those of dead letters and
    retries: keep the file as you keep them.
    """
    from deltawire.cli import backups
    from deltawire.cli.config_source import plan_of

    plan = plan_of(config, store)
    counts = backups.write(plan, sys.stdout.buffer) if file == _STREAM else backups.write_file(plan, file)
    sys.stderr.write(f"{backups.told(counts)} written\n")
    return 0


def restore(
    file: FileArgument,
    config: options.ConfigOption = None,
    store: options.StoreOption = None,
) -> int:
    """Fill an empty state folder from a backup, before `deltawire up`.

    Caches are listed anew. Handlers get what changed since the backup, and deletions of objects that are gone by now.
    """
    from deltawire.cli import backups
    from deltawire.cli.config_source import named_plan

    # What ran last on the folder may have had another config: what `up` will be started with counts.
    plan = named_plan(config, store)
    counts = (
        backups.restore_stream(plan, sys.stdin.buffer)
        if file == _STREAM
        else backups.restore_file(plan, file)
    )
    sys.stderr.write(f"{backups.told(counts)} restored: `deltawire up` lists what there is now\n")
    return 0
