"""Adds when a rate limiter allows (docs/contracts.md, work queue 7)."""

from collections.abc import Hashable
from typing import TypeVar

from deltawire.common.clock import Clock
from deltawire.handlers.rate_limiters import RateLimiter, default_controller_limiter
from deltawire.handlers.workqueue.delaying import DelayingQueue
from deltawire.handlers.workqueue.metrics import QueueMetrics
from deltawire.handlers.workqueue.queue import ITEMS_MAX, Order

T = TypeVar("T", bound=Hashable)


class RateLimitingQueue(DelayingQueue[T]):
    """A delaying queue whose delays come from a limiter, a controller's default if none is given.

    A worker that failed calls `add_rate_limited` and `done`; one that succeeded, or gives the item up,
    calls `forget` and `done`.
    """

    def __init__(
        self,
        limiter: RateLimiter[T] | None = None,
        *,
        order: Order[T] | None = None,
        metrics: QueueMetrics | None = None,
        items_max: int = ITEMS_MAX,
        clock: Clock | None = None,
    ) -> None:
        super().__init__(order=order, metrics=metrics, items_max=items_max, clock=clock)
        self._limiter: RateLimiter[T] = limiter or default_controller_limiter(clock)

    def add_rate_limited(self, item: T) -> None:
        """Add ``item`` after the delay that its limiter says. Raises CapacityError as `add`."""
        self.add_after(item, self._limiter.when(item))

    def forget(self, item: T) -> None:
        """Clear what the limiter remembers of ``item``; the queue is not touched."""
        self._limiter.forget(item)

    def num_requeues(self, item: T) -> int:
        """How many rate limited adds of ``item`` since it was last forgotten."""
        return self._limiter.num_requeues(item)
