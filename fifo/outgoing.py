"""The order in which informers send to workers: batches at once, in slices; marks and proofs periodically (pure)."""

from collections import deque

from deltawire.common.limits import BATCH_BYTES_MAX, BATCH_DELTAS_MAX
from deltawire.fifo.actions import Action, Send, Side
from deltawire.fifo.limits import MARK_EVERY_S, PROVE_EVERY_S, SLICE_BYTES
from deltawire.fifo.sends import send_proofs
from deltawire.fifo.shards import Informer


class Outgoing:
    """Informers that have something to send. Nothing else is looked at."""

    def __init__(self) -> None:
        self._turns: deque[Informer] = deque()
        self._marks_wait: dict[str, Informer] = {}
        self._proofs_wait: dict[str, Informer] = {}
        self._marks_at_s = self._proofs_at_s = float("-inf")
        # When `tick` has something to do, monotonic; inf: never.
        self.due_s = float("inf")

    @property
    def has_work(self) -> bool:
        """True if `pump` has more to give at once."""
        return bool(self._turns)

    def enqueue(self, informer: Informer) -> None:
        """It may have batches to send."""
        if not informer.is_queued:
            informer.is_queued = True
            self._turns.append(informer)

    def mark(self, informer: Informer) -> None:
        """A stream of it is further than its shards know."""
        self._marks_wait[informer.name] = informer
        if self._marks_at_s < self.due_s:
            self.due_s = self._marks_at_s

    def prove(self, informer: Informer) -> None:
        """It has a proof to pass on."""
        self._proofs_wait[informer.name] = informer
        self.due_s = min(self.due_s, self._proofs_at_s)

    def pump(self) -> list[Action]:
        """One turn of each informer that has batches: a slice of bytes, then the next informer."""
        actions: list[Action] = []
        for _ in range(len(self._turns)):
            informer = self._turns.popleft()
            size = 0
            for shard in informer.next_turn():
                queue = shard.queue
                while shard.is_ready:
                    if size >= SLICE_BYTES:
                        break
                    before = queue.leased_bytes
                    batch = queue.pop(BATCH_DELTAS_MAX, BATCH_BYTES_MAX)
                    if batch is not None and shard.owner is not None:
                        size += queue.leased_bytes - before
                        actions.append(Send(Side.WORKERS, shard.owner, batch))
                        # A begin or an end leaves the marks behind it where they are.
                        if queue.has_only_marks:
                            self.mark(informer)
                else:
                    informer.forget(shard)
            informer.is_queued = informer.has_touched
            if informer.is_queued:
                self._turns.append(informer)
        return actions

    def tick(self, now_s: float) -> list[Action]:
        """What is due: proofs each PROVE_EVERY_S, marks each MARK_EVERY_S."""
        actions: list[Action] = []
        if now_s < self.due_s:
            return actions
        if self._proofs_wait and now_s >= self._proofs_at_s:
            self._proofs_at_s = now_s + PROVE_EVERY_S
            waiting, self._proofs_wait = self._proofs_wait, {}
            actions += send_proofs(waiting.values())
            for informer in waiting.values():
                if any(shard.proofs.are_there for shard in informer.shards):
                    self.prove(informer)
        if self._marks_wait and now_s >= self._marks_at_s:
            self._marks_at_s = now_s + MARK_EVERY_S
            waiting, self._marks_wait = self._marks_wait, {}
            for informer in waiting.values():
                informer.put_marks()
                for shard in informer.shards:
                    if shard.owner is not None and shard.is_open and (marks := shard.queue.pop_marks()):
                        actions.append(Send(Side.WORKERS, shard.owner, marks))
        self.due_s = min(
            self._marks_at_s if self._marks_wait else float("inf"),
            self._proofs_at_s if self._proofs_wait else float("inf"),
        )
        return actions
