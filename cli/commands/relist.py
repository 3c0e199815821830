"""``deltawire relist``: let an informer's streams list what the API server has now."""

import sys
from typing import Annotated

import typer

from deltawire.cli.commands import options


def relist(
    informer: Annotated[
        str,
        typer.Argument(metavar="INFORMER", help="As `status` names it: dev/pods; pods of the first cluster."),
    ],
    config: options.ConfigOption = None,
    store: options.StoreOption = None,
) -> int:
    """List an informer anew, at the API server's present state, whatever was seen before.

    For a cluster that was set back without that being visible. What differs reaches the handlers as usual. Exit code 1
    if no stream of it runs.
    """
    from deltawire.cli.config_source import plan_of
    from deltawire.cli.requests import Supervision, from_workers
    from deltawire.common.config.load import canonical
    from deltawire.common.errors import ConfigError

    plan = plan_of(config, store)
    cluster, _, resource = informer.rpartition("/")
    name = f"{cluster or next(iter(plan.clusters))}/{canonical(resource)}"
    with Supervision(plan) as supervision:
        if name not in plan.informers:
            known = ", ".join(plan.informers) or "none"
            raise ConfigError(f"no informer named {name!r}", hint=f"informers: {known}")
        answers = from_workers(supervision.ask("relist", {"informer": name}))
    streams = sorted(stream for answer in answers.values() for stream in answer)
    for stream in streams:
        sys.stdout.write(f"{stream} lists\n")
    if not streams:
        sys.stderr.write(f"deltawire: no stream of {name} runs: see `deltawire status`\n")
    return 0 if streams else 1
