"""``deltawire kill``: end a process the hard way and see that nothing is lost."""

import sys
from typing import Annotated

import typer

from deltawire.cli.commands import options

# The supervisor's own deadlines for the successor and for the comparison, and some.
WAIT_S = 90.0
POLL_S = 0.2


def kill(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A process as `status` names it: reflector-0.")],
    config: options.ConfigOption = None,
    store: options.StoreOption = None,
) -> int:
    """Kill a process with SIGKILL, wait for its successor, and count what was lost.

    Lost are keys whose state in the cache is not the API server's when everything has settled. Exit code 1
    if there are any.
    """
    import msgspec

    from deltawire.cli.config_source import plan_of
    from deltawire.cli.requests import Supervision
    from deltawire.cli.supervisor.kill_lines import describe
    from deltawire.cli.supervisor.status_types import Snapshot
    from deltawire.common.clock import SystemClock
    from deltawire.common.errors import DeltawireError

    clock = SystemClock()
    with Supervision(plan_of(config, store)) as supervision:
        killed = supervision.ask("kill", {"name": name})
        sys.stderr.write(f"killed {name} (process {killed['pid']}), waiting for its successor\n")
        deadline_s = clock.now_s() + WAIT_S
        while clock.now_s() < deadline_s:
            found = msgspec.convert(supervision.ask("status"), Snapshot).kills.get(name)
            if found is not None and (found.lost is not None or found.error):
                sys.stdout.write(f"{describe(name, found)}\n")
                return 0 if found.lost == 0 else 1
            clock.sleep(POLL_S)
    raise DeltawireError(f"{name} was not back within {WAIT_S:.0f} s", hint="see `deltawire status`")
