"""One run of a pipeline from a command: folders and locks, the effective config, the supervisor, the summary."""

import os
import secrets
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec

from deltawire.cli import checks, config_source, orphans, preflight, resource_names, runtime_folder
from deltawire.cli.embedded_server import EmbeddedServer, with_types
from deltawire.cli.supervisor.launch import API_SERVER, Launch, server_command
from deltawire.cli.supervisor.processes import Command, Processes
from deltawire.cli.supervisor.run_types import Embedded, Outcome, SnapshotSource, View
from deltawire.cli.supervisor.supervisor import Supervisor
from deltawire.cli.view import summary
from deltawire.cli.view.lines import LineView, QuietView
from deltawire.common.clock import SystemClock
from deltawire.common.config.kubeconfigs import folder_of
from deltawire.common.config.load import dump
from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import Config
from deltawire.common.store import folder as state_folder
from deltawire.common.wire.identity import process_started
from deltawire.informer.store import generation

# The lock file's name in the state folder.
LOCK = "supervisor"
# Of a run's id, which is written in hex.
RUN_BYTES = 8


@dataclass(frozen=True, slots=True)
class Reload:
    """Plug-in files to look at while they run, and the config that they make."""

    files: Sequence[Path]
    make: Callable[[], Config]


@dataclass(frozen=True, slots=True)
class Session:
    """How to run. ``for_s`` None: until a signal. ``is_quiet``: no line a second.

    ``remake``: the config again, where its folder of kubeconfigs is to be looked at while it runs.
    """

    config: Config
    server: EmbeddedServer | None = None
    for_s: float | None = None
    as_json: bool = False
    log_level: str = "warning"
    is_quiet: bool = False
    reload: Reload | None = None
    remake: Callable[[], Config] | None = None


def run(session: Session) -> int:
    """Run until it ends and return the exit code. Raises ConfigError, StateError, PluginError before anything runs."""
    clock = SystemClock()
    started_s = clock.now_s() - _age_s(clock.now_s())
    config = config_source.with_run(session.config, secrets.token_hex(RUN_BYTES))
    if session.server is not None:
        config = with_types(config_source.with_embedded(config), session.server)
    plan = Plan(config)
    with ExitStack() as stack:
        # Handlers are user code: they run under the umask that we were started with.
        umask = stack.enter_context(runtime_folder.owner_only())
        state_folder.prepare(plan.store_dir, plan.shards)
        generation.require_schema(plan.store_dir, range(plan.shards))
        stack.enter_context(state_folder.hold(plan.store_dir, LOCK))
        runtime_folder.prepare(plan.runtime_dir)
        view = stack.enter_context(_Closing(make_view(session)))
        file = plan.runtime_dir / config_source.EFFECTIVE
        # This process holds the state folder, so the process that left them is dead.
        for text in orphans.end(file, clock=clock):
            view.note(text)
        processes = stack.enter_context(Processes(umask=umask))
        embedded, server = None, None
        if session.server is not None:
            embedded, server = _embedded(plan, session.server, view)
            # It needs nothing of what follows, and half a second to listen.
            processes.add(API_SERVER, server)
            processes.start(API_SERVER)
        embedded_name = config_source.EMBEDDED if session.server else ""

        def resolve(config: Config) -> Config:
            return resource_names.with_resources(config, but=embedded_name, note=view.note)

        plan = Plan(config_source.effective(config, resolve))
        resource_names.remember(plan)
        preflight.require(plan, but=config_source.EMBEDDED if session.server else None)
        runtime_folder.write(file, dump(plan.config))
        launch = Launch(file, plan.run, log_level=session.log_level, server=server)
        supervisor = Supervisor(
            plan,
            launch.pipeline(plan),
            processes,
            view,
            clock=clock,
            started_s=started_s,
            for_s=session.for_s,
            embedded=embedded,
            launch=launch,
            serve=_metrics(plan, stack),
        )
        if embedded_name:
            stack.enter_context(resource_names.LateLook(plan, embedded_name, view.note))
        if session.reload is not None:
            from deltawire.cli.reload import Reloader

            stack.enter_context(Reloader(session.reload.files, session.reload.make, view.note))
        if session.remake is not None and config.kubeconfigs is not None:
            from deltawire.cli.cluster_watch import ClusterWatch

            stack.enter_context(ClusterWatch(folder_of(config.kubeconfigs), session.remake, view.note))
        if not plan.config.handlers:
            view.note(f"handlers: {checks.NO_HANDLERS}")
        outcome = supervisor.run()
    _finish(session, outcome)
    return outcome.exit_code


def make_view(session: Session) -> View:
    """A live view on a terminal, lines elsewhere; with --json everything but the summary goes to stderr."""
    if session.is_quiet:
        return QuietView(sys.stderr)
    if session.as_json:
        return LineView(sys.stderr)
    is_plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    if sys.stdout.isatty() and not is_plain:
        from deltawire.cli.view.live import LiveView

        return LiveView()
    return LineView(sys.stdout)


class _Closing:
    def __init__(self, view: View) -> None:
        self._view = view

    def __enter__(self) -> View:
        return self._view

    def __exit__(self, *_: object) -> None:
        self._view.close()


def _embedded(plan: Plan, server: EmbeddedServer, view: View) -> tuple[Embedded, Command]:
    kubeconfig = Path(plan.clusters[config_source.EMBEDDED].kubeconfig or "")
    kubeconfig.unlink(missing_ok=True)
    # It forgets everything when it ends, and is another cluster the next time.
    runtime_folder.forget_cluster(plan.store_dir, config_source.EMBEDDED)
    arguments = ["--write-kubeconfig", str(kubeconfig), *server.flags()]

    def stop_churn() -> None:
        from deltawire.cli.clients import new_client

        client = new_client(plan, config_source.EMBEDDED)
        try:
            client.post().abs_path("/_deltawire/churn").param("rate", 0).do()
        finally:
            client.close()

    view.note(f"embedded API server: kubectl --kubeconfig {kubeconfig} get pods -A")
    config = plan.runtime_dir / config_source.EFFECTIVE
    return Embedded(kubeconfig, stop_churn), server_command(config, plan.run, arguments)


def _metrics(plan: Plan, stack: ExitStack) -> Callable[[SnapshotSource], None] | None:
    listen = plan.config.metrics.listen
    if listen == "off":
        return None
    from deltawire.cli.supervisor.metrics import MetricsServer

    return stack.enter_context(MetricsServer(listen, is_public=plan.config.metrics.public)).serve


def _finish(session: Session, outcome: Outcome) -> None:
    if session.as_json:
        for failure in outcome.failures:
            sys.stderr.write(f"FAILED: {failure}\n")
        sys.stdout.write(msgspec.json.encode(summary.as_json(outcome.snapshot)).decode() + "\n")
    else:
        lines = summary.as_lines(outcome.snapshot, outcome.failures, is_checked=outcome.is_checked)
        sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _age_s(now_s: float) -> float:
    """How long this process has run, as /proc says; 0 where it does not."""
    started_ticks = process_started(os.getpid())
    if not started_ticks:
        return 0.0
    # /proc counts from boot, as Linux' monotonic clock does unless the machine was suspended.
    age_s = now_s - started_ticks / os.sysconf("SC_CLK_TCK")
    return age_s if 0 <= age_s < 60 else 0.0
