"""client-go's work queue: each item once, never two workers at one item, retries with delays.

``queue`` is the queue, ``delaying`` adds `add_after`, ``rate_limiting`` adds `add_rate_limited`,
``metrics`` is what they report. The rules: docs/contracts.md, work queue 1-8.

Not here: the rate limiters (``handlers.rate_limiters``), the order of a group's events over workers
(``handlers.dispatch``), anything that outlives the process (parked keys live with the informer).
"""

from deltawire.handlers.workqueue.delaying import DelayingQueue
from deltawire.handlers.workqueue.metrics import NoMetrics, QueueMetrics, Running
from deltawire.handlers.workqueue.queue import ArrivalOrder, Order, QueueShutDown, WorkQueue
from deltawire.handlers.workqueue.rate_limiting import RateLimitingQueue

__all__ = [
    "ArrivalOrder",
    "DelayingQueue",
    "NoMetrics",
    "Order",
    "QueueMetrics",
    "QueueShutDown",
    "RateLimitingQueue",
    "Running",
    "WorkQueue",
]
