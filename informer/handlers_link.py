"""The worker's side of `worker-<i>`: replicas, events out, acks and queries in (docs/wire.md §7)."""

import logging
from collections.abc import Iterable

import msgspec

from deltawire.common.clock import Clock
from deltawire.common.errors import DeltawireError, ProtocolError
from deltawire.common.limits import BATCH_BYTES_MAX, BATCH_DELTAS_MAX
from deltawire.common.loop import Loop
from deltawire.common.meta.clauses import Judge
from deltawire.common.wire.codec import Decoder
from deltawire.common.wire.listener import Listener
from deltawire.common.wire.listener_events import Arrived, Ending, Gone, Hello, ListenerEvent
from deltawire.common.wire.messages import group as wire
from deltawire.common.wire.messages.group import EventRow
from deltawire.common.wire.messages.proofs import InformerProof
from deltawire.common.wire.session import Peer
from deltawire.informer import readers
from deltawire.informer.groups import outcomes
from deltawire.informer.groups.group import Group
from deltawire.informer.groups.options import GroupOptions
from deltawire.informer.groups.replica import Departure, Replica
from deltawire.informer.groups.state import EVERY, LATEST, KnownReplica
from deltawire.informer.queries import Queries
from deltawire.informer.readers import Readers
from deltawire.informer.shard import Shard
from deltawire.informer.shared_informer import SharedInformer
from deltawire.informer.store.trouble import OwnerLost
from deltawire.informer.turns import BusyShards

log = logging.getLogger(__name__)

WINDOW_MAX = 10_000
# All shards send a notice of the same list, and do not know of each other: this one's is the first attempt.
FIRST_SHARD = 0
# A group's name is part of keys in the store.
_GROUP_BYTES_MAX = 63
# A replica whose session ended without its death comes back and names the calls that it is in.
_DEPARTURES = {
    Ending.LOST: Departure.DIED,
    Ending.AGAIN: Departure.SESSION,
    Ending.RESET: Departure.SESSION,
    Ending.LEFT: Departure.LEFT,
}


_DECODE: Decoder[wire.FromHandler] = Decoder(wire.FromHandler)


