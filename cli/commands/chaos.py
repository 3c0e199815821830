"""``deltawire chaos``: hit a pipeline at random and have it judged."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

FOR_DEFAULT = "60s"


class Engine(StrEnum):
    MEMORY = "memory"
    NATS = "nats"


def chaos(
    engine: Annotated[
        Engine,
        typer.Option(help="The broker's queue: one host, or two hosts and three NATS servers (needs nats-server)."),
    ] = Engine.MEMORY,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="Decides what happens when. Default: one at random.")
    ] = None,
    for_: Annotated[
        str,
        typer.Option(
            "--for", metavar="60s", help="How long things happen; the rest takes as long as it takes."
        ),
    ] = FOR_DEFAULT,
    folder: Annotated[
        Path | None,
        typer.Option(
            "--dir",
            metavar="DIR",
            help="Keep what runs leave here. Default: kept only where something failed.",
        ),
    ] = None,
    kills: Annotated[
        int | None, typer.Option(metavar="N", help="Instead of a time: so many kills of processes.")
    ] = None,
    stops: Annotated[
        int | None, typer.Option(metavar="N", help="Instead of a time: so many SIGSTOPs of processes.")
    ] = None,
    stop_max: Annotated[
        str | None,
        typer.Option(
            metavar="6s", help="The longest SIGSTOP of a process; default: 6s, or 12s with NATS, partitions included."
        ),
    ] = None,
    hang_after: Annotated[
        str | None, typer.Option(metavar="3s", help="runtime.hang_after of the pipeline.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the verdict as one JSON object on stdout.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No line for each action.")] = False,
) -> int:
    """Run a pipeline against an embedded API server in a temporary folder, hit it at random, and judge it.

    Processes are killed and stopped, the config is changed, the API server restarts, loses its history, cuts
    connections and fails, while two writers change objects. Scripts that know nothing of the project compare what
    handlers were told with the API server's own record. Exit code 1 if anything was lost, out of order or unexplained.

    With --engine nats a queue and an archive on NATS are hit, too: servers are killed, stand still or lose their disk,
    hosts are lost, and the ways between all of them are cut.
    """
    from deltawire.cli.chaos import session
    from deltawire.common.meta.units import parse_duration_s

    return session.run(
        session.Wanted(
            engine=engine,
            seed=seed,
            for_s=parse_duration_s(for_, "--for"),
            folder=folder,
            kills=kills,
            stops=stops,
            stop_s_max=None if stop_max is None else parse_duration_s(stop_max, "--stop-max"),
            hang_after_s=None if hang_after is None else parse_duration_s(hang_after, "--hang-after"),
            as_json=as_json,
            tell=(lambda _: None) if quiet else lambda text: print(text, file=sys.stderr, flush=True),  # noqa: T201
        )
    )
