"""An informer whose queue brokers of several hosts share (pure).

At most one broker *leads* it: it publishes what its reflectors send. Each broker that has workers of it consumes
the shards of these.
"""

from collections.abc import Mapping

import msgspec

from deltawire.common.errors import ProtocolError
from deltawire.common.meta.keys import key_of, shard_of
from deltawire.common.meta.versions import highest, lowest
from deltawire.common.wire.messages import shard as from_worker
from deltawire.common.wire.messages import stream as from_reflector
from deltawire.common.wire.messages.proofs import Proof
from deltawire.fifo.engine import Engine, Freed
from deltawire.fifo.limits import BARRIERS_MAX
from deltawire.fifo.relay.inbox import Inbox, Lacks
from deltawire.fifo.relay.message import Published, Reached
from deltawire.fifo.relay.outbox import Outbox
from deltawire.fifo.relay.proofs import Outgoing, Proven
from deltawire.fifo.relay.wants import Consume, Demand, Done, Leave, Met, Prove, Publish, Report, Resign, Want
from deltawire.fifo.shards import Informer, Shard
from deltawire.fifo.streams import Stream

_NOTHING = from_worker.StreamAt("", "", 0)


class SharedInformer(Informer):
    """``wants`` collects what the shell must do; the caller empties it."""

    def __init__(
        self, name: str, streams: list[str], shards: int, engine: Engine, *, boot: str, latest_only: bool
    ) -> None:
        super().__init__(name, streams, shards, engine, boot=boot, latest_only=latest_only)
        self.wants: list[Want] = []
        self.outboxes = [Outbox() for _ in range(shards)]
        self.inboxes: dict[int, Inbox] = {}
        # The nonce of the present reign of this broker; "" while it does not lead.
        self.reign = ""
        self.reports: dict[int, from_worker.ShardState] = {}
        # By shard the revision of the newest demand that was heard and is not met.
        self.demanded: dict[int, int] = {}
        self.foreign_messages = 0
        self._names = list(streams)
        self._latest_only = latest_only
        self._tokens = 0
        self._met_above: dict[str, int] = {}
        self._proofs = Outgoing()
        # The newest of each stream, for a shard whose consumption begins.
        self._proven: dict[str, Proven] = {}

    @property
    def leads(self) -> bool:
        return bool(self.reign)

    @property
    def is_attended(self) -> bool:
        """True if reflectors of all its streams are here, so that this broker can lead it."""
        return all(stream.owner is not None for stream in self.streams.values())

    def boot_of(self, shard: Shard) -> str:
        inbox = self.inboxes.get(shard.number)
        return inbox.boot if inbox else self._boot

    def boot_of_shard(self, number: int) -> str:
        """Of the present reign; "" where there is none."""
        return self.outboxes[number].boot if 0 <= number < len(self.outboxes) else ""

    # A reign.

    def lead(
        self,
        reign: str,
        tails: Mapping[int, tuple[Published, int]],
        reports: Mapping[int, from_worker.ShardState],
    ) -> None:
        """This broker has the lease. ``tails``: the newest message of each shard that has one, with its sequence.

        Each shard's first message says that the reign has begun. Once it is published nobody else's can be.
        """
        self.reign = reign
        self.reports = dict(reports)
        for number, outbox in enumerate(self.outboxes):
            tail, sequence = tails.get(number, (None, 0))
            outbox.lead(reign, tail, sequence)
        self.publish()

    def decline(self, reign: str) -> None:
        """The lease is had for nothing: the queue is of another cluster."""
        self.wants.append(Resign(self.name, reign, is_declined=True))

    def step_down(self) -> None:
        """The lease is lost, or another broker has published: what was not is read again, by who leads then."""
        self.wants.append(Resign(self.name, self.reign))
        self.reign = ""
        self.demanded.clear()
        self._met_above.clear()
        self.outboxes = [Outbox() for _ in self.shards]
        self._proofs = Outgoing()
        self.streams = {name: Stream(self.name, name) for name in self._names}
        self._unmarked.clear()

    def identify(self, cluster_id: str, address: str) -> None:
        for outbox in self.outboxes:
            outbox.identify(cluster_id, address)

    def published(self, number: int, reign: str, sequence: int) -> Freed:
        """The shard's message under way has that sequence; its deltas make room for their streams."""
        if reign != self.reign:
            return Freed()
        freed = self.outboxes[number].confirmed(sequence)
        if freed.barriers or self.demanded:
            self._meet()
        self.publish()
        return freed

    def publish(self) -> None:
        """Ask for what can be published."""
        if not self.reign:
            return
        for number, outbox in enumerate(self.outboxes):
            taken = outbox.take()
            if taken is not None:
                payload, follows = taken
                self.wants.append(Publish(self.name, number, self.reign, outbox.flight_id, payload, follows))
        for payload in self._proofs.ready(self.outboxes):
            self.wants.append(Prove(self.name, payload))

    def demand(self, demand: Demand, revision: int) -> bool:
        """A shard lacks something: all streams list whose list has not begun behind that. True if that is news."""
        if not self.reign or self.demanded.get(demand.shard) == revision:
            return False
        self.demanded[demand.shard] = revision
        for stream in self.streams.values():
            begun = self.outboxes[demand.shard].begun.get(stream.name, 0)
            if demand.behind >= 0 and begun > max(demand.behind, demand.generation):
                # Another shard has asked for it: a list goes to all.
                self._met_above.setdefault(stream.name, begun - 1)
                continue
            known = [o.streams[stream.name].generation for o in self.outboxes if stream.name in o.streams]
            former, stream.generation = stream.generation, max(stream.generation, demand.generation, *known)
            self._met_above[stream.name] = stream.generation
            if stream.generation > former:
                # A list that was asked for and has not begun has too low a generation: ask anew.
                stream.awaits_list = False
            if stream.accepted is not None:
                stream.must_list()
        self._meet()
        return True

    def _meet(self) -> None:
        """A demand is met when each shard has the begin of a later list of each stream."""
        for name, generation in self._met_above.items():
            for outbox in self.outboxes:
                reached = outbox.streams.get(name)
                if reached is None or reached.generation <= generation or outbox.barriers:
                    return
        if self.demanded and self._met_above:
            self.wants += [Met(self.name, shard, revision) for shard, revision in self.demanded.items()]
            self._met_above.clear()

    # From reflectors.

    def begin(self, message: from_reflector.Begin) -> bool:
        if not self.streams[message.stream].begin(message):
            return False
        for outbox in self.outboxes:
            outbox.put(message)
        self.publish()
        return True

    def _put(self, message: from_reflector.Deltas) -> None:
        count = len(self.outboxes)
        parts: dict[int, list[from_reflector.Delta]] = {}
        for row in message.rows:
            parts.setdefault(shard_of(key_of(row.namespace, row.name), count), []).append(row)
        for number, rows in parts.items():
            self.outboxes[number].put(
                from_reflector.Deltas(message.informer, message.stream, message.version, message.at, rows)
            )
        self.publish()

    def end(self, message: from_reflector.End) -> bool:
        if not self.streams[message.stream].end(message):
            return False
        for outbox in self.outboxes:
            outbox.put(message)
        self.publish()
        return True

    def put_marks(self) -> None:
        for name in self._unmarked:
            accepted = self.streams[name].accepted
            if accepted and self.reign:
                for outbox in self.outboxes:
                    outbox.mark(name, accepted)
        self._unmarked.clear()
        self.publish()

    def prove(self, name: str, proof: Proof) -> None:
        if self.streams[name].is_followed:
            self._proofs.put(self.outboxes, name, proof)
            self.publish()

    # To workers.

    def report(self, report: from_worker.ShardState, cluster_id: str) -> Freed:
        """The shard's owner is here: what its store lacks is consumed from the queue, from the beginning on."""
        shard = self.shards[report.shard]
        shard.report = report
        shard.failed = ""
        shard.is_foreign = report.cluster_id != cluster_id
        if shard.is_foreign:
            self.left(shard.number)
            return Freed()
        self._tokens += 1
        inbox = Inbox(report, self._latest_only, self._tokens)
        for proven in self._proven.values():
            inbox.proofs.put(proven)
        self.inboxes[shard.number] = inbox
        shard.queue = inbox.queue
        shard.proofs = type(shard.proofs)()
        self.touch(shard)
        self.wants.append(Report(self.name, shard.number, msgspec.msgpack.encode(report)))
        self.wants.append(Consume(self.name, shard.number, inbox.token))
        return Freed()

    def left(self, number: int) -> None:
        """Nobody here owns the shard any more."""
        if self.inboxes.pop(number, None) is not None:
            self.wants.append(Leave(self.name, number))

    def leave_unowned(self) -> None:
        for number in [n for n in self.inboxes if self.shards[n].report is None]:
            self.left(number)

    def opened(self, number: int, token: int, tail: Published | None) -> None:
        """The shard's newest message, before the first one is delivered."""
        inbox = self.inboxes.get(number)
        if inbox is not None and inbox.token == token:
            inbox.opened(tail)

    def delivered(self, number: int, token: int, message: Published, sequence: int, size: int) -> bool:
        """A message of the shard, in the subject's order. False: it is of no use here any more."""
        inbox = self.inboxes.get(number)
        shard = self.shards[number]
        if inbox is None or inbox.token != token or shard.report is None:
            return False
        if message.cluster_id and message.cluster_id != shard.report.cluster_id:
            # The other cluster's objects. `RelayBroker` renames the report where it is the same cluster.
            self.foreign_messages += 1
            return False
        self._moved(shard, inbox, inbox.deliver(message, sequence, size))
        return True

    def asked(self, number: int, token: int) -> None:
        """The demand of the shard is kept by the servers."""
        inbox = self.inboxes.get(number)
        if inbox is not None and inbox.token == token:
            self._moved(self.shards[number], inbox, inbox.asked())

    def proven(self, proven: Proven) -> None:
        """A proof from the leader; it holds for each shard once what it speaks of was popped to it."""
        if proven.stream not in self.streams:
            return
        self._proven[proven.stream] = proven
        for number, inbox in self.inboxes.items():
            inbox.proofs.put(proven)
            self._pass_proofs(self.shards[number])

    def ack(self, message: from_worker.Ack) -> Freed:
        shard = self.shards[message.shard]
        shard.queue.ack(message.number)
        inbox = self.inboxes.get(message.shard)
        if inbox is not None:
            self._free(inbox, message.number)
            self._moved(shard, inbox, inbox.go_on())
        self.touch(shard)
        return Freed()

    # Decisions.

    def obstacle(self, cluster_id: str) -> str:
        reason = super().obstacle(cluster_id)
        if not reason and any(outbox.barriers >= BARRIERS_MAX for outbox in self.outboxes):
            return f"{self.name} cannot be published: {BARRIERS_MAX} begins and ends wait"
        return reason

    def can_start(self, stream: Stream) -> bool:
        """As the leader, once nobody else can publish, and it is known where the shards are."""
        if not self.reign or not all(outbox.is_fenced for outbox in self.outboxes):
            return False
        return stream.accepted is not None or all(
            self._reached(n, stream.name) for n in range(len(self.shards))
        )

    def start(self, stream: Stream) -> tuple[str, str, int, int, int]:
        if stream.accepted is not None:
            return stream.start("", "", 0)
        said = [
            self._reached(number, stream.name) or Reached("", "", 0, "") for number in range(len(self.shards))
        ]
        resume = lowest([one.resume or None for one in said]) or ""
        floor = ""
        for one in said:
            floor = highest(floor, highest(one.floor, one.resume))
        for outbox, one in zip(self.outboxes, said, strict=True):
            if stream.name not in outbox.streams:
                outbox.know(stream.name, Reached(resume, floor, one.generation, resume))
        self.publish()
        generation = max(one.generation for one in said)
        if stream.name in self._met_above:
            # Asked for before the stream was started.
            resume = ""
        return stream.start(resume, floor, generation)

    @property
    def lacks_reports(self) -> bool:
        """True if a stream waits for what shards say that have not been heard."""
        return bool(self.reign) and not all(
            self._reached(number, name) for name in self.streams for number in range(len(self.shards))
        )

    def _reached(self, number: int, stream: str) -> Reached | None:
        """What the queue has of the stream for the shard, else what the shard's store has; None: not known."""
        reached = self.outboxes[number].streams.get(stream)
        if reached is not None:
            return reached
        report = self.reports.get(number)
        if report is None:
            return None
        said = report.streams.get(stream, _NOTHING)
        return Reached(said.resume, said.floor, said.generation, "")

    def _moved(self, shard: Shard, inbox: Inbox, lacks: Lacks) -> None:
        """Something was taken into the shard's queue, or nothing can be."""
        self._ask(inbox, lacks)
        if shard.queue is not inbox.queue:
            # Of another boot: the numbers that proofs wait for are those of the former one.
            shard.queue, shard.proofs = inbox.queue, type(shard.proofs)()
        # What is nothing but marks, or came again, is in the store already.
        self._free(inbox, shard.queue.acked)
        self.touch(shard)
        self._pass_proofs(shard)

    def _ask(self, inbox: Inbox, lacks: Lacks) -> None:
        if lacks.is_any:
            generation = max((s.generation for s in inbox.report.streams.values()), default=0)
            boot = inbox.boot if lacks.renew else ""
            self.wants.append(
                Demand(self.name, inbox.report.shard, generation, boot, inbox.token, lacks.behind)
            )

    def _free(self, inbox: Inbox, number: int) -> None:
        sequence, messages, size = inbox.acked(number)
        if messages:
            self.wants.append(Done(self.name, inbox.report.shard, inbox.token, sequence, messages, size))

    def _pass_proofs(self, shard: Shard) -> None:
        inbox = self.inboxes.get(shard.number)
        if inbox is None:
            return
        for proven in inbox.proofs.take(shard.number, inbox.boot, inbox.number):
            shard.proofs.put(shard.queue, proven.stream, proven.proof)


def check_shard(informer: SharedInformer, number: int) -> None:
    """Raises ProtocolError for a shard that is not configured."""
    if not 0 <= number < len(informer.shards):
        raise ProtocolError(f"no shard {number} of {informer.name} is configured")
