"""Adds with a delay (docs/contracts.md, work queue 6)."""

import heapq
from collections.abc import Hashable
from itertools import count
from typing import TypeVar

from deltawire.common.clock import Clock
from deltawire.handlers.workqueue.metrics import QueueMetrics
from deltawire.handlers.workqueue.queue import ITEMS_MAX, Order, WorkQueue

T = TypeVar("T", bound=Hashable)

# The heap is rebuilt when it holds more than this and over half of it is out of date.
_STALE_MIN = 64


class DelayingQueue(WorkQueue[T]):
    """A work queue with `add_after`.

    A delayed item is not dirty: a plain `add` before that time is worked on at once, and the delayed add still
    comes. Of several delays of one item the earliest counts.

    No thread of its own: each call first queues what has come due, at the time it came due, and a waiting
    `get` wakes for the next. client-go moves them by a goroutine with an intake of 1000.
    """

    def __init__(
        self,
        *,
        order: Order[T] | None = None,
        metrics: QueueMetrics | None = None,
        items_max: int = ITEMS_MAX,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(order=order, metrics=metrics, items_max=items_max, clock=clock)
        self._ready_s: dict[T, float] = {}
        # (ready, number, item); the number keeps equal times in order and items uncompared. An entry whose
        # time is not the item's own any more is out of date.
        self._heap: list[tuple[float, int, T]] = []
        self._numbers = count()

    def add_after(self, item: T, delay_s: float) -> None:
        """Add ``item`` in ``delay_s``; at once if that is not above zero. Raises CapacityError as `add`."""
        with self._changed:
            self._promote_locked()
            now_s = self._clock.now_s()
            if self._shutting_down:
                self._metrics.discarded(1)
                return
            self._metrics.retried()
            if delay_s <= 0:
                self._add_locked(item, now_s)
                return
            ready_s = now_s + delay_s
            known_s = self._ready_s.get(item)
            if known_s is None:
                self._check_room_locked()
            elif known_s <= ready_s:
                return
            self._ready_s[item] = ready_s
            heapq.heappush(self._heap, (ready_s, next(self._numbers), item))
            self._rebuild_if_stale_locked()
            self._changed.notify_all()

    def waiting(self) -> int:
        """How many items are delayed."""
        with self._changed:
            self._promote_locked()
            return len(self._ready_s)

    def _stop_taking_locked(self) -> None:
        self._promote_locked()
        if self._ready_s:
            self._metrics.discarded(len(self._ready_s))
        self._ready_s.clear()
        self._heap.clear()
        super()._stop_taking_locked()

    def _promote_locked(self) -> None:
        now_s = self._clock.now_s() if self._heap else 0.0
        while self._heap and self._heap[0][0] <= now_s:
            ready_s, _, item = heapq.heappop(self._heap)
            if self._ready_s.get(item) == ready_s:
                del self._ready_s[item]
                self._add_locked(item, ready_s)

    def _wake_at_locked(self, deadline_s: float | None) -> float | None:
        if not self._heap:
            return deadline_s
        ready_s = self._heap[0][0]
        return ready_s if deadline_s is None else min(ready_s, deadline_s)

    def _held_locked(self) -> int:
        return len(self._dirty) + len(self._ready_s)

    def _rebuild_if_stale_locked(self) -> None:
        if len(self._heap) > _STALE_MIN and len(self._heap) > 2 * len(self._ready_s):
            self._heap = [entry for entry in self._heap if self._ready_s.get(entry[2]) == entry[0]]
            heapq.heapify(self._heap)
