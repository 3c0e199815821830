"""The worker's side of `fifo-out`: the shards it owns, what it has committed, the batches that wait.

Everything that was received in a session and not committed is dropped when the session ends: the broker sends
it again (docs/wire.md §3, §6).
"""

import logging
from collections import deque
from collections.abc import Mapping
from typing import Any

import msgspec

from deltawire.common.clock import Clock
from deltawire.common.errors import CapacityError, DeltawireError, ProtocolError
from deltawire.common.limits import SHARD_BYTES_MAX, SHARD_DELTAS_MAX
from deltawire.common.loop import Loop
from deltawire.common.wire.codec import Decoder
from deltawire.common.wire.link import Arrived, Link, LinkEvent, Lost, Refused
from deltawire.common.wire.messages import shard as wire
from deltawire.common.wire.messages.proofs import Proof, ShardProof
from deltawire.informer.shard import Shard
from deltawire.informer.shared_informer import SharedInformer

log = logging.getLogger(__name__)

# Batches of one shard that are committed together: fewer commits when the worker lags. One where groups lag, too:
# storing more than is handed out in a turn makes what is handed out older and dearer, since it is history by then.
BATCHES_PER_COMMIT = 4
# Acks wait so long for more of their kind; at once where half of a shard's credit is used, and at a list's ends.
ACK_LATE_S = 0.1
_URGENT_DELTAS, _URGENT_BYTES = SHARD_DELTAS_MAX // 2, SHARD_BYTES_MAX // 2
# Proofs wait among the batches of their shard, by stream.
Waiting = wire.Batch | dict[str, Proof]
_DECODE: Decoder[wire.ToWorker] = Decoder(wire.ToWorker)


class Owed(msgspec.Struct):
    """An ack to the broker: all up to ``number`` of its life ``boot``. Of how many deltas, and bytes of their objects.

    ``is_urgent``: it may not be late.
    """

    boot: str = ""
    number: int = 0
    deltas: int = 0
    size_bytes: int = 0
    is_urgent: bool = False


def hello_of(informers: Mapping[str, SharedInformer]) -> dict[str, Any]:
    """A worker's part of its hello: the shards that it owns, those of failed informers included."""
    owned = [(i.name, number) for i in informers.values() for number in i.numbers]
    return dict(msgspec.to_builtins(wire.WorkerHello(owned)))


