"""Retries after a conflict: client-go's ``util/retry``."""

import random as _random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from deltawire.client.errors import is_conflict
from deltawire.common.clock import Clock, SystemClock
from deltawire.common.errors import DeltawireError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Steps:
    """``attempts`` in all; between them ``delay_s``, times ``factor`` each, up to ``jitter`` times longer."""

    attempts: int
    delay_s: float
    factor: float
    jitter: float


# For conflicts between clients that write now and then, and for many that write the same object.
DEFAULT_RETRY = Steps(attempts=5, delay_s=0.01, factor=1.0, jitter=0.1)
DEFAULT_BACKOFF = Steps(attempts=4, delay_s=0.01, factor=5.0, jitter=0.1)


def on_error(
    call: Callable[[], T],
    is_retriable: Callable[[DeltawireError], bool],
    steps: Steps = DEFAULT_RETRY,
    *,
    stop: threading.Event | None = None,
    clock: Clock | None = None,
    random: Callable[[], float] = _random.random,
) -> T:
    """What ``call`` returns, tried again after errors that are retriable.

    Raises the last error when the attempts are used up or ``stop`` is set, any other error at once.
    """
    clock = clock or SystemClock()
    delay_s = steps.delay_s
    attempt = 1
    while True:
        try:
            return call()
        except DeltawireError as error:
            if attempt >= steps.attempts or not is_retriable(error):
                raise
            if clock.sleep(delay_s * (1 + steps.jitter * random()), stop):
                raise
        delay_s *= steps.factor
        attempt += 1


def retry_on_conflict(
    call: Callable[[], T],
    steps: Steps = DEFAULT_RETRY,
    *,
    stop: threading.Event | None = None,
    clock: Clock | None = None,
    random: Callable[[], float] = _random.random,
) -> T:
    """`on_error` for conflicts. ``call`` must read the object anew each time, change it and write it."""
    return on_error(call, is_conflict, steps, stop=stop, clock=clock, random=random)
