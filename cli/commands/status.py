"""``deltawire status``: everything about the pipeline that runs, or what its state folder holds."""

import shutil
import sys
from typing import Annotated

import typer

from deltawire.cli.commands import options


def status(
    as_json: Annotated[bool, typer.Option("--json", help="The whole status as one JSON object.")] = False,
    ready: Annotated[
        bool, typer.Option("--ready", help="Exit code 1 also where not all is ready, on whatever host.")
    ] = False,
    config: options.ConfigOption = None,
    store: options.StoreOption = None,
    core: options.CoreOption = None,
    key: options.KeyOption = None,
) -> int:
    """Show the processes, each stream of each reflector, each cache and each handler, with what is wrong.

    Where the pipeline is on several hosts, also which has which worker's place, and whether all is ready over them.
    Exit code 1 if nothing runs.
    """
    import msgspec

    from deltawire.cli.core import plan_of
    from deltawire.cli.hosts.elsewhere import of_all_hosts
    from deltawire.cli.requests import NotRunning, Supervision
    from deltawire.cli.supervisor.status_types import Snapshot
    from deltawire.cli.view import status as view
    from deltawire.common.clock import SystemClock

    plan = plan_of(config, store, core, key, is_described=False)
    try:
        with Supervision(plan) as supervision:
            plain = supervision.ask("status")
    except NotRunning as reason:
        if core is not None:
            raise
        caches = view.stored(plan.store_dir)
        if as_json:
            body = {"running": False, "store": str(plan.store_dir), "caches": caches}
            sys.stdout.write(msgspec.json.encode(body).decode() + "\n")
        else:
            sys.stdout.write("\n".join([str(reason), *view.stored_lines(plan.store_dir, caches)]) + "\n")
        return 1
    hosts = of_all_hosts(plan, SystemClock(), plain)
    if as_json:
        sys.stdout.write(msgspec.json.encode({"running": True, **plain, **hosts.as_plain()}).decode() + "\n")
    else:
        snapshot = msgspec.convert(plain, Snapshot)
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        sys.stdout.write("\n".join([*view.render(snapshot, columns=columns), *hosts.lines(snapshot)]) + "\n")
    return 1 if ready and not hosts.is_ready(bool(plain.get("ready"))) else 0
