"""client-go's rate limiters: how long an item waits before it is tried again (docs/contracts.md, work queue 8).

All thread-safe; times in seconds. What a limiter remembers of an item goes with `forget`, so its memory is
bounded by the items that failed and were not forgotten.
"""

import random as _random
import threading
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

from deltawire.common.clock import Clock, SystemClock

T = TypeVar("T", bound=Hashable)
T_contra = TypeVar("T_contra", bound=Hashable, contravariant=True)


class RateLimiter(Protocol[T_contra]):
    """Decides the delay of each retry of an item."""

    def when(self, item: T_contra) -> float:
        """How long this retry of ``item`` has to wait. Counts as one more."""
        ...

    def forget(self, item: T_contra) -> None:
        """``item`` succeeded or was given up: its next retry is its first."""
        ...

    def num_requeues(self, item: T_contra) -> int:
        """How many retries were counted since ``item`` was last forgotten."""
        ...


class ItemExponential(Generic[T]):
    """``base_s`` · 2ⁿ for the n-th retry of an item, at most ``cap_s``."""

    def __init__(self, base_s: float = 0.005, cap_s: float = 1000.0) -> None:
        self._base_s = base_s
        self._cap_s = cap_s
        self._retries: Counter[T] = Counter()
        self._lock = threading.Lock()

    def when(self, item: T) -> float:
        with self._lock:
            retry = self._retries[item]
            self._retries[item] += 1
        # Above 2^1000 a float overflows; long before that every sane cap is reached.
        return min(self._cap_s, self._base_s * 2.0 ** min(retry, 1000))

    def forget(self, item: T) -> None:
        with self._lock:
            self._retries.pop(item, None)

    def num_requeues(self, item: T) -> int:
        with self._lock:
            return self._retries.get(item, 0)


class ItemFastSlow(Generic[T]):
    """``fast_s`` for an item's first ``fast_max`` retries, then ``slow_s``."""

    def __init__(self, fast_s: float, slow_s: float, fast_max: int) -> None:
        self._fast_s = fast_s
        self._slow_s = slow_s
        self._fast_max = fast_max
        self._retries: Counter[T] = Counter()
        self._lock = threading.Lock()

    def when(self, item: T) -> float:
        with self._lock:
            self._retries[item] += 1
            return self._fast_s if self._retries[item] <= self._fast_max else self._slow_s

    def forget(self, item: T) -> None:
        with self._lock:
            self._retries.pop(item, None)

    def num_requeues(self, item: T) -> int:
        with self._lock:
            return self._retries.get(item, 0)


class Bucket:
    """All items together: ``rate_per_s``, after a burst of ``burst`` that goes at once.

    Each call reserves its turn, however far away; put `WithMaxWait` around it for a bound. It knows no
    single item, so `forget` does nothing.
    """

    def __init__(self, rate_per_s: float = 10.0, burst: int = 100, *, clock: Clock | None = None) -> None:
        if rate_per_s <= 0 or burst < 1:
            raise ValueError("a bucket needs rate_per_s > 0 and burst >= 1")
        self._rate_per_s = rate_per_s
        self._burst = burst
        self._clock: Clock = clock or SystemClock()
        self._tokens = float(burst)  # below zero: reserved and not yet earned
        self._counted_s = self._clock.now_s()
        self._lock = threading.Lock()

    def when(self, item: Hashable) -> float:
        with self._lock:
            now_s = self._clock.now_s()
            earned = (now_s - self._counted_s) * self._rate_per_s
            self._tokens = min(float(self._burst), self._tokens + earned) - 1
            self._counted_s = now_s
            return max(0.0, -self._tokens / self._rate_per_s)

    def forget(self, item: Hashable) -> None:
        """Nothing to forget: see the class."""

    def num_requeues(self, item: Hashable) -> int:
        return 0


class MaxOf(Generic[T]):
    """The longest delay of several limiters; each of them counts every retry."""

    def __init__(self, *limiters: RateLimiter[T]) -> None:
        if not limiters:
            raise ValueError("the longest of no limiters is not defined")
        self._limiters = limiters

    def when(self, item: T) -> float:
        return max([limiter.when(item) for limiter in self._limiters])

    def forget(self, item: T) -> None:
        for limiter in self._limiters:
            limiter.forget(item)

    def num_requeues(self, item: T) -> int:
        return max(limiter.num_requeues(item) for limiter in self._limiters)


class WithMaxWait(Generic[T]):
    """Another limiter, never longer than ``wait_max_s``."""

    def __init__(self, limiter: RateLimiter[T], wait_max_s: float) -> None:
        self._limiter = limiter
        self._wait_max_s = wait_max_s

    def when(self, item: T) -> float:
        return min(self._wait_max_s, self._limiter.when(item))

    def forget(self, item: T) -> None:
        self._limiter.forget(item)

    def num_requeues(self, item: T) -> int:
        return self._limiter.num_requeues(item)


class WithJitter(Generic[T]):
    """Another limiter, each delay d spread over [d, d + ``factor`` · d) so that what failed together does
    not come back together. ``random`` returns floats in [0, 1). Ours: client-go's limiters have none."""

    def __init__(
        self, limiter: RateLimiter[T], factor: float = 0.1, random: Callable[[], float] = _random.random
    ) -> None:
        self._limiter = limiter
        self._factor = factor
        self._random = random

    def when(self, item: T) -> float:
        return self._limiter.when(item) * (1 + self._factor * self._random())

    def forget(self, item: T) -> None:
        self._limiter.forget(item)

    def num_requeues(self, item: T) -> int:
        return self._limiter.num_requeues(item)


def default_controller_limiter(clock: Clock | None = None) -> RateLimiter[Hashable]:
    """A controller's default: 5 ms · 2ⁿ up to 1000 s an item, and 10/s with a burst of 100 over all."""
    return MaxOf(ItemExponential(0.005, 1000.0), Bucket(10.0, 100, clock=clock))


def default_item_limiter() -> RateLimiter[Hashable]:
    """1 ms · 2ⁿ up to 1000 s an item, no limit over all."""
    return ItemExponential(0.001, 1000.0)
