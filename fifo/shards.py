"""An informer in the broker: its shards with their queues, its streams, and where a stream starts."""

from dataclasses import dataclass, field

import msgspec

from deltawire.common.errors import ProtocolError
from deltawire.common.limits import SHARD_BYTES_MAX, SHARD_DELTAS_MAX
from deltawire.common.meta.keys import shard_of
from deltawire.common.meta.versions import highest, is_at_or_below, lowest
from deltawire.common.wire.messages import shard as from_worker
from deltawire.common.wire.messages import stream as from_reflector
from deltawire.common.wire.messages.proofs import Proof
from deltawire.fifo.engine import Engine, Freed, ShardQueue
from deltawire.fifo.limits import BARRIERS_MAX
from deltawire.fifo.proofs import ProofTrail
from deltawire.fifo.streams import Stream


@dataclass(slots=True)
class Shard:
    """One shard: its queue, its worker and that worker's report.

    ``report`` is None until the present worker has opened the shard. ``holds`` says per stream whether the
    shard, as acknowledged, has a resume version of it: a begin takes it away, an end brings it (if it has one).
    """

    number: int
    queue: ShardQueue
    owner: bytes | None = None
    opened: str | None = None  # the cluster id in the last `open` sent to the owner
    report: from_worker.ShardState | None = None
    is_foreign: bool = False  # the report is of another cluster's objects
    is_renamed: bool = False  # the cluster has another id than the last `open`
    failed: str = ""
    holds: dict[str, bool] = field(default_factory=dict)
    proofs: ProofTrail = field(default_factory=ProofTrail)

    @property
    def is_open(self) -> bool:
        return self.owner is not None and self.report is not None and not (self.failed or self.is_foreign)

    @property
    def has_room(self) -> bool:
        return self.queue.leased < SHARD_DELTAS_MAX and self.queue.leased_bytes < SHARD_BYTES_MAX

    @property
    def is_ready(self) -> bool:
        """True if a batch can be sent now."""
        return self.queue.depth > 0 and self.is_open and self.has_room

    def taken_by(self, owner: bytes | None) -> None:
        """The shard's owner changed, or is gone (None): leases go back to the head, nothing else is lost."""
        self.owner = owner
        self.opened = self.report = None
        self.failed = ""
        self.is_foreign = self.is_renamed = False
        self.queue.release()

    def settle(self, freed: Freed) -> None:
        for barrier in freed.barriers:
            self.holds[barrier.stream] = not isinstance(barrier, from_worker.ListBegin) and bool(
                barrier.version
            )