class HandlersLink:
    """All replicas of all groups that this worker serves."""

    def __init__(
        self,
        informers: dict[str, SharedInformer],
        listener: Listener,
        busy: BusyShards,
        *,
        loop: Loop,
        clock: Clock,
    ) -> None:
        """``busy`` is told of each shard that something happened to, and of the group if only it is concerned."""
        self._listener = listener
        self._busy = busy
        self.malformed = 0
        self._informers = informers
        self._queries = Queries(informers, listener, loop, clock)
        self._readers = Readers(listener)
        self._here: dict[bytes, tuple[Peer, wire.HandlerHello, Replica]] = {}
        # Which replicas know that their group is synced on a shard.
        self._synced: dict[Group, set[bytes]] = {}
        # Acks of held calls for shards that are not open yet. Bounded by what the hello named.
        self._early: dict[tuple[bytes, str, int], list[wire.AckRow]] = {}

    @property
    def replicas(self) -> dict[str, int]:
        """How many replicas of each group are here."""
        counts: dict[str, int] = {}
        for _, hello, _ in self._here.values():
            # Who gets no events only reads.
            if hello.informers:
                counts[hello.group] = counts.get(hello.group, 0) + 1
        return counts

    def take(self, event: ListenerEvent) -> None:
        """Digest one event of the listener."""
        if isinstance(event, Arrived):
            try:
                message = _DECODE(event.message)
                if isinstance(message, wire.Query):
                    self._queries.take(event.peer, message, len(bytes(event.message)))
                elif isinstance(message, wire.Bye):
                    self._listener.let_go(event.peer, "it has left")
                elif self._readers.has(event.peer):
                    self.malformed += 1
                    self._readers.refuse(event.peer, "acks" if isinstance(message, wire.Acks) else "gap-seen")
                elif isinstance(message, wire.Acks):
                    followed = self._followed(event.peer, message.informer, message.shard)
                    if followed is None:
                        self._keep_early(event.peer, message)
                    else:
                        shard, group = followed
                        outcomes.acknowledge(group, event.peer.identity, message.rows, shard.now())
                        self._busy.acknowledged(shard, group)
                else:
                    self._gap_seen(event.peer, message)
            except ProtocolError as error:
                self.malformed += 1
                log.warning("reset %s: it sent %s", event.peer.name[:80], error)
                self._listener.reset(event.peer, str(error))
        elif isinstance(event, Hello):
            self._hello(event.peer)
        else:
            self._gone(event)

    def opened(self, informer: SharedInformer) -> None:
        """An informer's shards can be read and delivered now: its handlers join."""
        for peer, hello, replica in list(self._here.values()):
            if informer.name in hello.informers:
                self._try_join(peer, hello, replica, informer)

    def deliver(self, shard: Shard, groups: Iterable[Group]) -> None:
        """Send what these groups of a shard are to get now."""
        for group in groups:
            if group.gaps.waiting:
                self._tell_gaps(shard, group)
        for _, by_replica in shard.deliver(groups):
            for identity, events in by_replica.items():
                if len(events) == 1:
                    self._listener.send(identity, wire.Events(shard.informer, shard.number, events))
                else:
                    self._send_events(identity, shard, events)
        for group in groups:
            if group.members.wanted:
                self._ask_for_acks(shard, group)
            if len(self._synced.get(group, ())) < len(group.members.here) and group.is_synced:
                self._tell_synced(shard, group)

    def prove(self, rows: list[InformerProof]) -> None:
        """Send each replica, and who only reads, the freshness of this worker's part of each informer."""
        self._readers.prove(rows)
        if not self._here:
            return
        message = wire.InformerProofs(rows)
        for identity in self._here:
            self._listener.send(identity, message)

    def _hello(self, peer: Peer) -> None:
        if peer.role == readers.ROLE:
            self._readers.hello(peer)
            return
        try:
            hello = msgspec.convert(peer.body, wire.HandlerHello)
        except msgspec.ValidationError as error:
            self._listener.refuse(peer, f"a handler's hello is malformed: {error}")
            return
        reason = self._objection(hello)
        if reason:
            self._listener.refuse(peer, reason)
            return
        known = KnownReplica(peer.name, peer.nonce, peer.pid, peer.started, peer.host)
        replica = Replica(
            peer.identity,
            known,
            min(hello.window, WINDOW_MAX),
            hello.window_bytes,
            wants_old=hello.old,
            may_ask=hello.late,
        )
        if not self._listener.welcome(peer, {"asks": True}):
            return
        self._here[peer.identity] = (peer, hello, replica)
        for name in hello.informers:
            informer = self._informers[name]
            if informer.cluster_id and not informer.error:
                self._try_join(peer, hello, replica, informer)

    def _objection(self, hello: wire.HandlerHello) -> str:
        unknown = [name for name in hello.informers if name not in self._informers]
        if unknown:
            return f"no informer {unknown[0][:80]!r} is configured"
        if hello.delivery not in (EVERY, LATEST):
            return f"delivery is {EVERY!r} or {LATEST!r}, not {hello.delivery[:40]!r}"
        if not hello.group or "\0" in hello.group or len(hello.group.encode()) > _GROUP_BYTES_MAX:
            return f"a group's name has 1 to {_GROUP_BYTES_MAX} bytes"
        if hello.window < 1 or hello.window_bytes < 1:
            return "a window has room for at least one key"
        try:
            for clauses in hello.filters.values():
                for clause in clauses:
                    Judge(clause)
        except DeltawireError as error:
            return f"a filter cannot be used: {error}"
        return ""

    def _try_join(
        self, peer: Peer, hello: wire.HandlerHello, replica: Replica, informer: SharedInformer
    ) -> None:
        """Join, or end the session so that the replica tries again."""
        try:
            self._join(hello, replica, informer)
        except OwnerLost:
            raise
        except DeltawireError as error:
            self._listener.reset(peer, f"{informer.name} cannot be followed now: {error}")

    def _join(self, hello: wire.HandlerHello, replica: Replica, informer: SharedInformer) -> None:
        clauses = tuple(hello.filters.get(informer.name, ()))
        options = GroupOptions(hello.delivery, max(0.0, hello.resync_s), hello.attempts_max or 0, clauses)
        for number, shard in informer.shards.items():
            group = shard.groups.get(hello.group)
            if group is not None and group.members.here.get(replica.identity) is replica:
                # It stood still for a while, and the replica has been here since before.
                continue
            held = [
                (key, seq, fence)
                for name, where, key, seq, fence in hello.held
                if name == informer.name and where == number
            ]
            shard.join(hello.group, options, replica, held)
            early = self._early.pop(_place(replica, shard), [])
            outcomes.acknowledge(shard.groups[hello.group], replica.identity, early, shard.now())
            # The group is on the disk before it gets anything of the shard: from here on no deletion is missed.
            shard.flush()
            self._busy.touch(shard)
            folder = str(shard.indexer.folder)
            opened = wire.Opened(informer.name, number, informer.shards_in_all, folder)
            self._listener.send(replica.identity, opened)

    def _gone(self, event: Gone) -> None:
        here = self._here.pop(event.peer.identity, None)
        self._readers.gone(event)
        self._queries.gone(event.peer)
        if here is None:
            return
        _, hello, replica = here
        log.info("handler %s is gone: %s", event.peer.name, event.reason)
        for name in hello.informers:
            for shard in self._informers[name].shards.values():
                self._busy.touch(shard)
                shard.leave(hello.group, replica.identity, event.reason, _DEPARTURES[event.how])
        self._synced = {
            group: left for group, told in self._synced.items() if (left := told - {replica.identity})
        }
        self._early = {place: acks for place, acks in self._early.items() if place[0] != replica.identity}

    def _followed(self, peer: Peer, name: str, number: int) -> tuple[Shard, Group] | None:
        """A shard and the peer's group on it. None where the shard is not open yet, or the group does not follow it."""
        here, informer = self._here.get(peer.identity), self._informers.get(name)
        shard = informer.shards.get(number) if informer is not None else None
        group = shard.groups.get(here[1].group) if shard is not None and here is not None else None
        return None if shard is None or group is None else (shard, group)

    def _keep_early(self, peer: Peer, acks: wire.Acks) -> None:
        """The call was held at the hello and has ended since; the shard opens later. Joining would take the call for
        one that goes on, and it would never end."""
        name, number = acks.informer, acks.shard
        here = self._here.get(peer.identity)
        if here is None or name not in self._informers:
            return
        _, hello, replica = here
        held = {(key, seq, fence) for where, n, key, seq, fence in hello.held if (where, n) == (name, number)}
        early = self._early.setdefault((replica.identity, name, number), [])
        known = {ack[:3] for ack in early}
        early += [ack for ack in acks.rows if ack[:3] in held and ack[:3] not in known]

    def _send_events(self, identity: bytes, shard: Shard, events: list[EventRow]) -> None:
        """In messages of bounded size; what a vanished peer was sent counts as in flight until its Gone."""
        batch: list[EventRow] = []
        size = 0
        for event in events:
            bytes_ = len(event.object or b"") + len(event.old or b"")
            if batch and (len(batch) >= BATCH_DELTAS_MAX or size + bytes_ > BATCH_BYTES_MAX):
                self._listener.send(identity, wire.Events(shard.informer, shard.number, batch))
                batch, size = [], 0
            batch.append(event)
            size += bytes_
        if batch:
            self._listener.send(identity, wire.Events(shard.informer, shard.number, batch))

    def _ask_for_acks(self, shard: Shard, group: Group) -> None:
        for identity, keys in group.members.take_wanted().items():
            self._listener.send(identity, wire.AcksWanted(shard.informer, keys))

    def _tell_gaps(self, shard: Shard, group: Group) -> None:
        identity = next(iter(group.members.here), None)
        if identity is None:
            return
        for gap, times in group.gaps.untold(identity):
            notice = wire.Gap(
                shard.informer, shard.number, gap.number, gap.reason, gap.stream,
                gap.generation, gap.lost_from, gap.version, gap.at, times + (shard.number != FIRST_SHARD),
            )  # fmt: skip
            group.counters.gaps += 1
            self._listener.send(identity, notice)

    def _gap_seen(self, peer: Peer, seen: wire.GapSeen) -> None:
        followed = self._followed(peer, seen.informer, seen.shard)
        if followed is not None and followed[1].gaps.seen(seen.number):
            followed[1].record.touch()
            self._busy.touch(*followed)

    def _tell_synced(self, shard: Shard, group: Group) -> None:
        told = self._synced.setdefault(group, set())
        for identity in group.members.here:
            if identity not in told:
                told.add(identity)
                self._listener.send(identity, wire.Synced(shard.informer, shard.number))


def _place(replica: Replica, shard: Shard) -> tuple[bytes, str, int]:
    return replica.identity, shard.informer, shard.number
