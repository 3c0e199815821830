"""``deltawire trace``: where an object is on its way."""

import sys
from typing import Annotated

import typer

from deltawire.cli.commands import options


def trace(
    target: Annotated[str, typer.Argument(metavar="TYPE/NAME", help="pods/web-1, or pods/NAMESPACE/web-1.")],
    namespace: Annotated[
        str, typer.Option("--namespace", "-n", metavar="NS", help="The object's namespace.")
    ] = "default",
    config: options.ConfigOption = None,
    store: options.StoreOption = None,
    core: options.CoreOption = None,
    key: options.KeyOption = None,
) -> int:
    """Follow one object through every stage, with the version that each has and its age."""
    from deltawire.cli.core import plan_of
    from deltawire.cli.freshness import ask
    from deltawire.cli.hosts.elsewhere import of_this_host_only, standbys_of
    from deltawire.cli.trace import parse_target
    from deltawire.cli.trace import trace as lines_of
    from deltawire.common.clock import SystemClock

    plan = plan_of(config, store, core, key)
    informer, object_key = parse_target(plan, target, namespace)
    status = ask(plan)
    if note := of_this_host_only(standbys_of(status)):
        sys.stderr.write(f"{note}\n")
    sys.stdout.write("\n".join(lines_of(plan, status, informer, object_key, SystemClock().wall_s())) + "\n")
    return 0
