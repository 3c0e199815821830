"""The broker's decisions: events of peers in, actions out. No socket, no clock: time is passed in.

It owns nothing that must outlive it. Its peers are known by their hellos, the versions at which streams start by
the reports of the shards, and the content of its queues is read again from the API server (docs/wire.md §5, §6).
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from deltawire.common.errors import ProtocolError
from deltawire.common.wire.messages import shard as workers
from deltawire.common.wire.messages import stream as reflectors
from deltawire.fifo.actions import Action, Refuse, Reset, Send, Side, Welcome
from deltawire.fifo.clusters import Clusters
from deltawire.fifo.engine import Engine, Freed
from deltawire.fifo.limits import STRIKERS_MAX, STRIKES_MAX
from deltawire.fifo.outgoing import Outgoing
from deltawire.fifo.sessions import Members
from deltawire.fifo.shards import Informer, Shard

log = logging.getLogger(__name__)

T = TypeVar("T")
_BARRIERS = (reflectors.Begin, reflectors.End)

FromPeer = reflectors.FromReflector | workers.FromWorker
_FROM_WORKER = (workers.Ack, workers.ShardState, workers.Failed)
_ROLES = {Side.REFLECTORS: "reflector", Side.WORKERS: "informer"}


@dataclass(slots=True)
class BrokerCounters:
    """Totals since the start. ``late``: messages of former owners or starts, which were dropped."""

    late: int = 0
    malformed: int = 0
    refused: int = 0
    superseded: int = 0


class Broker:
    """``informers``: the streams of each informer, by name; hellos may name nothing else.

    ``latest_only``: informers of which no handler wants every event. Call `pump` after each round of events
    and while `has_work` is true, `tick` a few times a second.
    """

    def __init__(
        self,
        informers: Mapping[str, list[str]],
        shards: int,
        *,
        boot: str,
        engine: Engine,
        latest_only: frozenset[str] = frozenset(),
        make: type[Informer] = Informer,
    ) -> None:
        self.boot = boot
        self.counters = BrokerCounters()
        self.informers = {
            name: make(name, streams, shards, engine, boot=boot, latest_only=name in latest_only)
            for name, streams in informers.items()
        }
        self.reflectors: Members[tuple[str, str]] = Members()
        self.workers: Members[tuple[str, int]] = Members()
        self.is_draining = False
        self._clusters = Clusters()
        self._strikes: dict[bytes, int] = {}
        self._outgoing = Outgoing()

    # Peers come, go and speak.

    def hello(self, side: Side, identity: bytes, role: str, name: str, body: dict[str, Any]) -> list[Action]:
        self._drop(side, identity)
        members = self.reflectors if side is Side.REFLECTORS else self.workers
        reason = self._objection(side, identity, role) or (
            (winner := members.superseder(identity)) and f"{winner} has taken over what this peer owned"
        )
        if reason:
            self.counters.refused += 1
            return [Refuse(side, identity, reason)]
        try:
            if side is Side.REFLECTORS:
                return self._reflector_joins(identity, name, _hello(body, reflectors.ReflectorHello).streams)
            return self._worker_joins(identity, name, _hello(body, workers.WorkerHello).shards)
        except ProtocolError as error:
            self.counters.refused += 1
            return [Refuse(side, identity, str(error))]

    def gone(self, side: Side, identity: bytes) -> list[Action]:
        """The peer's session ended. Its leases wait for the next owner; its streams too."""
        return self._drop(side, identity)

    def message(self, side: Side, identity: bytes, message: FromPeer) -> list[Action]:
        """A message of a peer's present session. Raises no ProtocolError: a peer that breaks the rules is reset."""
        members = self.reflectors if side is Side.REFLECTORS else self.workers
        if identity not in members:
            self.counters.late += 1
            return []
        try:
            if isinstance(message, _FROM_WORKER):
                return self._from_worker(identity, message)
            if isinstance(message, reflectors.Cluster):
                return self._cluster_said(identity, message)
            if isinstance(message, reflectors.StreamProofs):
                return self._proved(identity, message)
            informer = self._stream_of(message.informer, message.stream)
            if self.is_draining or informer.streams[message.stream].owner != identity:
                taken = False
            elif isinstance(message, reflectors.Deltas):
                taken = informer.deltas(message)
            elif isinstance(message, reflectors.Mark):
                taken = informer.mark(message)
            elif isinstance(message, reflectors.Begin):
                taken = informer.begin(message)
            else:
                taken = informer.end(message)
        except ProtocolError as error:
            return self.broke_rules(side, identity, str(error))
        if not taken:
            self.counters.late += 1
            return []
        self._outgoing.mark(informer)
        self._outgoing.enqueue(informer)
        return self._steer(informer) if isinstance(message, _BARRIERS) else []

    def broke_rules(self, side: Side, identity: bytes, reason: str) -> list[Action]:
        """A peer broke a rule of docs/wire.md: its session is reset, and after several such messages refused."""
        if identity not in (self.reflectors if side is Side.REFLECTORS else self.workers):
            self.counters.late += 1
            return []
        self.counters.malformed += 1
        # Bounded: entries of peers that have gone are dropped with the oldest.
        self._strikes[identity] = self._strikes.pop(identity, 0) + 1
        if len(self._strikes) > STRIKERS_MAX:
            del self._strikes[next(iter(self._strikes))]
        return [*self._drop(side, identity), Reset(side, identity, reason)]

    # What is ready goes out.

    @property
    def has_work(self) -> bool:
        """True if `pump` has more to give at once."""
        return self._outgoing.has_work

    def pump(self) -> list[Action]:
        """One turn of each informer that has something to send: a slice of bytes, then the next informer."""
        return [] if self.is_draining else self._outgoing.pump()

    def tick(self, now_s: float) -> list[Action]:
        """What is due: marks and proofs."""
        return [] if self.is_draining else self._outgoing.tick(now_s)

    @property
    def due_s(self) -> float:
        """When `tick` has something to do, monotonic; inf = never."""
        return self._outgoing.due_s

    @property
    def leased(self) -> int:
        """Deltas, begins and ends that are sent and not acknowledged."""
        return sum(shard.queue.leased for informer in self.informers.values() for shard in informer.shards)

    def drain(self) -> None:
        """Take and send nothing more; acks still count."""
        self.is_draining = True

    # Reflectors.

    def _reflector_joins(self, identity: bytes, name: str, streams: list[tuple[str, str]]) -> list[Action]:
        for informer, stream in streams:
            self._stream_of(informer, stream)
        joined = self.reflectors.join(identity, name, streams)
        actions: list[Action] = []
        for loser, (informer, stream) in joined.taken:
            self.counters.superseded += 1
            actions.append(
                Send(
                    Side.REFLECTORS,
                    loser,
                    reflectors.Stop(informer, stream, f"{name} has taken over this stream"),
                )
            )
        for informer, stream in streams:
            self.informers[informer].streams[stream].taken_by(identity)
        self._clusters.said[identity] = {}
        actions.append(Welcome(Side.REFLECTORS, identity))
        for cluster in sorted({self.informers[informer].cluster for informer, _ in streams}):
            if (known := self._clusters.known.get(cluster)) is not None:
                said = reflectors.Cluster(cluster, known.id, known.address)
                actions.append(Send(Side.REFLECTORS, identity, said))
        return actions

    def _proved(self, identity: bytes, message: reflectors.StreamProofs) -> list[Action]:
        """Each proof goes behind what was taken of its stream so far."""
        informers = [self._stream_of(row.informer, row.stream) for row in message.rows]
        for informer, row in zip(informers, message.rows, strict=True):
            if not self.is_draining and informer.streams[row.stream].owner == identity:
                informer.prove(row.stream, row.proof)
                self._outgoing.prove(informer)
        return []

    def _cluster_said(self, identity: bytes, message: reflectors.Cluster) -> list[Action]:
        mine = [i for i in self.informers.values() if i.cluster == message.cluster]
        if not mine:
            raise ProtocolError(f"no informer is of cluster {message.cluster!r}")
        is_new = self._clusters.reflector_said(identity, message.cluster, message.id, message.address)
        return self._cluster_known(message.cluster, is_new)

    def _cluster_known(self, cluster: str, is_new: bool) -> list[Action]:
        """A reflector or a worker has reported a cluster's id. ``is_new``: a uid took the place of an address."""
        known = self._clusters.known.get(cluster)
        actions: list[Action] = []
        if known is not None:
            for reflector in self._clusters.uninformed(cluster):
                said = reflectors.Cluster(cluster, known.id, known.address)
                actions.append(Send(Side.REFLECTORS, reflector, said))
        for informer in self.informers.values():
            if informer.cluster == cluster:
                if is_new and known is not None:
                    informer.renamed(known.former, known.id)
                actions += self._open(informer)
                actions += self._steer(informer)
        return actions

    # Workers.

    def _worker_joins(self, identity: bytes, name: str, shards: list[tuple[str, int]]) -> list[Action]:
        for informer, shard in shards:
            self._shard_of(informer, shard)
        joined = self.workers.join(identity, name, shards)
        self.counters.superseded += len(joined.taken)
        for informer, shard in shards:
            self.informers[informer].shards[shard].taken_by(identity)
        actions: list[Action] = [Welcome(Side.WORKERS, identity)]
        for loser in joined.ousted:
            actions += self._drop(Side.WORKERS, loser)
            actions.append(Reset(Side.WORKERS, loser, f"{name} has taken over all its shards"))
        for informer in sorted({informer for informer, _ in shards}):
            actions += self._open(self.informers[informer])
        return actions

    def _from_worker(self, identity: bytes, message: workers.FromWorker) -> list[Action]:
        informer, shard = self._shard_of(message.informer, message.shard)
        if shard.owner != identity:
            self.counters.late += 1
            return []
        if isinstance(message, workers.Ack):
            if message.boot != informer.boot_of(shard) or not shard.is_open:
                self.counters.late += 1
                return []
            freed = informer.ack(message)
            actions = self._give_back(informer, freed)
            if freed.barriers:
                actions += self._steer(informer)
        elif isinstance(message, workers.Failed):
            shard.failed = message.reason or "no reason given"
            shard.queue.release()
            actions = self._steer(informer)
        else:
            actions = self._shard_said(informer, message)
        self._outgoing.enqueue(informer)
        return actions

    def _shard_said(self, informer: Informer, message: workers.ShardState) -> list[Action]:
        if not message.cluster_id:
            # No state of this cluster is stored: the worker waits for an `open` with its id.
            return []
        cluster, before = informer.cluster, self._clusters.id_of(informer.cluster)
        cluster_id, is_new = self._clusters.shard_said(cluster, message.cluster_id, message.address)
        known = self._clusters.id_of(cluster)
        freed = informer.report(msgspec.structs.replace(message, cluster_id=cluster_id), known)
        self._outgoing.mark(informer)
        actions = self._give_back(informer, freed)
        if known != before:
            return actions + self._cluster_known(cluster, is_new)
        return actions + self._steer(informer)

    def _open(self, informer: Informer) -> list[Action]:
        """Send workers the id of the cluster whose state they are to open, as soon as it is known."""
        known = self._clusters.known.get(informer.cluster)
        if known is not None and self._clusters.twin(informer.cluster):
            return []
        if known is None and not self._clusters.is_asked_for(informer.cluster):
            return []
        cluster_id, address = (known.id, known.address) if known is not None else ("", "")
        told: dict[bytes, None] = {}
        for shard in informer.shards:
            waits = shard.report is None or shard.is_renamed
            if shard.owner and waits and not shard.failed and shard.opened != cluster_id:
                shard.opened, shard.is_renamed = cluster_id, False
                told[shard.owner] = None
        return [Send(Side.WORKERS, owner, workers.Open(informer.name, cluster_id, address)) for owner in told]

    def _give_back(self, informer: Informer, freed: Freed) -> list[Action]:
        actions: list[Action] = []
        for name, (deltas, size) in freed.credit.items():
            stream = informer.streams[name]
            owed = stream.give_back(deltas, size)
            if owed and stream.owner:
                actions.append(
                    Send(Side.REFLECTORS, stream.owner, reflectors.Credit(informer.name, name, *owed))
                )
        return actions

    # Both.

    def _steer(self, informer: Informer) -> list[Action]:
        """Start the streams that can go, stop those that must not."""
        actions: list[Action] = []
        for stream in informer.streams.values():
            said = self._clusters.said_by(stream.owner, informer.cluster) if stream.owner else None
            if stream.owner is None or not said:
                continue
            known = self._clusters.id_of(informer.cluster)
            reason = self._clusters.objection(said, informer.cluster)
            if not reason:
                reason = informer.obstacle(known)
            if reason:
                if stream.stopped_for != reason:
                    log.warning("stop %s %s: %s", informer.name, stream.name, reason)
                    stream.stop(reason)
                    stop = reflectors.Stop(informer.name, stream.name, reason)
                    actions.append(Send(Side.REFLECTORS, stream.owner, stop))
            elif stream.state != "started" and informer.can_start(stream):
                start = reflectors.Start(informer.name, stream.name, *informer.start(stream))
                log.info(
                    "start %s %s at %r, generation %d",
                    *(start.informer, start.stream, start.resume, start.generation),
                )
                actions.append(Send(Side.REFLECTORS, stream.owner, start))
        return actions

    def _drop(self, side: Side, identity: bytes) -> list[Action]:
        """The peer owns nothing any more. The peers from which it had taken something are reset, and get it back."""
        members = self.reflectors if side is Side.REFLECTORS else self.workers
        losers = sorted(members.superseded_by(identity))
        if side is Side.REFLECTORS:
            for name, stream in self.reflectors.leave(identity):
                self.informers[name].streams[stream].taken_by(None)
            self._clusters.said.pop(identity, None)
        else:
            for name, number in self.workers.leave(identity):
                self.informers[name].shards[number].taken_by(None)
        return [Reset(side, loser, "what was taken over from it is free again") for loser in losers]

    def _objection(self, side: Side, identity: bytes, role: str) -> str:
        if role != _ROLES[side]:
            return f"{side} takes no {role[:40]!r}, only {_ROLES[side]!r}"
        if self.is_draining:
            return "this broker is leaving"
        if self._strikes.get(identity, 0) >= STRIKES_MAX:
            del self._strikes[identity]
            return f"sent {STRIKES_MAX} malformed messages"
        return ""

    def _stream_of(self, informer: str, stream: str) -> Informer:
        found = self.informers.get(informer)
        if found is None or stream not in found.streams:
            raise ProtocolError(f"no stream {stream[:80]!r} of an informer {informer[:80]!r} is configured")
        return found

    def _shard_of(self, informer: str, shard: int) -> tuple[Informer, Shard]:
        found = self.informers.get(informer)
        if found is None or not 0 <= shard < len(found.shards):
            raise ProtocolError(f"no shard {shard} of an informer {informer[:80]!r} is configured")
        return found, found.shards[shard]


def _hello(body: dict[str, Any], shape: type[T]) -> T:
    """A role's part of its hello. Raises ProtocolError."""
    try:
        return msgspec.convert(body, shape)
    except msgspec.ValidationError as error:
        raise ProtocolError(f"malformed hello: {error}") from None
