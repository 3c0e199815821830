"""The reflector's process: its streams, its clusters, one connection to the broker, one loop."""

import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec
import zmq

from deltawire.client.config.loading import load as load_client_config
from deltawire.client.discovery.discovery_client import DiscoveryClient
from deltawire.client.rest.client import RESTClient
from deltawire.client.rest.retry import NO_RETRIES
from deltawire.common.beats import of_process
from deltawire.common.clock import Clock, SystemClock
from deltawire.common.config.plan import InformerPlan, Plan
from deltawire.common.config.schema import Cluster as ClusterOptions
from deltawire.common.control import Control, refuse_all
from deltawire.common.errors import ProtocolError, StateError
from deltawire.common.limits import SILENT_INTERVALS_MAX
from deltawire.common.loop import Timer
from deltawire.common.meta.resources import BUILTIN, ResourceType, find
from deltawire.common.process import RoleArguments, parse_arguments, run_role
from deltawire.common.shared_loop import SharedLoop
from deltawire.common.version import __version__
from deltawire.common.waker import Waker
from deltawire.common.wire.codec import Decoder
from deltawire.common.wire.follow import follow_link
from deltawire.common.wire.heartbeat import Heartbeat
from deltawire.common.wire.identity import new_identity
from deltawire.common.wire.link import Arrived, Link, LinkEvent, Lost, Opened, Refused
from deltawire.common.wire.messages.stream import (
    Cluster,
    Credit,
    ReflectorHello,
    Start,
    StreamProofs,
    ToReflector,
)
from deltawire.common.wire.network import open_context
from deltawire.reflector.backoff import Backoff
from deltawire.reflector.clusters import IDENTITY_PATIENCE_S, Clusters
from deltawire.reflector.descriptors import needed, raise_limit
from deltawire.reflector.driver import StreamDriver
from deltawire.reflector.gather import GATHER_S
from deltawire.reflector.identity import ClusterChangedError
from deltawire.reflector.list_plan import ServerTraits
from deltawire.reflector.listwatch import ClusterListerWatcher
from deltawire.reflector.machine import Machine
from deltawire.reflector.proof import Stillness
from deltawire.reflector.proving import Proving, StreamName
from deltawire.reflector.reader import Reader
from deltawire.reflector.split import Counters
from deltawire.reflector.transform import trimmer

log = logging.getLogger(__name__)

ROLE = "reflector"
_DECODE: Decoder[ToReflector] = Decoder(ToReflector)
# Streams turned in a row before a beat reports that a long turn goes on.
TURNS_IN_SILENCE = 16
# At the end, for all readers together: one that waits for an answer is left behind and dies with the process.
CLOSE_S_MAX = 1.0


