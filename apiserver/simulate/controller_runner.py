"""Runs the controllers in the server's event loop, whenever something has changed."""

import asyncio
from collections.abc import Callable

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.simulate.controllers import Controllers

# Steps between two turns of the event loop: watches and requests wait no longer than these take.
STEPS_A_TURN = 16


class ControllerRunner:
    """One background task between `start` and `stop`."""

    def __init__(self, core: ApiCore, *, seed: int, now: Callable[[], float]) -> None:
        self._changed = asyncio.Event()
        self._controllers = Controllers(core, seed=seed, now=now, wake=self._changed.set)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="controllers")

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
            self._controllers.close()

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            if all(self._controllers.step() for _ in range(STEPS_A_TURN)):
                await asyncio.sleep(0)
            else:
                await self._changed.wait()
