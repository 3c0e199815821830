"""Entry point of a handler's process: a group of the config, or the description of a plug-in's file.

Not here: the loop (``runner``), the manners of a process (``common.process``).
"""

import logging
import math
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec
import zmq

from deltawire.common.clock import Clock, SystemClock
from deltawire.common.config.load import canonical
from deltawire.common.config.plan import HandlerPlan, Plan
from deltawire.common.control import Control
from deltawire.common.errors import ConfigError, DeltawireError, PluginError
from deltawire.common.limits import SILENT_INTERVALS_MAX
from deltawire.common.loop import IDLE_S, RARE_S
from deltawire.common.meta.clauses import Clause
from deltawire.common.process import EXIT_OK, RoleArguments, parse_arguments, run_role
from deltawire.common.wire.identity import new_identity
from deltawire.common.wire.network import open_context
from deltawire.handlers.api import Handler
from deltawire.handlers.caches import Caches
from deltawire.handlers.calls import HANDLER_LOG, Program
from deltawire.handlers.dispatch import Dispatch, Route
from deltawire.handlers.executor import Executor, Results
from deltawire.handlers.hooks import Hooks
from deltawire.handlers.jsonlines import ChildProcess
from deltawire.handlers.leaks import Leaks
from deltawire.handlers.loader import describe, load, pick
from deltawire.handlers.pool import Pool
from deltawire.handlers.queries import Queries
from deltawire.handlers.reach import Reach
from deltawire.handlers.resting import RestingHeartbeat
from deltawire.handlers.runner import Runner
from deltawire.handlers.settings import Settings, settle
from deltawire.handlers.worker_link import WorkerLink

ALL_KINDS = frozenset("AUDSG")
# How long Kubernetes Events that wait may take to be written at the end.
EVENTS_GRACE_S = 2.0
# How long a timer's function that runs may take to end.
HOOKS_GRACE_S = 2.0


class HandlerRole:
    """One replica of a group, put together from the config. A `Role`."""

    def __init__(self, arguments: RoleArguments, plan: Plan, *, is_inline: bool = False) -> None:
        """``is_inline``: calls run in the main thread, without a deadline, for a debugger.

        Raises ConfigError for a group the config does not know, PluginError for a faulty plug-in.
        """
        if arguments.handler not in plan.handlers:
            known = ", ".join(plan.handlers) or "none"
            raise ConfigError(f"no handler named {arguments.handler!r} (handlers: {known})")
        self._arguments = arguments
        self._plan = plan
        self._group: HandlerPlan = plan.handlers[arguments.handler]
        self._is_inline = is_inline
        self._surroundings: Surroundings | None = None
        self._hooks: Hooks | None = None
        self._leaks: Leaks | None = None
        run = self._group.options.run
        if run is None and not self._group.options.command:
            raise ConfigError(
                f"handler {self._group.name!r} has neither run nor command: it is a program that is started elsewhere"
            )
        if is_inline and run is None:
            raise ConfigError(
                f"handler {self._group.name!r} is a command: --inline is for Python",
                hint="start the command under its own debugger",
            )
        # Loaded before anything is opened: a faulty file ends the process with one line.
        self._handler: Handler | None = None if run is None else pick(load(run), self._group.name, run)

    def run(self, stop: threading.Event) -> int:
        """Work until ``stop`` is set. Raises PluginError for a command that cannot be started."""
        plan, clock = self._plan, SystemClock()
        if self._arguments.log_level == "warning":
            # `run` and `up` show no more than warnings of ours; what an author logs is meant to be seen.
            logging.getLogger(HANDLER_LOG).setLevel(logging.INFO)
        settings = settle(self._group.options, self._handler)
        if self._is_inline:
            # One key at a time: what a person is not looking at is for other replicas.
            settings = replace(settings, workers=1, window=1, deadline_s=0.0)
        informers = informers_of(self._group, self._handler, plan.clusters_of(self._group.options))
        results = Results()
        queries = Queries(results.wake, clock=clock)
        caches = Caches(plan, informers, queries, clock=clock)
        routes, executor = self._executor(settings, informers, caches, results, clock)
        if self._hooks is not None:
            # Before there is any socket: a function that raises ends the process.
            self._hooks.start()
        # The workers count the failures, and decide: an attempt may be one more than those.
        dispatch = Dispatch(routes, attempts_max=0)
        context: zmq.Context[zmq.Socket[bytes]] = open_context(plan, f"handler/{self._group.name}")
        identity = new_identity("handler", self._arguments.name_of("handler"), plan.run)
        heartbeat = RestingHeartbeat(context, plan.heartbeat_s, clock=clock)
        control = Control(context, plan, identity, heartbeat, clock=clock)
        link = partial(
            WorkerLink,
            context,
            identity=identity,
            settings=settings,
            informers=informers,
            held=dispatch.held,
            clock=clock,
            silent_s=SILENT_INTERVALS_MAX * plan.heartbeat_s,
            filters=filters_of(self._group, self._handler, informers),
        )
        workers = range(plan.config.runtime.workers)
        runner = Runner(
            settings,
            self._arguments.index,
            dispatch,
            executor,
            [link(number, plan.endpoint(f"worker-{number}")) for number in workers],
            queries,
            control,
            heartbeat,
            opened=caches.opened,
            freshness=caches.freshness,
            clock=clock,
            drain_deadline_s=plan.drain_deadline_s,
            idle_s=idle_s_of(plan),
            hooks=self._hooks,
            leaks=self._leaks,
        )
        try:
            return self._turn(runner, executor, stop)
        finally:
            if self._hooks is not None:
                self._hooks.stop(HOOKS_GRACE_S)
            if self._surroundings is not None:
                self._surroundings.close(EVENTS_GRACE_S)
            caches.close()
            context.term()

    def _turn(self, runner: Runner, executor: Executor, stop: threading.Event) -> int:
        if self._is_inline:
            from deltawire.handlers.inline import Inline, run_beside

            if isinstance(executor, Inline):
                return run_beside(runner.run, executor, stop)
        return runner.run(stop)

    def _executor(
        self, settings: Settings, informers: list[str], caches: Caches, results: Results, clock: Clock
    ) -> tuple[dict[str, Route], Executor]:
        """The routes by informer, and the executor of calls."""
        options = self._group.options
        if self._handler is None:
            child = ChildProcess(
                settings.name,
                options.command,
                options.env,
                settings.workers,
                results,
                clock=clock,
                leaving_as_update=self._group.leaving_as_update,
            )
            # Of replicas with different filters, an event may be for another one's.
            route = Route(ALL_KINDS, wants=lambda delivery: bool(delivery.parts.strip("-")))
            return dict.fromkeys(informers, route), child
        surroundings = self._surroundings = Surroundings(
            self._plan, caches, handler=settings.name, clock=clock
        )
        if self._is_inline:
            # Imported here: asyncio and the debugger's base cost 20 ms that others need not pay.
            from deltawire.handlers.inline import LEAVING, Inline, MainLoop

            program = Program(
                self._handler, informers, surroundings, clock=clock, asyncs=MainLoop(), leaving=LEAVING
            )
            self._hooks = program.hooks(self._plan.first_cluster, self._arguments.index)
            return program.routes, Inline(program, results)
        program = Program(self._handler, informers, surroundings, clock=clock)
        self._leaks = program.leaks
        self._hooks = program.hooks(self._plan.first_cluster, self._arguments.index, settings.deadline_s)
        return program.routes, Pool(program, settings.workers, results, clock=clock)


