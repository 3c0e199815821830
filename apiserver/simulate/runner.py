"""Runs the simulated cluster in the server's event loop, at the rate asked for."""

import asyncio
from typing import Any

from deltawire.apiserver.core.store import Store
from deltawire.apiserver.simulate.cluster import SimulatedCluster
from deltawire.apiserver.simulate.pacing import Pace, RateMeter

# Steps between two turns of the event loop: watches and requests wait no longer than these take.
STEPS_A_TURN = 32


class ChurnRunner:
    """One background task, or none at a rate of 0. The rate counts commits to the store."""

    def __init__(self, cluster: SimulatedCluster, store: Store) -> None:
        self._cluster = cluster
        self._store = store
        self._task: asyncio.Task[None] | None = None
        self._pace = Pace(0.0, 0.0)
        self._meter = RateMeter()
        self._written = 0
        self._changing = asyncio.Lock()

    async def set_rate(self, per_s: float) -> None:
        """Change the rate; at 0, return after the last write."""
        # Two requests at once must not start two tasks.
        async with self._changing:
            await self.stop()
            loop = asyncio.get_running_loop()
            self._pace = Pace(per_s, loop.time())
            self._meter.clear()
            if per_s > 0:
                self._task = loop.create_task(self._run(), name="churn")

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    def report(self) -> dict[str, Any]:
        """The rate asked for, the one kept over the last 5 s, writes so far and writes given up."""
        now = asyncio.get_running_loop().time()
        return {
            "asked_per_s": self._pace.per_s,
            "kept_per_s": round(self._meter.per_s(now, self._written), 1),
            "written": self._written,
            "missed": self._pace.missed,
        }

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            self._meter.mark(now, self._written)
            for _ in range(STEPS_A_TURN):
                if self._pace.due(now) < 1:
                    break
                self._step()
            await asyncio.sleep(self._pace.delay_s())

    def _step(self) -> None:
        before = self._store.writes
        self._cluster.step()
        made = self._store.writes - before
        self._written += made
        # A step that finds its object gone writes nothing; it takes a turn all the same.
        self._pace.spend(max(made, 1))
