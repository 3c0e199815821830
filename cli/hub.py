"""One run of the hub from a command: folders and locks, the effective config, signals."""

import signal
import threading
from contextlib import ExitStack

from deltawire.cli import config_source, runtime_folder
from deltawire.cli.lone import effective
from deltawire.cli.session import LOCK
from deltawire.cli.supervisor.hub import Hub
from deltawire.common import logs
from deltawire.common.beats import of_process
from deltawire.common.clock import SystemClock
from deltawire.common.config.load import dump
from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import Config
from deltawire.common.store import folder as state_folder


def run(config: Config, *, log_level: str) -> int:
    """Until SIGTERM or SIGINT; the exit code. Raises ConfigError, StateError, PluginError before it listens."""
    logs.set_up("hub", level=log_level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    plan = Plan(config)
    with ExitStack() as stack:
        stack.enter_context(runtime_folder.owner_only())
        state_folder.prepare(plan.store_dir, plan.shards)
        stack.enter_context(state_folder.hold(plan.store_dir, LOCK))
        runtime_folder.prepare(plan.runtime_dir)
        plan = Plan(effective(config))
        of_process().terms(plan.hang_after_s, plan.drain_deadline_s)
        # For commands, which find it where they would find that of `up`.
        runtime_folder.write(plan.runtime_dir / config_source.EFFECTIVE, dump(plan.config))
        serve = None
        if plan.config.metrics.listen != "off":
            from deltawire.cli.supervisor.metrics import MetricsServer

            serve = stack.enter_context(MetricsServer(plan.config.metrics.listen, is_public=True)).serve
        return Hub(plan, clock=SystemClock(), serve=serve).run(stop)
