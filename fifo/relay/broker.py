"""The broker's decisions where its queue is shared with other hosts: what the queue's servers answer, in; actions, out.

Pure, as `deltawire.fifo.broker`. What it asks of the servers is in each informer's ``wants``.
"""

import logging
from collections.abc import Mapping

import msgspec

from deltawire.common.errors import ProtocolError
from deltawire.common.wire.messages import shard as workers
from deltawire.fifo.actions import Action, Reset, Side
from deltawire.fifo.broker import Broker
from deltawire.fifo.in_order import InMemoryEngine
from deltawire.fifo.relay.informer import SharedInformer
from deltawire.fifo.relay.message import Published, decode
from deltawire.fifo.relay.proofs import decode as decode_proof
from deltawire.fifo.relay.wants import Demand, Want
from deltawire.fifo.shards import Informer

log = logging.getLogger(__name__)


class RelayBroker(Broker):
    def __init__(
        self,
        informers: Mapping[str, list[str]],
        shards: int,
        *,
        boot: str,
        latest_only: frozenset[str] = frozenset(),
    ) -> None:
        super().__init__(
            informers,
            shards,
            boot=boot,
            engine=InMemoryEngine(),
            latest_only=latest_only,
            make=SharedInformer,
        )
        # Messages and answers that no message of this format can be.
        self.unreadable = 0

    def shared(self, name: str) -> SharedInformer:
        informer = self.informers[name]
        assert isinstance(informer, SharedInformer)  # noqa: S101  # `make` above
        return informer

    def wants(self) -> list[Want]:
        """What the shell must do now, in this order."""
        found: list[Want] = []
        for name in self.informers:
            informer = self.shared(name)
            informer.leave_unowned()
            if informer.wants:
                found += informer.wants
                informer.wants = []
        return found

    @property
    def is_refused(self) -> bool:
        """True if this host has nothing to look for in the queue: it is of other clusters."""
        return all(self._clusters.is_refused(informer.cluster) for informer in self.informers.values())

    # Reigns.

    def may_lead(self, name: str) -> bool:
        """True if reflectors of all streams are here, and the queue is of the cluster that they found."""
        informer = self.shared(name)
        return informer.is_attended and not self._clusters.is_refused(informer.cluster)

    def leads(
        self,
        name: str,
        reign: str,
        tails: Mapping[int, tuple[Published, int]],
        reports: Mapping[int, workers.ShardState],
    ) -> list[Action]:
        """This broker has the lease of an informer."""
        informer = self.shared(name)
        actions = self._learn_cluster(informer, [tail for tail, _ in tails.values()])
        for report in reports.values():
            # Without a tail what shards say is all that is known of the cluster.
            if not tails:
                actions += self._cluster_of(informer, report.cluster_id, report.address)
        if self._clusters.is_refused(informer.cluster):
            # Its lease is given back soon.
            informer.decline(reign)
            return actions
        informer.lead(reign, tails, reports)
        self._identify(informer)
        return actions + self._steer(informer)

    def heard_reports(self, name: str, reports: Mapping[int, workers.ShardState]) -> list[Action]:
        informer = self.shared(name)
        informer.reports.update(reports)
        return self._steer(informer)

    def steps_down(self, name: str, reason: str) -> list[Action]:
        """The lease is lost, or another broker has published. Its reflectors say hello again, and wait."""
        informer = self.shared(name)
        if not informer.leads:
            return []
        log.warning("%s is led by another broker now: %s", name, reason)
        owners = {stream.owner for stream in informer.streams.values() if stream.owner is not None}
        actions: list[Action] = []
        for owner in sorted(owners):
            actions += self._drop(Side.REFLECTORS, owner)
            actions.append(Reset(Side.REFLECTORS, owner, f"another broker leads {name} now"))
        informer.step_down()
        return actions

    def saw_tails(self, name: str, tails: Mapping[int, tuple[Published, int]]) -> list[Action]:
        """The newest messages, while this broker cannot renew its lease: steps down where another one has begun."""
        informer = self.shared(name)
        for number, (tail, _) in tails.items():
            outbox = informer.outboxes[number]
            # One that the reign began behind was asked for before our first message was there.
            is_ours = tail.boot in (outbox.boot, outbox.former_boot)
            if informer.leads and outbox.is_fenced and not is_ours:
                return self.steps_down(name, "another one has published")
        return []

    def published(self, name: str, shard: int, reign: str, sequence: int) -> list[Action]:
        informer = self.shared(name)
        had_begun = all(outbox.is_fenced for outbox in informer.outboxes)
        freed = informer.published(shard, reign, sequence)
        actions = self._give_back(informer, freed)
        if freed.barriers or not had_begun or any(s.state != "started" for s in informer.streams.values()):
            actions += self._steer(informer)
        return actions

    def demanded(self, name: str, payload: bytes, revision: int) -> list[Action]:
        informer = self.shared(name)
        try:
            demand = msgspec.msgpack.decode(payload, type=Demand)
        except msgspec.MsgspecError:
            self.unreadable += 1
            return []
        if informer.leads and demand.boot and informer.boot_of_shard(demand.shard) == demand.boot:
            # The next reign begins a boot; the demand is still there then, and is one for a list.
            return self.steps_down(name, f"shard {demand.shard} lacks what is no longer in the queue")
        if not informer.demand(demand, revision):
            return []
        log.warning("a shard of %s lacks what is no longer in the queue: its streams list", name)
        informer.publish()
        return self._steer(informer)

    # To workers.

    def cut(self, name: str, shard: int) -> list[Action]:
        """The shard's queue is not the one that was consumed: its worker reports anew what it has."""
        owner = self.shared(name).shards[shard].owner
        if owner is None:
            return []
        return [*self._drop(Side.WORKERS, owner), Reset(Side.WORKERS, owner, f"the queue of {name} was lost")]

    def opened(self, name: str, shard: int, token: int, tail: Published | None) -> list[Action]:
        """What a consumption begins with: the shard's newest message, where there is one."""
        informer = self.shared(name)
        actions = self._learn_cluster(informer, [tail] if tail else [])
        informer.opened(shard, token, tail)
        return actions

    def heard_tails(self, name: str, tails: list[Published]) -> list[Action]:
        """Messages of the informer's queue, for the cluster's id: a host may have workers only."""
        return self._learn_cluster(self.shared(name), tails)

    def delivered(self, name: str, shard: int, token: int, sequence: int, payload: bytes) -> list[Action]:
        informer = self.shared(name)
        try:
            message = decode(payload)
        except ProtocolError as error:
            self.unreadable += 1
            log.error("%s shard %d: %s", name, shard, error)
            return []
        actions = self._learn_cluster(informer, [message])
        if self._clusters.is_refused(informer.cluster):
            # What is of another cluster must reach no store.
            return actions
        if informer.delivered(shard, token, message, sequence, len(payload)):
            self._went_on(informer)
        return actions

    def _went_on(self, informer: SharedInformer) -> None:
        self._outgoing.mark(informer)
        self._outgoing.prove(informer)
        self._outgoing.enqueue(informer)

    def asked(self, name: str, shard: int, token: int) -> None:
        """A demand is kept by the servers: its shard goes on."""
        informer = self.shared(name)
        informer.asked(shard, token)
        self._went_on(informer)

    def proven(self, name: str, payload: bytes) -> None:
        try:
            proven = decode_proof(payload)
        except ProtocolError:
            self.unreadable += 1
            return
        informer = self.shared(name)
        informer.proven(proven)
        self._outgoing.prove(informer)

    # Clusters.

    def _learn_cluster(self, informer: SharedInformer, messages: list[Published]) -> list[Action]:
        actions: list[Action] = []
        for message in messages:
            if message.cluster_id:
                actions += self._cluster_of(informer, message.cluster_id, message.address)
        return actions

    def _cluster_of(self, informer: SharedInformer, cluster_id: str, address: str) -> list[Action]:
        before, cluster = self._clusters.id_of(informer.cluster), informer.cluster
        if not self._clusters.queue_said(cluster, cluster_id, address):
            return []
        return self._cluster_known(cluster, is_new=bool(before) and self._clusters.id_of(cluster) != before)

    def _cluster_known(self, cluster: str, is_new: bool) -> list[Action]:
        turned_away: list[Action] = []
        for name, informer in self.informers.items():
            if informer.cluster == cluster:
                self._identify(self.shared(name))
                if self._clusters.is_refused(cluster):
                    turned_away += self._turn_away(informer)
        return turned_away + super()._cluster_known(cluster, is_new)

    def _turn_away(self, informer: Informer) -> list[Action]:
        """Workers that have opened their shards for the queue's cluster begin anew, and wait."""
        actions: list[Action] = []
        for owner in sorted({s.owner for s in informer.shards if s.owner and s.report is not None}):
            actions += self._drop(Side.WORKERS, owner)
            actions.append(Reset(Side.WORKERS, owner, f"the queue of {informer.name} is of another cluster"))
        return actions

    def _open(self, informer: Informer) -> list[Action]:
        return [] if self._clusters.is_refused(informer.cluster) else super()._open(informer)

    def _identify(self, informer: Informer) -> None:
        known = self._clusters.known.get(informer.cluster)
        if known is not None and isinstance(informer, SharedInformer):
            informer.identify(known.id, known.address)
            informer.publish()