class Surroundings:
    """What a call can reach beside its event: caches, and each cluster when first used."""

    def __init__(self, plan: Plan, caches: Caches, *, handler: str, clock: Clock) -> None:
        self._plan = plan
        self._caches = caches
        self._handler = handler
        self._clock = clock
        self._lock = threading.Lock()
        self._reaches: dict[str, Reach] = {}

    def lister(self, cluster: str, resource: str) -> Any:
        return self._caches.lister(cluster, canonical(resource))

    def reach(self, cluster: str) -> Reach:
        with self._lock:
            if cluster not in self._reaches:
                new = partial(new_client, self._plan, cluster)
                self._reaches[cluster] = Reach(new, handler=self._handler, clock=self._clock)
            return self._reaches[cluster]

    def awaits(self, cluster: str, resource: str, obj: dict[str, Any]) -> None:
        """Nothing: caches come by themselves."""

    def close(self, timeout_s: float) -> None:
        """Write what Events still wait, for at most ``timeout_s`` a cluster."""
        with self._lock:
            for reach in self._reaches.values():
                reach.close(timeout_s)


def informers_of(group: HandlerPlan, handler: Handler | None, clusters: list[str]) -> list[str]:
    """The informers whose events this group gets.

    A plug-in says what it watches; the config adds in which clusters, where it has an entry for it. Without an entry it
    is in each of ``clusters``.
    """
    if handler is None:
        return group.informers
    wanted = {subscription.resource for subscription in handler.subscriptions}
    configured = [name for name in group.informers if name.partition("/")[2] in wanted]
    missing = wanted - {name.partition("/")[2] for name in configured}
    return configured + [f"{cluster}/{resource}" for cluster in clusters for resource in sorted(missing)]


def filters_of(group: HandlerPlan, handler: Handler | None, informers: list[str]) -> dict[str, list[Clause]]:
    """What the group's functions, or its executable, want of each informer; nothing of one of which it is all."""
    if handler is None:
        return group.filters
    found = {informer: handler.clauses(informer.partition("/")[2]) for informer in informers}
    return {informer: clauses for informer, clauses in found.items() if clauses}


def idle_s_of(plan: Plan) -> float:
    """The longest sleep of the loop in seconds: four beats fit into the time after which it counts as hung."""
    hang_after_s = plan.hang_after_s or math.inf
    return max(IDLE_S, min(RARE_S, hang_after_s / 4))


def new_client(plan: Plan, cluster: str) -> Any:
    """A REST client for a cluster of the config."""
    # Imported when first used: requests costs 90 ms and 20 MiB, and most plug-ins call no API.
    from deltawire.client.config.loading import load as load_client_config
    from deltawire.client.rest.client import RESTClient

    options = plan.clusters[cluster]
    return RESTClient(load_client_config(kubeconfig=options.kubeconfig, context=options.context))


def main(argv: Sequence[str] | None = None) -> int:
    """``--config FILE --handler NAME [--index N] [--inline]`` runs a replica; ``--describe FILE`` prints JSON."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["--describe"]:
        return _describe(arguments[1:])
    is_inline = "--inline" in arguments
    role = partial(HandlerRole, is_inline=is_inline)
    return run_role("handlers", role, parse_arguments("handlers", [a for a in arguments if a != "--inline"]))


def _describe(targets: list[str]) -> int:
    """What a plug-in watches, as JSON on stdout; or what is wrong with it, in one line on stderr."""
    try:
        if len(targets) != 1:
            raise PluginError("--describe takes one file or module")
        # A plug-in that prints while it is loaded must not spoil the answer.
        stdout, sys.stdout = sys.stdout, sys.stderr
        try:
            found = describe(load(targets[0]))
        finally:
            sys.stdout = stdout
    except DeltawireError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    return EXIT_OK
