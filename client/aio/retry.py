"""Retries after a conflict, awaited: `client.tools.retry` for async code.

Not here: the steps between attempts (client/tools/retry).
"""

import asyncio
import random as _random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from deltawire.client.errors import is_conflict
from deltawire.client.tools.retry import DEFAULT_RETRY, Steps
from deltawire.common.errors import DeltawireError

T = TypeVar("T")


async def retry_on_conflict(
    call: Callable[[], Awaitable[T]],
    steps: Steps = DEFAULT_RETRY,
    *,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    random: Callable[[], float] = _random.random,
) -> T:
    """What ``call`` returns, tried again after conflicts; it must read the object anew each time.

    Raises the last error when the attempts are used up, any other error at once.
    """
    delay_s = steps.delay_s
    for attempt in range(1, steps.attempts + 1):
        try:
            return await call()
        except DeltawireError as error:
            if attempt == steps.attempts or not is_conflict(error):
                raise
        await sleep(delay_s * (1 + steps.jitter * random()))
        delay_s *= steps.factor
    raise AssertionError("steps have one attempt or more")
