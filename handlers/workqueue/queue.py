"""The work queue: a set with an order, shared by workers (docs/contracts.md, work queue 1-5)."""

import threading
from collections import deque
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar

from deltawire.common.clock import Clock, SystemClock
from deltawire.common.errors import CapacityError, DeltawireError
from deltawire.handlers.workqueue.metrics import NoMetrics, QueueMetrics, Running

T = TypeVar("T", bound=Hashable)

# Distinct items that may need work at one time, the delayed ones included.
ITEMS_MAX = 1_000_000


class QueueShutDown(DeltawireError):
    """The queue is shutting down and nothing is left in it."""

    def __init__(self) -> None:
        super().__init__("the work queue is shut down")


class Order(Protocol[T]):
    """In which order the queued items are handed out. Called with the queue's lock held."""

    def push(self, item: T) -> None:
        """Take an item that is not in here."""
        ...

    def touch(self, item: T) -> None:
        """An item that is in here was added again; it may move."""
        ...

    def pop(self) -> T:
        """The next item. Called only if there is one."""
        ...

    def __len__(self) -> int: ...


class ArrivalOrder(Generic[T]):
    """First in, first out; an item that is added again keeps its place."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()

    def push(self, item: T) -> None:
        self._items.append(item)

    def touch(self, item: T) -> None:
        """Nothing moves."""

    def pop(self) -> T:
        return self._items.popleft()

    def __len__(self) -> int:
        return len(self._items)


class WorkQueue(Generic[T]):
    """Hands items to workers; every `get` is answered by a `done`.

    An item is *dirty* while it needs work and *processing* while a worker has it. It is queued if it is
    dirty and not processing. Hence:

    - many adds before the work are one piece of work;
    - no item is with two workers at once;
    - an add during the work leads to exactly one more, behind everything that waits by then.

    Thread-safe. Bounded by ``items_max`` distinct items: `add` raises CapacityError beyond.
    """

    def __init__(
        self,
        *,
        order: Order[T] | None = None,
        metrics: QueueMetrics | None = None,
        items_max: int = ITEMS_MAX,
        clock: Clock | None = None,
    ) -> None:
        self._order: Order[T] = order if order is not None else ArrivalOrder()
        self._metrics: QueueMetrics = metrics or NoMetrics()
        self._items_max = items_max
        self._clock: Clock = clock or SystemClock()
        self._changed = threading.Condition()
        self._dirty: dict[T, float] = {}  # item → when it became dirty
        self._processing: dict[T, float] = {}  # item → when its worker got it
        self._shutting_down = False
        self._draining = False

    def add(self, item: T) -> None:
        """``item`` needs work. Ignored (and reported as discarded) once the queue is shutting down."""
        with self._changed:
            self._promote_locked()
            self._add_locked(item, self._clock.now_s())

    def get(self, timeout_s: float | None = None) -> T:
        """Wait for an item; call `done` with it afterwards, whatever became of it.

        Raises QueueShutDown once nothing is queued and the queue is shutting down, though another worker's
        item may still come back; TimeoutError after ``timeout_s`` without an item.
        """
        deadline_s = None if timeout_s is None else self._clock.now_s() + timeout_s
        with self._changed:
            self._promote_locked()
            while not len(self._order):
                if self._shutting_down:
                    raise QueueShutDown
                if deadline_s is not None and self._clock.now_s() >= deadline_s:
                    raise TimeoutError(f"no item for {timeout_s} s")
                self._clock.wait_until(self._changed, self._wake_at_locked(deadline_s))
                self._promote_locked()
            item = self._order.pop()
            now_s = self._clock.now_s()
            self._metrics.waited(now_s - self._dirty.pop(item))
            self._metrics.depth(len(self._dirty))
            self._processing[item] = now_s
            return item

    def done(self, item: T) -> None:
        """The worker has finished with ``item``. It is queued again if it was added during the work."""
        with self._changed:
            self._promote_locked()
            started_s = self._processing.pop(item, None)
            if started_s is None:
                return
            self._metrics.worked(self._clock.now_s() - started_s)
            if item in self._dirty:
                self._order.push(item)
            self._changed.notify_all()

    def shut_down(self) -> None:
        """Take nothing more; what is queued is still handed out. Ends a drain that waits."""
        with self._changed:
            self._draining = False
            self._stop_taking_locked()

    def shut_down_with_drain(self) -> None:
        """`shut_down`, and wait until no worker has an item.

        It looks at the items in work and not at those in the queue: with idle
        workers and a full queue it returns at once. A second `shut_down` ends the wait.
        """
        with self._changed:
            self._draining = True
            self._stop_taking_locked()
            while self._processing and self._draining:
                self._clock.wait_until(self._changed, None)

    @property
    def is_shutting_down(self) -> bool:
        return self._shutting_down

    def __len__(self) -> int:
        """How many items are queued: not those in work, not the delayed ones."""
        with self._changed:
            self._promote_locked()
            return len(self._order)

    def running(self) -> Running:
        """The work under way."""
        with self._changed:
            now_s = self._clock.now_s()
            ages_s = [now_s - started_s for started_s in self._processing.values()]
            return Running(len(ages_s), sum(ages_s), max(ages_s, default=0.0))

    def _add_locked(self, item: T, since_s: float) -> None:
        if self._shutting_down:
            self._metrics.discarded(1)
            return
        if item in self._dirty:
            if item not in self._processing:
                self._order.touch(item)
            return
        self._check_room_locked()
        self._dirty[item] = since_s
        self._metrics.added()
        self._metrics.depth(len(self._dirty))
        if item not in self._processing:
            self._order.push(item)
            self._changed.notify_all()

    def _check_room_locked(self) -> None:
        if self._held_locked() >= self._items_max:
            raise CapacityError(
                f"the work queue holds {self._items_max} items",
                hint="more workers, or items_max where so many keys are meant",
            )

    def _stop_taking_locked(self) -> None:
        self._shutting_down = True
        self._changed.notify_all()

    # What a queue with delays does besides; here there are none.

    def _promote_locked(self) -> None:
        """Queue the delayed items whose time has come."""

    def _wake_at_locked(self, deadline_s: float | None) -> float | None:
        """When a `get` that waits until ``deadline_s`` has to look again."""
        return deadline_s

    def _held_locked(self) -> int:
        """How many items count against ``items_max``."""
        return len(self._dirty)
