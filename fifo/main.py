"""The broker's process: two sockets, the control line, one loop around `Broker`."""

import logging
import platform
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import zmq

from deltawire.common.clock import Clock, SystemClock
from deltawire.common.config.plan import Plan
from deltawire.common.control import Control
from deltawire.common.limits import SILENT_INTERVALS_MAX
from deltawire.common.loop import Loop
from deltawire.common.process import (
    EXIT_DRAIN_LATE,
    EXIT_OK,
    RoleArguments,
    parse_arguments,
    run_role,
)
from deltawire.common.store import folder
from deltawire.common.store.host import host_of
from deltawire.common.wire.codec import UNREADABLE, Decoder, malformed
from deltawire.common.wire.follow import follow_listener
from deltawire.common.wire.heartbeat import Heartbeat
from deltawire.common.wire.identity import new_identity
from deltawire.common.wire.listener import Listener
from deltawire.common.wire.listener_events import Arrived, Gone, Hello, ListenerEvent
from deltawire.common.wire.messages.shard import FromWorker
from deltawire.common.wire.messages.stream import FromReflector
from deltawire.common.wire.network import open_context
from deltawire.common.wire.session import Peer
from deltawire.fifo.actions import Action, Refuse, Reset, Send, Side, Welcome
from deltawire.fifo.broker import Broker, FromPeer
from deltawire.fifo.in_order import InMemoryEngine
from deltawire.fifo.latest_only import latest_only
from deltawire.fifo.relay.broker import RelayBroker
from deltawire.fifo.status import status_of

if TYPE_CHECKING:
    from deltawire.fifo.relay.jetstream import JetStreamQueue
    from deltawire.fifo.relay.leads import Leads
    from deltawire.fifo.relay.servers import Servers

log = logging.getLogger(__name__)

ROLE = "fifo"
_DECODE: dict[Side, Decoder[FromPeer]] = {
    Side.REFLECTORS: Decoder(FromReflector),
    Side.WORKERS: Decoder(FromWorker),
}
# What is not acknowledged by then comes again from the API server, so a longer wait saves little.
DRAIN_S_MAX = 5.0
# How often it is looked whether an informer of a shared queue can be led from here.
ATTEND_S = 0.5
_NEVER_S = float("inf")


class Fifo:
    """The role. Its state is rebuilt from hellos at each start."""

    def __init__(self, plan: Plan, name: str, *, clock: Clock | None = None) -> None:
        self._plan = plan
        self._clock = clock or SystemClock()
        identity = new_identity(ROLE, name, plan.run)
        self.broker, self._shared = _make_broker(plan, identity.nonce, self._clock)
        plan.runtime_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._context: zmq.Context[zmq.Socket[bytes]] = open_context(plan, "fifo")
        silent_s = SILENT_INTERVALS_MAX * plan.heartbeat_s
        self._listeners: dict[Side, Listener] = {}
        self._peers: dict[tuple[Side, bytes], Peer] = {}
        try:
            for side in Side:
                self._listeners[side] = Listener(
                    self._context,
                    plan.endpoint(side),
                    clock=self._clock,
                    silent_s=silent_s,
                    run=plan.run,
                )
        except Exception:
            self._close_sockets()
            raise
        self._heartbeat = Heartbeat(self._context, plan.heartbeat_s)
        self._control = Control(self._context, plan, identity, self._heartbeat, clock=self._clock)
        self._loop = Loop(self._clock, self._heartbeat)
        # Of a shared queue: which informers stand still, and why, as last looked at.
        self._stuck: dict[str, str] = {}
        # Marks and proofs that wait for their time.
        self._ticks = self._loop.timer(self._tick)

    def run(self, stop: threading.Event) -> int:
        """Pass deltas on until ``stop`` is set or the supervisor asks; then wait for the acks under way."""
        self._heartbeat.start()
        try:
            log.info("listens on %s", ", ".join(listener.endpoint for listener in self._listeners.values()))
            for side, listener in self._listeners.items():
                follow_listener(self._loop, listener, partial(self._take, side))
            self._control.join(self._loop, self.status)
            if self._shared is not None:
                self._shared.start()
                self._loop.reads(self._shared.waker.fileno(), self._take_answers)
                self._loop.every(ATTEND_S, self._attend)
                self._loop.every(self._plan.heartbeat_s, self._look)
            self._loop.run(stop, self._pump, until=lambda: self._control.wants_drain)
            return self._drain()
        finally:
            self._heartbeat.stop()
            self._control.close()
            if self._shared is not None:
                self._shared.close()
            self._close_sockets()

    def status(self) -> dict[str, Any]:
        malformed = sum(listener.malformed for listener in self._listeners.values())
        status = status_of(self.broker, self._clock.wall_s())
        unanswered = sum(listener.unanswered for listener in self._listeners.values())
        connections_refused = sum(listener.connections_refused for listener in self._listeners.values())
        counts = {"unanswered": unanswered, "connections_refused": connections_refused}
        if self._shared is not None:
            status["nats"] = self._shared.status()
        return status | {"malformed": status["malformed"] + malformed, **counts}

    def _drain(self) -> int:
        """Nothing new is taken or sent. What the queues hold is read again by the next broker's reflectors."""
        self.broker.drain()
        deadline_s = self._clock.now_s() + min(DRAIN_S_MAX, self._plan.drain_deadline_s)
        self._loop.forgets(self._listeners[Side.REFLECTORS].socket)
        while self.broker.leased and self._clock.now_s() < deadline_s:
            self._loop.turn()
        self._control.report(self.status())
        if self.broker.leased:
            log.warning("%d deltas were not acknowledged in time", self.broker.leased)
            return EXIT_DRAIN_LATE
        return EXIT_OK

    def _take(self, side: Side, event: ListenerEvent) -> None:
        peer = event.peer
        if isinstance(event, Arrived):
            try:
                message = _DECODE[side].decode(event.message)
            except UNREADABLE as error:
                reason = str(malformed(event.message, error))
                actions = self.broker.broke_rules(side, peer.identity, reason)
            else:
                actions = self.broker.message(side, peer.identity, message)
        elif isinstance(event, Hello):
            self._peers[side, peer.identity] = peer
            actions = self.broker.hello(side, peer.identity, peer.role, peer.name, peer.body)
        else:
            log.info("%s is gone: %s", peer.name, event.reason)
            self._forget(event, side)
            actions = self.broker.gone(side, peer.identity)
        if actions:
            self._perform(actions)

    def _pump(self) -> None:
        """The end of a turn: what is ready goes out."""
        broker = self.broker
        if broker.has_work:
            self._perform(broker.pump())
            if broker.has_work:
                self._loop.soon()
        if self._shared is not None and isinstance(broker, RelayBroker):
            for want in broker.wants():
                self._shared.do(want)
        due_s = broker.due_s
        if due_s != _NEVER_S:
            self._ticks.hurry(due_s)

    def _tick(self) -> None:
        self._perform(self.broker.tick(self._clock.now_s()))

    def _take_answers(self) -> None:
        """What the servers of a shared queue have answered."""
        if self._shared is not None and isinstance(self.broker, RelayBroker):
            self._perform(self._shared.take(self.broker))

    def _attend(self) -> None:
        if self._shared is not None and isinstance(self.broker, RelayBroker):
            self._shared.attend(self.broker)
            stuck = self._shared.standstills()
            if stuck != self._stuck:
                self._stuck = stuck
                self._control.hurry()

    def _look(self) -> None:
        if self._shared is not None and isinstance(self.broker, RelayBroker):
            self._shared.look(self.broker)

    def _forget(self, event: Gone, side: Side) -> None:
        # Unless it has said hello again since: then it is another peer.
        if self._peers.get((side, event.peer.identity)) is event.peer:
            del self._peers[side, event.peer.identity]

    def _perform(self, actions: list[Action]) -> None:
        for action in actions:
            listener = self._listeners[action.side]
            if isinstance(action, Send):
                # False: the peer has vanished, and its Gone comes with the next receive.
                listener.send(action.identity, action.message)
                continue
            peer = self._peers.get((action.side, action.identity))
            if peer is None:
                continue
            if isinstance(action, Welcome):
                log.info("%s is here", peer.name)
                listener.welcome(peer)
            elif isinstance(action, Refuse):
                del self._peers[action.side, action.identity]
                listener.refuse(peer, action.reason)
            elif isinstance(action, Reset):
                log.warning("reset %s: %s", peer.name, action.reason)
                listener.reset(peer, action.reason)

    def _close_sockets(self) -> None:
        for listener in self._listeners.values():
            listener.close()
        self._context.destroy(linger=0)