class Reflector:
    """``connect`` makes the client of a cluster; the rest of the world is the plan's."""

    def __init__(
        self,
        plan: Plan,
        name: str,
        index: int,
        *,
        connect: Callable[[ClusterOptions], RESTClient] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._plan = plan
        self._clock = clock or SystemClock()
        self._beats = of_process()
        self._connect = connect or connect_cluster
        self._waker = Waker()
        self._context: zmq.Context[zmq.Socket[bytes]] = open_context(plan, f"reflector-{index}")
        identity = new_identity(ROLE, name, plan.run)
        self._heartbeat = Heartbeat(self._context, plan.heartbeat_s)
        self._loop = SharedLoop(self._clock, self._heartbeat)
        self._control = Control(
            self._context, plan, identity, self._heartbeat, clock=self._clock, answer=self._answer
        )
        self._link = Link(
            self._context,
            plan.endpoint("fifo-in"),
            identity,
            self._hello,
            clock=self._clock,
            silent_s=SILENT_INTERVALS_MAX * plan.heartbeat_s,
        )
        self._heartbeat.watch(self._link)
        self._stillness = Stillness()
        self._clusters = Clusters(
            clock=self._clock,
            send=lambda cluster, found, address: self._link.send(Cluster(cluster, found, address)),
            wake=lambda cluster: self._waker.wake(),
        )
        self._refused = ""
        self._malformed = 0
        self._streams: dict[StreamName, StreamDriver] = {}
        self._timers: dict[StreamName, Timer] = {}
        traits: dict[str, ServerTraits] = {}
        for informer, stream in plan.streams_of_reflector(index):
            shared = traits.setdefault(informer, ServerTraits())
            self._streams[informer, stream] = self._stream(plan.informers[informer], stream, shared)
            self._timers[informer, stream] = self._loop.timer(partial(self._ready_add, (informer, stream)))
        need = needed(len(self._streams))
        self._descriptors = raise_limit(need)
        if self._descriptors < need:
            log.warning(
                "%d streams may need %d open files, the limit is %d: raise it with ulimit -n",
                *(len(self._streams), need, self._descriptors),
            )
        self._ready: set[StreamName] = set()
        self._proving = Proving(self._streams, plan.heartbeat_s, self._control.hurry)
        self._proofs = self._loop.timer(self._prove)

    def run(self, stop: threading.Event) -> int:
        """Mirror until ``stop`` is set. The next reflector reads again what was not published."""
        follow_link(self._loop, self._clock, self._link, self._on)
        self._loop.reads(self._waker.fileno(), self._tell_clusters)
        self._control.join(self._loop, self.status)
        self._patience = self._loop.timer(self._clusters.tell)
        self._heartbeat.start()
        log.info("mirrors %d streams: %s", len(self._streams), ", ".join(d.name for d in self._drivers()))
        try:
            self._clusters.start()
            self._loop.run(stop, self._turn, until=lambda: self._control.wants_drain)
        finally:
            self._close()
        return 0

    def status(self) -> dict[str, Any]:
        return {
            "streams": {
                driver.name: driver.status(self._clusters.error_of(_cluster_of(driver)))
                for driver in self._drivers()
            },
            "cluster_ids": self._clusters.ids(),
            "clusters": self._clusters.status(),
            "descriptors": {"limit": self._descriptors, "need": needed(len(self._streams))},
            "malformed": self._malformed + self._link.malformed,
            "broker": "connected" if self._link.is_open else (self._refused or "not connected"),
        }

    # -- the loop

    def _tell_clusters(self) -> None:
        self._waker.clear()
        self._clusters.tell()

    def _has_news(self, name: StreamName) -> None:
        """A stream's reader has results. In its thread, which does what follows, too."""

        def take() -> None:
            self._ready.add(name)
            self._turn()

        self._loop.visit(take)

    def _ready_add(self, name: StreamName) -> None:
        self._ready.add(name)

    def _turn(self) -> None:
        """The end of a turn: the streams that have something to do."""
        wall_us = int(self._clock.wall_s() * 1_000_000)
        self._stillness.turn(self._clock.now_s(), wall_us)
        if not self._ready:
            return
        ready, self._ready = self._ready, set()
        for number, name in enumerate(ready, 1):
            driver = self._streams[name]
            if driver.turn():
                self._ready.add(name)
            self._clusters.tell_of(_cluster_of(driver))
            self._stop_cluster_if_changed(driver)
            self._proving.note(name, wall_us)
            # Too early costs one more turn; a stream whose time moves on with each event costs no entry each.
            self._timers[name].hurry(driver.due_s())
            if number % TURNS_IN_SILENCE == 0:
                self._beats.progress(driver.name)
        self._proofs.hurry(self._proving.due_s)
        if self._ready:
            self._loop.soon()

    def _prove(self) -> None:
        """Each beat, and soon after streams begin to watch: how far each is, behind all that was sent of it."""
        if self._link.is_open:  # else when it is open again
            rows = self._proving.rows(self._clock.now_s())
            if rows:
                self._link.send(StreamProofs(rows))
            self._proofs.set(self._proving.due_s)

    def _on(self, event: LinkEvent) -> None:
        if isinstance(event, Opened):
            log.info("connected to the broker")
            self._refused = ""
            self._clusters.session_opened()
            self._patience.set(self._clock.now_s() + IDENTITY_PATIENCE_S)
            self._proofs.hurry(self._proving.due_s)
        elif isinstance(event, Lost):
            log.warning("the broker is lost: %s", event.reason)
            self._clusters.session_lost()
            for driver in self._drivers():
                driver.stop(None)
            self._ready |= self._streams.keys()
        elif isinstance(event, Refused):
            self._refused = f"refused: {event.reason}"
            log.error("the broker refuses us: %s", event.reason)
        elif isinstance(event, Arrived):
            self._on_message(event.message)

    def _on_message(self, packed: msgspec.Raw) -> None:
        try:
            message = _DECODE(packed)
            if isinstance(message, Cluster):
                self._clusters.told(message.cluster, message.id, message.address)
                self._clusters.tell()
                return
            name = (message.informer, message.stream)
            if name not in self._streams:
                raise ProtocolError(
                    f"a message of stream {message.informer}@{message.stream}, which is not ours"
                )
        except ProtocolError as error:
            self._malformed += 1
            log.warning("a message of the broker was ignored: %s", error)
            return
        driver = self._streams[name]
        if isinstance(message, Start):
            driver.start(message.resume, message.floor, message.generation, message.deltas, message.bytes)
        elif isinstance(message, Credit):
            driver.credit(message.deltas, message.bytes)
        else:
            driver.stop(StateError(message.reason))
        self._ready.add(name)

    def _answer(self, verb: str, arguments: dict[str, Any]) -> list[str]:
        """A request of the supervisor. ``relist`` of an ``informer``: the streams of ours that list now."""
        if verb != "relist":
            return list(refuse_all(verb, arguments))
        wanted = str(arguments.get("informer", ""))
        listing = [d for d in self._drivers() if d.informer == wanted and d.relist()]
        self._ready |= {(d.informer, d.stream) for d in listing}
        return [d.name for d in listing]

    def _stop_cluster_if_changed(self, driver: StreamDriver) -> None:
        """One stream's finding holds for all of its cluster; the broker stops those elsewhere."""
        error = driver.machine.error
        if not isinstance(error, ClusterChangedError):
            return
        cluster = _cluster_of(driver)
        if self._clusters.changed(cluster, error.found):
            for other in self._drivers():
                if other is not driver and _cluster_of(other) == cluster:
                    other.stop(error)
                    self._ready.add((other.informer, other.stream))

    def _hello(self) -> dict[str, Any]:
        return dict(msgspec.to_builtins(ReflectorHello(list(self._streams))))

    # -- parts

    def _drivers(self) -> list[StreamDriver]:
        return list(self._streams.values())

    def _before(self, informer: InformerPlan) -> list[str]:
        """The custom resources of its cluster whose informers come first: one of them may be the same one."""
        found: list[str] = []
        for other in self._plan.informers.values():
            if other.name == informer.name:
                break
            if other.cluster == informer.cluster and find(other.resource, BUILTIN) is None:
                found.append(other.resource)
        return found if find(informer.resource, BUILTIN) is None else []

    def _stream(self, informer: InformerPlan, stream: str, traits: ServerTraits) -> StreamDriver:
        options = informer.options
        where = self._plan.clusters[informer.cluster]
        shared = self._clusters.add(informer.cluster, lambda: self._connect(where))
        name = (informer.name, stream)
        counters = Counters()
        source = ClusterListerWatcher(
            shared.cluster,
            informer.resource,
            stream,
            resolve,
            label_selector=options.label_selector,
            field_selector=options.field_selector,
            before=self._before(informer),
        )
        reader = Reader(
            f"{informer.name}@{stream}",
            source,
            trim=trimmer(
                drop=options.drop, metadata_only=options.metadata_only, secrets=options.secrets or "keep"
            ),
            counters=counters,
            clock=self._clock,
            wake=partial(self._has_news, name),
            gather_s=GATHER_S,
        )
        driver = StreamDriver(
            informer.name,
            stream,
            machine=Machine(Backoff(), traits, random.random, shared.gate),
            reader=reader,
            counters=counters,
            clock=self._clock,
            send=self._link.send,
            before_publishing=lambda: self._clusters.tell_of(informer.cluster),
            turn_at_s=shared.openings.reserve,
            stillness=self._stillness,
            visit=self._loop,
        )
        reader.pass_on = driver.pass_on
        return driver

    def _close(self) -> None:
        self._loop.end_visits()
        self._control.report(self.status())
        for driver in self._drivers():
            driver.close()
        deadline_s = self._clock.now_s() + CLOSE_S_MAX
        have_ended = [driver.join(deadline_s - self._clock.now_s()) for driver in self._drivers()]
        self._clusters.close()
        self._heartbeat.stop()
        self._control.close()
        self._link.close()
        self._loop.close()
        if all(have_ended):
            self._waker.close()
        self._context.destroy(linger=0)


def _cluster_of(driver: StreamDriver) -> str:
    return driver.informer.partition("/")[0]


def connect_cluster(options: ClusterOptions) -> RESTClient:
    """The client of one cluster of the config. Raises ConfigError."""
    config = load_client_config(kubeconfig=options.kubeconfig, context=options.context)
    # The machine decides about every retry; a client that waits by itself would hide the error from status.
    return RESTClient(replace(config, user_agent=f"deltawire-reflector/{__version__}"), retry=NO_RETRIES)


def resolve(client: RESTClient, word: str) -> ResourceType:
    return DiscoveryClient(client).resolve(word)


def main(argv: Sequence[str] | None = None) -> int:
    """``python -m deltawire.reflector --config FILE --index N``; the exit code for `sys.exit`."""

    def make(arguments: RoleArguments, plan: Plan) -> Reflector:
        return Reflector(plan, arguments.name_of(ROLE), arguments.index)

    return run_role(ROLE, make, parse_arguments(ROLE, argv))
