"""The proofs that follow one shard's deltas through its queue (pure)."""

from collections import deque

from deltawire.common.wire.messages.proofs import Proof
from deltawire.fifo.engine import ShardQueue


class ProofTrail:
    """At most two places in the queue have proofs: one that the queue will come to first, and the newest.

    Newer proofs take the place of the newest, so a lagging shard holds two maps and no more, and the first is
    never put off.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, dict[str, Proof]]] = deque()

    @property
    def are_there(self) -> bool:
        return bool(self._waiting)

    def put(self, queue: ShardQueue, stream: str, proof: Proof) -> None:
        """``proof`` holds once all is stored that is in the queue now."""
        if self._waiting and self._waiting[-1][0] == queue.last:
            self._waiting[-1][1][stream] = proof
        elif len(self._waiting) < 2:
            self._waiting.append((queue.last, {stream: proof}))
        else:
            _, newest = self._waiting.pop()
            self._waiting.append((queue.last, newest | {stream: proof}))

    def take(self, queue: ShardQueue) -> dict[str, Proof]:
        """The proofs with nothing queued in front of them; they are sent behind what was popped."""
        taken: dict[str, Proof] = {}
        while self._waiting and queue.has_popped(self._waiting[0][0]):
            taken |= self._waiting.popleft()[1]
        return taken