class Informer:
    """``boot`` is the broker's nonce. All methods are pure; what must be sent is up to the caller."""

    def __init__(
        self, name: str, streams: list[str], shards: int, engine: Engine, *, boot: str, latest_only: bool
    ) -> None:
        self.name = name
        self.cluster = name.partition("/")[0]
        self.streams = {stream: Stream(name, stream) for stream in streams}
        self.shards = [
            Shard(number, engine.queue(name, number, boot=boot, latest_only=latest_only))
            for number in range(shards)
        ]
        # Waits for its turn to send (`Broker.pump`).
        self.is_queued = False
        self._boot = boot
        self._turns = 0
        # Shards that may have something to send: what came, or made room, since they last had nothing.
        self._touched: dict[int, Shard] = {}
        # Streams that are further than their marks say.
        self._unmarked: set[str] = set()

    def boot_of(self, shard: Shard) -> str:
        """What the numbers of the shard's queue belong to."""
        return self._boot

    # From reflectors. Each returns False if the message is late and was dropped.

    def begin(self, message: from_reflector.Begin) -> bool:
        stream = self.streams[message.stream]
        if not stream.begin(message):
            return False
        for shard in self.shards:
            shard.queue.begin(stream.name, message.generation)
            self.touch(shard)
        return True

    def deltas(self, message: from_reflector.Deltas) -> bool:
        stream, rows = self.streams[message.stream], message.rows
        items = size = 0
        for type_, namespace, name, _, _, object_ in rows:
            items += type_ == "R"
            size += len(object_)
            if not name or (stream.name not in ("*", namespace)):
                raise ProtocolError(f"a delta of {namespace}/{name} in stream {stream.name}")
        if not stream.deltas(len(rows), items, size, message.version):
            return False
        self._put(message)
        if message.version:
            self._unmarked.add(stream.name)
        return True

    def _put(self, message: from_reflector.Deltas) -> None:
        """Into the queues of their shards."""
        stream, at, count = message.stream, message.at, len(self.shards)
        for delta in message.rows:
            # `key_of`, written out.
            number = shard_of(f"{delta.namespace}/{delta.name}", count)
            shard = self._touched[number] = self.shards[number]
            shard.queue.add(stream, at, delta)

    def mark(self, message: from_reflector.Mark) -> bool:
        stream = self.streams[message.stream]
        if not stream.mark(message.version):
            return False
        self._unmarked.add(stream.name)
        return True

    def end(self, message: from_reflector.End) -> bool:
        stream = self.streams[message.stream]
        if not stream.end(message):
            return False
        for shard in self.shards:
            shard.queue.end(stream.name, message.generation, message.items, message.version)
            self.touch(shard)
        return True

    def put_marks(self) -> None:
        """Queue the version of each stream in all shards, behind the deltas: it holds once those are applied.

        Periodically, and not with each delta: a shard takes versions from its own deltas, and skips after a restart
        what other shards had in between.
        """
        for name in self._unmarked:
            accepted = self.streams[name].accepted
            if accepted:
                for shard in self.shards:
                    shard.queue.mark(name, accepted)
        self._unmarked.clear()

    def prove(self, name: str, proof: Proof) -> None:
        """Queue a proof; it holds only if all that came before it was taken."""
        if self.streams[name].is_followed:
            for shard in self.shards:
                shard.proofs.put(shard.queue, name, proof)

    # From workers.

    def report(self, report: from_worker.ShardState, cluster_id: str) -> Freed:
        """The report of a shard's owner on what it has committed. Raises ProtocolError for impossible values.

        A shard of another cluster than ``cluster_id`` gets no deltas, and its report does not count.
        A stream whose past is missing in this shard must be listed again: what the shard lacks was
        acknowledged by a store that is gone.
        """
        shard = self.shards[report.shard]
        self.touch(shard)
        ours = report.boot == self._boot
        if ours and report.number > shard.queue.sent:
            raise ProtocolError(f"{report.number} is said to be committed, sent was {shard.queue.sent}")
        shard.queue.release()
        shard.report = report
        shard.failed = ""
        shard.is_foreign = report.cluster_id != cluster_id
        if shard.is_foreign:
            return Freed()
        lacks_all = shard.queue.acked > (report.number if ours else 0)
        freed = shard.queue.ack(report.number) if ours else Freed()
        shard.settle(freed)
        for stream in self.streams.values():
            if stream.accepted is None:
                continue
            said = report.streams.get(stream.name, _NOTHING)
            if said.generation > stream.generation:
                # Filled from its archive in the middle of a list, of which it has lost what was named. A list that was
                # asked for and has not begun has too low a generation.
                stream.generation, stream.awaits_list = said.generation, False
                stream.must_list()
            elif lacks_all or (shard.holds.get(stream.name) and not _covers(said.resume, stream, ours)):
                stream.must_list()
            elif stream.accepted:
                # Marks that were on their way to the worker before may be lost; this one holds them all.
                shard.queue.mark(stream.name, stream.accepted)
        return freed

    def ack(self, message: from_worker.Ack) -> Freed:
        """Raises ProtocolError for a number that was not sent."""
        shard = self.shards[message.shard]
        freed = shard.queue.ack(message.number)
        shard.settle(freed)
        self.touch(shard)
        return freed

    def renamed(self, former: str, cluster_id: str) -> None:
        """The cluster's uid is known now and replaces its address: its workers get a new `open`, and go on."""
        for shard in self.shards:
            if shard.report is not None and shard.report.cluster_id == former:
                shard.report = msgspec.structs.replace(shard.report, cluster_id=cluster_id)
                shard.is_renamed = True

    # Decisions.

    def obstacle(self, cluster_id: str) -> str:
        """Why the streams must stand still, "" if nothing is in the way. ``cluster_id``: the cluster's."""
        for shard in self.shards:
            if shard.failed:
                return f"shard {shard.number} of {self.name} cannot be used: {shard.failed}"
            if shard.report is not None and shard.is_foreign:
                return (
                    f"shard {shard.number} of {self.name} belongs to cluster {shard.report.cluster_id}, "
                    f"but {self.cluster} is {cluster_id}; nothing is swept"
                )
            if shard.queue.barriers >= BARRIERS_MAX:
                return f"shard {shard.number} of {self.name} lags: {BARRIERS_MAX} begins and ends wait in it"
        return ""

    def touch(self, shard: Shard) -> None:
        """Something happened to it that may let a batch be sent."""
        self._touched[shard.number] = shard

    def next_turn(self) -> list[Shard]:
        """The shards that may have something to send, another one first each time."""
        if len(self._touched) < 2:
            return list(self._touched.values())
        self._turns += 1
        numbers = sorted(self._touched)
        start = self._turns % len(numbers)
        return [self._touched[number] for number in numbers[start:] + numbers[:start]]

    def forget(self, shard: Shard) -> None:
        """No batch can be sent to it now."""
        del self._touched[shard.number]

    @property
    def has_touched(self) -> bool:
        """True if a batch may be sent to a shard now."""
        return bool(self._touched)

    def can_start(self, stream: Stream) -> bool:
        """A stream that this broker has started before can go on at once; a first start needs all shards."""
        return stream.accepted is not None or all(shard.is_open for shard in self.shards)

    def start(self, stream: Stream) -> tuple[str, str, int, int, int]:
        """Resume, floor, generation, credit in deltas and bytes: what `start` carries."""
        if stream.accepted is not None:
            return stream.start("", "", 0)
        said = [
            shard.report.streams.get(stream.name, _NOTHING) if shard.report else _NOTHING
            for shard in self.shards
        ]
        resume = lowest([state.resume or None for state in said]) or ""
        floor = ""
        for state in said:
            floor = highest(floor, highest(state.floor, state.resume))
        for shard in self.shards:
            shard.holds[stream.name] = bool(resume)
        return stream.start(resume, floor, max(state.generation for state in said))


_NOTHING = from_worker.StreamAt("", "", 0)


def _covers(resume: str, stream: Stream, ours: bool) -> bool:
    """True if a shard that resumes there, and then gets what its queue holds, has all of the stream."""
    return bool(resume) and (ours or is_at_or_below(stream.base, resume))
