"""``deltawire apply``: a changed config for the pipeline that runs."""

import sys

from deltawire.cli.commands import options


def apply(config: options.ConfigOption = None, store: options.StoreOption = None) -> int:
    """Make the pipeline that runs what the config file says: handlers and informers come, go and change.

    What did not change goes on. A handler that changed is replaced one replica after another: the new one first,
    then the old one finishes what it is in. Clusters, store, runtime and metrics need a new start.
    """
    from deltawire.cli import apply as changes
    from deltawire.cli.config_source import plan_of
    from deltawire.cli.requests import Supervision

    wanted = changes.of_file(config, store)
    plan = plan_of(config, store)
    with Supervision(plan) as supervision:
        running = changes.running_config(plan)
        lines = changes.apply(
            supervision, wanted, running, note=lambda text: sys.stderr.write(f"deltawire: {text}\n")
        )
    sys.stdout.write("\n".join(lines) + "\n")
    return 0
