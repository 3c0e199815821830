"""The worker's line to the broker: which shards it owns, what it has committed, the batches that wait.

Everything that was received in a session and not committed is dropped when the session ends: the broker sends
it again (docs/wire.md §3, §6).
"""

import logging
from collections import deque
from typing import Any

from deltawire.common.errors import CapacityError, DeltawireError, ProtocolError
from deltawire.common.wire.link import Arrived, Link, LinkEvent, Lost, Opened, Refused
from deltawire.common.wire.messages.proofs import Proof, ShardProof, parse
from deltawire.informer.shard import Shard, Work
from deltawire.informer.shared_informer import SharedInformer

log = logging.getLogger(__name__)

# Batches of one shard that are committed together: fewer commits when the worker lags.
BATCHES_PER_COMMIT = 4
# Proofs wait among the batches of their shard: ("proof", [{stream: proof}]).
PROOF = "proof"
_BODY_LENGTHS = {"pop": 7, "begin": 6, "end": 8}


class BrokerLink:
    """Keeps the work of each shard. Its bound is the shard's credit, which the broker grants by `shard`."""

    def __init__(self, informers: dict[str, SharedInformer]) -> None:
        self.link: Link | None = None
        self.lost = 0
        self.refused = ""
        self._informers = informers
        self._work: dict[tuple[str, int], deque[Work]] = {}
        # Cluster ids of informers for which there was no room when they were to be opened.
        self._unopened: dict[str, str] = {}

    def attach(self, link: Link) -> None:
        """The connection to use; its hellos are made by `hello`."""
        self.link = link

    def hello(self) -> dict[str, Any]:
        """The shards that this worker owns, those of failed informers included."""
        return {"shards": [[i.name, number] for i in self._informers.values() for number in i.numbers]}

    def take(self, event: LinkEvent) -> list[SharedInformer]:
        """Digest one event of the link. The informers that were opened by it, for their handlers to know."""
        if isinstance(event, Lost):
            self.lost += 1
            self._work.clear()
            log.warning("the broker's session ended: %s", event.reason)
        elif isinstance(event, Refused):
            self._work.clear()
            self.refused = event.reason
            log.error("the broker does not want this worker: %s", event.reason)
        elif isinstance(event, Opened):
            self._work.clear()
            self.refused = ""
        elif isinstance(event, Arrived):
            if event.kind == "open":
                return self._open(event.body)
            self._keep(event.kind, event.body)
        return []

    def next_work(self) -> list[tuple[SharedInformer, Shard, list[Work], dict[str, Proof]]]:
        """What each shard is to commit now: some batches of each, in turns; and what is proven then."""
        found = []
        for (name, number), queue in list(self._work.items()):
            informer = self._informers[name]
            shard = informer.shards.get(number)
            if informer.is_paused and not informer.is_trying:
                continue
            if shard is None or informer.has_failed:
                del self._work[name, number]
                continue
            work: list[Work] = []
            proofs: dict[str, Proof] = {}
            while queue and (len(work) < BATCHES_PER_COMMIT or queue[0][0] == PROOF):
                kind, body = queue.popleft()
                if kind == PROOF:
                    proofs |= body[0]
                else:
                    work.append((kind, body))
            if not queue:
                del self._work[name, number]
            found.append((informer, shard, work, proofs))
        return found

    @property
    def has_work(self) -> bool:
        return any(not self._informers[name].is_paused for name, _ in self._work)

    def put_back(self, shard: Shard, work: list[Work], proofs: dict[str, Proof]) -> None:
        """There was no room for it: it is the next again. The broker sends no more than the shard's credit."""
        queue = self._work.setdefault((shard.informer, shard.number), deque())
        if proofs:
            queue.appendleft((PROOF, [proofs]))
        queue.extendleft(reversed(work))

    def acknowledge(self, shard: Shard, work: list[Work]) -> None:
        """These batches are committed. Marks alone (last = 0) are not acknowledged."""
        numbers = [body[2] if kind == "pop" else body[1] for kind, body in work]
        if self.link is not None and any(numbers):
            self.link.send("ack", shard.informer, shard.number, work[-1][1][0], max(numbers))

    def fail(self, informer: SharedInformer) -> None:
        """Tell the broker that the informer's shards cannot be used."""
        if self.link is not None:
            for number in informer.numbers:
                self._work.pop((informer.name, number), None)
                self.link.send("failed", informer.name, number, informer.error[:1000])

    def _open(self, body: list[Any]) -> list[SharedInformer]:
        name, cluster_id, *rest = body
        informer = self._informers.get(name)
        if informer is None:
            raise ProtocolError(f"the broker asked for an informer {str(name)[:80]!r} that is not configured")
        was_open = bool(informer.cluster_id)
        if not informer.has_failed:
            try:
                if not informer.open(cluster_id, str(rest[0]) if rest else ""):
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
            self._work.pop((name, number), None)
            progress = shard.progress
            if self.link is not None:
                self.link.send(
                    "shard",
                    name,
                    number,
                    informer.cluster_id,
                    progress.boot,
                    progress.number,
                    shard.report(),
                    informer.address,
                )
        return [] if was_open else [informer]

    def retry_open(self, informer: SharedInformer) -> list[SharedInformer]:
        """Open an informer for which there was no room. As `take`."""
        return self._open([informer.name, self._unopened.get(informer.name, "")])

    def _tell_failed(self, informer: SharedInformer, reason: str) -> None:
        log.error("%s: %s", informer.name, reason)
        if self.link is not None:
            for number in informer.numbers:
                self.link.send("failed", informer.name, number, reason[:1000])

    def _keep_proofs(self, body: list[Any]) -> None:
        """Behind the batches of their shards that wait."""
        for row in parse(PROOF, body, ShardProof):
            informer = self._informers.get(row.informer)
            if informer is None or not set(row.shards) <= set(informer.numbers):
                raise ProtocolError(
                    f"the broker sent a proof of {row.informer[:80]!r} for shards that are not ours"
                )
            for number in row.shards:
                queue = self._work.setdefault((row.informer, number), deque())
                if queue and queue[-1][0] == PROOF:
                    queue[-1][1][0][row.stream] = row.proof
                else:
                    queue.append((PROOF, [{row.stream: row.proof}]))

    def _keep(self, kind: str, body: list[Any]) -> None:
        if kind == PROOF:
            self._keep_proofs(body)
            return
        if _BODY_LENGTHS.get(kind) != len(body):
            raise ProtocolError(f"the broker sent a {kind[:40]!r} of {len(body)} parts")
        name, number = body[0], body[1]
        informer = self._informers.get(name)
        if informer is None or number not in informer.numbers:
            raise ProtocolError(f"the broker sent deltas of {str(name)[:80]!r}, shard {number}: not ours")
        if not informer.has_failed:
            self._work.setdefault((name, number), deque()).append((kind, body[2:]))