def _make_broker(plan: Plan, nonce: str, clock: Clock) -> "tuple[Broker, JetStreamQueue | None]":
    """The broker with the engine that the config names, and the shell of one that is shared. Raises ConfigError."""
    informers = {informer.name: informer.streams for informer in plan.informers.values()}
    if plan.nats is None:
        broker = Broker(
            informers, plan.shards, boot=nonce, engine=InMemoryEngine(), latest_only=latest_only(plan)
        )
        return broker, None
    # Imported when needed: nats-py and asyncio take 200 ms and 17 MiB.
    from deltawire.fifo.relay.jetstream import JetStreamQueue
    from deltawire.jetstream.settings import settings_of

    # With an archive each worker has the lease of its place itself.
    is_by_host = plan.config.archive is None
    if is_by_host:
        folder.prepare(plan.store_dir, plan.shards)
    shared = JetStreamQueue(
        settings_of(plan.nats),
        informers,
        plan.shards,
        label=f"{platform.node()}-{nonce}",
        clock=clock,
        host=host_of(plan.store_dir) if is_by_host else "",
        place_of=(lambda informer, shard: plan.shard_owners[shard]) if is_by_host else None,
        leads=_leads_of(plan, nonce, clock),
        store_dir=plan.store_dir,
        silent_s=SILENT_INTERVALS_MAX * plan.heartbeat_s,
    )
    return RelayBroker(informers, plan.shards, boot=nonce, latest_only=latest_only(plan)), shared


def _leads_of(plan: Plan, nonce: str, clock: Clock) -> "Callable[[Servers], Leads] | None":
    """By what it is decided which broker leads; None for leases on NATS."""
    from deltawire.jetstream.settings import leases_of

    leases = leases_of(plan.nats)
    if leases is None:
        return None
    # Imported when needed: clients of API servers take memory.
    from deltawire.fifo.relay.kubernetes import kubernetes_leads

    return lambda servers: kubernetes_leads(plan, leases, servers, nonce, clock)


def main(argv: Sequence[str] | None = None) -> int:
    """``python -m deltawire.fifo --config FILE``; the exit code for `sys.exit`."""

    def make(arguments: RoleArguments, plan: Plan) -> Fifo:
        return Fifo(plan, arguments.name_of(ROLE))

    return run_role(ROLE, make, parse_arguments(ROLE, argv))
