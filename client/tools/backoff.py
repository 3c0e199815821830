"""Delays per id, as client-go's ``flowcontrol.Backoff`` keeps them."""

import random as _random
import threading
from collections.abc import Callable
from dataclasses import dataclass

from deltawire.common.clock import Clock, SystemClock
from deltawire.common.errors import ConfigError


@dataclass(slots=True)
class _Entry:
    delay_s: float
    updated_at_s: float


class BackoffById:
    """Each `next` of an id doubles its delay from ``initial_s`` up to ``max_s``.

    An id that was silent for twice ``max_s`` starts again; ``jitter`` adds up to that part of the delay.
    Instants are the clock's monotonic seconds. Safe to use from many threads. `gc` bounds the memory: call
    it from time to time.
    """

    def __init__(
        self,
        initial_s: float,
        max_s: float,
        *,
        jitter: float = 0.0,
        clock: Clock | None = None,
        random: Callable[[], float] = _random.random,
    ) -> None:
        if initial_s <= 0 or max_s < initial_s or jitter < 0:
            raise ConfigError("a back-off needs 0 < initial_s <= max_s and jitter >= 0")
        self._initial_s = initial_s
        self._max_s = max_s
        self._jitter = jitter
        self._clock = clock or SystemClock()
        self._random = random
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get_s(self, id: str) -> float:
        """The delay of ``id`` now; 0 for one that is not known."""
        with self._lock:
            found = self._entries.get(id)
            return 0.0 if found is None else found.delay_s

    def next(self, id: str, event_at_s: float) -> None:
        """``id`` failed (again) at ``event_at_s``."""
        with self._lock:
            found = self._entries.get(id)
            if found is None or self._is_silent(found, event_at_s):
                delay_s = self._initial_s * (1 + self._jitter * self._random())
            else:
                delay_s = found.delay_s * 2 + found.delay_s * self._jitter * self._random()
            self._entries[id] = _Entry(min(delay_s, self._max_s), self._clock.now_s())

    def reset(self, id: str) -> None:
        """``id`` succeeded."""
        with self._lock:
            self._entries.pop(id, None)

    def is_in_backoff_since(self, id: str, event_at_s: float) -> bool:
        """True if less than the delay has passed since ``event_at_s``."""
        with self._lock:
            found = self._entries.get(id)
            if found is None or self._is_silent(found, event_at_s):
                return False
            return self._clock.now_s() - event_at_s < found.delay_s

    def is_in_backoff_since_update(self, id: str, event_at_s: float) -> bool:
        """True if ``event_at_s`` is less than the delay after the last `next`."""
        with self._lock:
            found = self._entries.get(id)
            if found is None or self._is_silent(found, event_at_s):
                return False
            return event_at_s - found.updated_at_s < found.delay_s

    def gc(self) -> None:
        """Forget the ids that were silent for twice the longest delay."""
        with self._lock:
            now_s = self._clock.now_s()
            self._entries = {
                id: entry for id, entry in self._entries.items() if not self._is_silent(entry, now_s)
            }

    def _is_silent(self, entry: _Entry, at_s: float) -> bool:
        return at_s - entry.updated_at_s > 2 * self._max_s
