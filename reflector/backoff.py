"""Jittered exponential back-off that starts again only after a quiet time."""

import random as _random
from collections.abc import Callable


class Backoff:
    """The delays between attempts: ``base_s``, times ``factor`` each, at most ``cap_s``; all in seconds.

    A delay d is spread uniformly over [d, d + ``jitter`` · d). The defaults are client-go's (docs/contracts.md,
    reflector 1): 0.8 1.6 3.2 6.4 12.8 25.6 30 30 …, each up to doubled.

    The sequence starts again when ``reset_after_s`` have passed since the last delay *ended*. client-go's comments
    say so, too, but its code measures from the start of a window: it falls back to 0.8 s every few minutes of an
    unbroken outage (docs/contracts.md, reflector 2).

    Pure: the caller passes the time and does the waiting. ``random`` returns floats in [0, 1).
    """

    def __init__(
        self,
        base_s: float = 0.8,
        factor: float = 2.0,
        cap_s: float = 30.0,
        jitter: float = 1.0,
        reset_after_s: float = 120.0,
        random: Callable[[], float] = _random.random,
    ) -> None:
        if base_s <= 0 or cap_s < base_s or factor < 1 or jitter < 0 or reset_after_s < 0:
            raise ValueError(
                "a back-off needs 0 < base_s <= cap_s, factor >= 1, jitter >= 0, reset_after_s >= 0"
            )
        self.base_s = base_s
        self.factor = factor
        self.cap_s = cap_s
        self.jitter = jitter
        self.reset_after_s = reset_after_s
        self.attempts = 0  # delays handed out since the last reset, for status
        self._random = random
        self._next_s = base_s
        self._ends_s: float | None = None

    def next_s(self, now_s: float) -> float:
        """The delay to take now. ``now_s`` is monotonic time."""
        if self._ends_s is not None and now_s - self._ends_s >= self.reset_after_s:
            self.reset()
        delay_s = self._next_s * (1 + self.jitter * self._random())
        self._next_s = min(self.cap_s, self._next_s * self.factor)
        self._ends_s = now_s + delay_s
        self.attempts += 1
        return delay_s

    def reset(self) -> None:
        """Start again at ``base_s``, where the caller knows that the trouble is over."""
        self.attempts = 0
        self._next_s = self.base_s
        self._ends_s = None
