"""``deltawire shards``: which host has which shards, and a move of a worker's place to another host."""

import re
import sys
from typing import Annotated

import typer

from deltawire.cli.commands import options

app = typer.Typer(help="Shards on several hosts.", no_args_is_help=True)


@app.callback()
def _root() -> None:
    """Which host has which shards of a pipeline on several hosts, and moves of them."""


def list_(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,
    config: options.ConfigOption = None,
    store: options.StoreOption = None,
) -> int:
    """List each informer's shards: the worker's place, the host that has it, and who waits for it.

    LEASE: when the host renewed it. FENCE: rises with each owner of the shard; what a former one writes is refused.
    POSITION: the number of its newest change. With an archive also what each host's worker says of its informers, and
    whether all is ready over all hosts. Exit code 1 if a place has no host that works on
    it.
    """
    import msgspec

    from deltawire.cli.config_source import plan_of
    from deltawire.cli.hosts import overview
    from deltawire.cli.view.hosts import overview_lines
    from deltawire.common.clock import SystemClock

    clock = SystemClock()
    plan = plan_of(config, store)
    connection = overview.connect(plan, clock)
    try:
        found = overview.look(plan, connection, clock)
    finally:
        connection.close()
    text = msgspec.json.encode(found).decode() if as_json else "\n".join(overview_lines(found))
    sys.stdout.write(text + "\n")
    return 0 if all(place.host and not place.waits_for for place in found.places.values()) else 1


def move(
    place: Annotated[str, typer.Argument(metavar="PLACE", help="As `shards list` names it: worker-0.")],
    to: Annotated[
        str,
        typer.Option(
            "--to", metavar="HOST", help="A host that waits for it: the machine's name, or the one in brackets."
        ),
    ],
    anew: Annotated[
        bool, typer.Option("--anew", help="Begin on HOST without the host that had the place last: its disk is lost.")
    ] = False,
    config: options.ConfigOption = None,
    store: options.StoreOption = None,
) -> int:
    """Let another host have all shards of a worker's place, without a kill.

    The worker finishes what is in flight, stores and archives it, and passes the lease on; that host's worker, which
    waits for it, goes on. With --anew a host that has the place, and waits for the one that had it last since all NATS
    servers lost the archive, begins without it: its groups begin anew.
    """
    from deltawire.cli.config_source import plan_of
    from deltawire.cli.hosts import moving, overview
    from deltawire.common.clock import SystemClock
    from deltawire.common.errors import ConfigError

    clock = SystemClock()
    plan = plan_of(config, store)
    workers = plan.config.runtime.workers
    if not re.fullmatch(r"worker-\d{1,6}", place) or int(place.removeprefix("worker-")) >= workers:
        known = f"worker-0 to worker-{workers - 1}" if workers > 1 else "worker-0"
        raise ConfigError(f"{place!r} is no worker's place", path="PLACE", hint=f"there are {known}")
    if plan.config.archive is None:
        raise ConfigError(
            "shards move only where an archive keeps what they know", path="archive", hint="see docs/nats.md"
        )
    connection = overview.connect(plan, clock)
    try:
        text = moving.move(connection, place, to, lambda text: sys.stderr.write(f"{text}\n"), clock, anew=anew)
    finally:
        connection.close()
    sys.stdout.write(f"{text}\n")
    return 0
