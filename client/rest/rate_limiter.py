"""Client-side rate limits: none by default, since servers queue fairly by themselves; a token bucket by choice."""

import threading
from typing import Protocol

from deltawire.common.clock import Clock, SystemClock
from deltawire.common.errors import CapacityError, ConfigError


class RateLimiter(Protocol):
    """What a RESTClient asks before each request. Safe to use from many threads."""

    def wait(self, stop: threading.Event | None = None) -> bool:
        """Return when a request may be sent; True if ``stop`` was set first. Raises CapacityError."""


class TokenBucket:
    """``qps`` requests a second on average, ``burst`` at once. One may be shared by many clients.

    ``wait_s_max`` bounds the queue of those who wait: a request that would have to wait longer is refused with
    CapacityError at once, as by client-go's Wait with a deadline. Tokens are given in the
    order of arrival. ``waited`` counts the requests that had to wait.
    """

    def __init__(
        self, qps: float, burst: int, *, wait_s_max: float | None = 60.0, clock: Clock | None = None
    ) -> None:
        if qps <= 0 or burst < 1:
            raise ConfigError(
                f"a token bucket needs qps above 0 and a burst of 1 or more, not {qps}, {burst}"
            )
        self.qps = qps
        self.burst = burst
        self.waited = 0
        self._wait_s_max = wait_s_max
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._tokens = float(burst)  # negative: promised to those who wait
        self._filled_at_s = self._clock.now_s()

    def try_accept(self) -> bool:
        """Take a token if there is one now."""
        with self._lock:
            self._fill_locked()
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True

    def wait(self, stop: threading.Event | None = None) -> bool:
        delay_s = self.reserve_s()
        if delay_s <= 0:
            return False
        if self._clock.sleep(delay_s, stop):
            self.give_back()
            return True
        return False

    def give_back(self) -> None:
        """The token of `reserve_s` is not used."""
        with self._lock:
            self._tokens += 1

    def reserve_s(self) -> float:
        """Take a token, and say in how many seconds it may be used. Raises CapacityError."""
        with self._lock:
            self._fill_locked()
            delay_s = (1 - self._tokens) / self.qps
            if self._wait_s_max is not None and delay_s > self._wait_s_max:
                raise CapacityError(
                    f"the client's rate limit of {self.qps:g} requests a second would let this one wait "
                    f"{delay_s:.0f} s",
                    hint=f"the longest wait is {self._wait_s_max:g} s",
                )
            self._tokens -= 1
            self.waited += delay_s > 0
            return delay_s

    def _fill_locked(self) -> None:
        now_s = self._clock.now_s()
        self._tokens = min(float(self.burst), self._tokens + (now_s - self._filled_at_s) * self.qps)
        self._filled_at_s = now_s