class BrokerLink:
    """Keeps the work of each shard. Its bound is the shard's credit, which the broker grants by `shard`.

    The broker waits for no ack, so acks are late, and one takes the place of many; ``loop`` sends them in time.
    ``waiting``: what is not committed yet.
    """

    def __init__(
        self, informers: Mapping[str, SharedInformer], link: Link, loop: Loop, *, clock: Clock
    ) -> None:
        self.lost = 0
        self.refused = ""
        self._informers = informers
        self._link = link
        self._clock = clock
        # By informer and shard.
        self.waiting: dict[tuple[str, int], deque[Waiting]] = {}
        # What is committed and not acknowledged yet.
        self._acks: dict[tuple[str, int], Owed] = {}
        self._ack_timer = loop.timer(self.send_acks)
        # Cluster ids of informers for which there was no room when they were to be opened.
        self._unopened: dict[str, str] = {}

    def take(self, event: LinkEvent) -> list[SharedInformer]:
        """Digest one event of the link. The informers that were opened by it, for their handlers to know."""
        if isinstance(event, Arrived):
            message = _DECODE(event.message)
            if isinstance(message, wire.Open):
                return self._open(message.informer, message.cluster_id, message.address)
            if isinstance(message, wire.ShardProofs):
                self._keep_proofs(message.rows)
                return []
            informer = self._informers.get(message.informer)
            if informer is None or message.shard not in informer.numbers:
                raise ProtocolError(
                    f"the broker sent deltas of {message.informer[:80]!r}, shard {message.shard}: not ours"
                )
            if not (informer.error and informer.has_failed):
                self.waiting.setdefault((message.informer, message.shard), deque()).append(message)
        elif isinstance(event, Lost):
            self.lost += 1
            self._forget()
            log.warning("the broker's session ended: %s", event.reason)
        elif isinstance(event, Refused):
            self._forget()
            self.refused = event.reason
            log.error("the broker does not want this worker: %s", event.reason)
        else:
            self._forget()
            self.refused = ""
        return []

    def next_work(self) -> list[tuple[SharedInformer, Shard, list[wire.Batch], dict[str, Proof], Owed]]:
        """What each shard is to commit now: some batches of each, in turns; what is proven then, and acknowledged."""
        found = []
        for (name, number), queue in list(self.waiting.items()):
            informer = self._informers[name]
            shard = informer.shards.get(number)
            if informer.error and informer.is_paused and not informer.is_trying:
                continue
            if shard is None or (informer.error and informer.has_failed):
                del self.waiting[name, number]
                continue
            work: list[wire.Batch] = []
            proofs: dict[str, Proof] = {}
            owed = Owed()
            batches_max = 1 if len(queue) > 1 and shard.has_backlog else BATCHES_PER_COMMIT
            while queue and (len(work) < batches_max or isinstance(queue[0], dict)):
                waiting = queue.popleft()
                if isinstance(waiting, dict):
                    proofs |= waiting
                    continue
                work.append(waiting)
                owed.boot = waiting.boot
                if not isinstance(waiting, wire.Pop):
                    # The broker starts and stops streams by what is known of their lists.
                    owed.number, owed.is_urgent = max(owed.number, waiting.number), True
                elif waiting.last:
                    owed.number = max(owed.number, waiting.last)
                    owed.deltas += waiting.last - waiting.first + 1
                    owed.size_bytes += sum(len(row.object) for key in waiting.keys for row in key.rows)
            if not queue:
                del self.waiting[name, number]
            found.append((informer, shard, work, proofs, owed))
        return found

    @property
    def has_work(self) -> bool:
        """True if anything of what waits may be committed."""
        for name, _ in self.waiting:
            informer = self._informers[name]
            if not (informer.error and informer.is_paused):
                return True
        return False

    def put_back(self, shard: Shard, work: list[wire.Batch], proofs: dict[str, Proof]) -> None:
        """There was no room for it: it is the next again. The broker sends no more than the shard's credit."""
        queue = self.waiting.setdefault((shard.informer, shard.number), deque())
        if proofs:
            queue.appendleft(proofs)
        queue.extendleft(reversed(work))

    def acknowledge(self, shard: Shard, owed: Owed) -> None:
        """What `next_work` gave is committed. Marks alone (no number) are not acknowledged."""
        place = shard.informer, shard.number
        before = self._acks.get(place)
        if before is not None:
            owed.number = max(owed.number, before.number)
            owed.deltas += before.deltas
            owed.size_bytes += before.size_bytes
        if not owed.number:
            return
        self._acks[place] = owed
        if owed.is_urgent or owed.deltas >= _URGENT_DELTAS or owed.size_bytes >= _URGENT_BYTES:
            self.send_acks()
        elif self._ack_timer.at_s is None:
            self._ack_timer.set(self._clock.now_s() + ACK_LATE_S)

    def send_acks(self) -> None:
        """Acknowledge all that is committed."""
        acks, self._acks = self._acks, {}
        for (informer, number), owed in acks.items():
            self._link.send(wire.Ack(informer, number, owed.boot, owed.number))

    def _forget(self) -> None:
        """The session is over, and all that came in it comes again."""
        self.waiting.clear()
        self._acks.clear()

    def fail(self, informer: SharedInformer) -> None:
        """Report to the broker that the informer's shards cannot be used."""
        for number in informer.numbers:
            self.waiting.pop((informer.name, number), None)
            self._link.send(wire.Failed(informer.name, number, informer.error[:1000]))

    def _open(self, name: str, cluster_id: str, address: str) -> list[SharedInformer]:
        informer = self._informers.get(name)
        if informer is None:
            raise ProtocolError(f"the broker asked for an informer {name[:80]!r} that is not configured")
        was_open = bool(informer.cluster_id)
        if not informer.has_failed:
            try:
                if not informer.open(cluster_id, address):
                    return []
            except DeltawireError as error:
                if was_open:
                    # Another cluster: the cache stays readable and is not touched.
                    self._tell_failed(informer, str(error))
                    return []
                if isinstance(error, CapacityError):
                    # No answer: the broker waits, and `retry_open` tries again.
                    informer.pause(error)
                    self._unopened[name] = cluster_id
                    return []
                informer.fail(error)
        if informer.has_failed:
            self.fail(informer)
            return []
        self._unopened.pop(name, None)
        for number, shard in informer.shards.items():
            self.waiting.pop((name, number), None)
            progress = shard.progress
            self._link.send(
                wire.ShardState(
                    name,
                    number,
                    informer.cluster_id,
                    progress.boot,
                    progress.number,
                    shard.report(),
                    informer.address,
                )
            )
        return [] if was_open else [informer]

    def retry_open(self, informer: SharedInformer) -> list[SharedInformer]:
        """Open an informer for which there was no room. As `take`."""
        return self._open(informer.name, self._unopened.get(informer.name, ""), "")

    def _tell_failed(self, informer: SharedInformer, reason: str) -> None:
        log.error("%s: %s", informer.name, reason)
        for number in informer.numbers:
            self._link.send(wire.Failed(informer.name, number, reason[:1000]))

    def _keep_proofs(self, rows: list[ShardProof]) -> None:
        """Behind the batches of their shards that wait."""
        for row in rows:
            informer = self._informers.get(row.informer)
            if informer is None or not set(row.shards) <= set(informer.numbers):
                raise ProtocolError(
                    f"the broker sent a proof of {row.informer[:80]!r} for shards that are not ours"
                )
            for number in row.shards:
                queue = self.waiting.setdefault((row.informer, number), deque())
                if queue and isinstance(queue[-1], dict):
                    queue[-1][row.stream] = row.proof
                else:
                    queue.append({row.stream: row.proof})
