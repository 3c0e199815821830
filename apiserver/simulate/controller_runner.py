"""Runs the controllers in the server's event loop: whenever something has changed, and when a time has come."""

import asyncio
from collections.abc import Callable

from deltawire.apiserver.containers.scripts import Scripts
from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.window import EventWindow
from deltawire.apiserver.simulate.controllers import Controllers
from deltawire.apiserver.simulate.runs import Runs

# Steps between two turns of the event loop: watches and requests wait no longer than these take.
STEPS_A_TURN = 16
# How often the clock is looked at while something is due by it: a test's clock moves as it likes.
CLOCK_S = 0.5
CLOCK_MIN_S = 0.01
PODS = "pods"


class ControllerRunner:
    """One background task between `start` and `stop`."""

    def __init__(
        self,
        core: ApiCore,
        scripts: Scripts,
        *,
        seed: int,
        now: Callable[[], float],
        root_ca: Callable[[], str],
        pod_delay_s: float = 0.0,
    ) -> None:
        self._core = core
        self._now = now
        self._changed = asyncio.Event()
        self._idle = asyncio.Event()
        self._controllers = Controllers(
            core, seed=seed, now=now, wake=self._wake, root_ca=root_ca, pod_delay_s=pod_delay_s
        )
        self._runs = Runs(core, scripts)
        self._pods: EventWindow | None = None
        self._seen = 0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._core.stops_pods = True
        self._task = asyncio.get_running_loop().create_task(self._run(), name="controllers")

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
            await self._runs.stop()
            self._controllers.close()

    async def settle(self) -> None:
        """Return when nothing is left to do but what waits for a time, or for a program to end."""
        while True:
            self._wake()
            await self._idle.wait()
            await asyncio.sleep(0)
            if self._idle.is_set():
                return

    def _wake(self) -> None:
        self._idle.clear()
        self._changed.set()

    async def _run(self) -> None:
        while True:
            self._changed.clear()
            went_on = all(self._controllers.step() for _ in range(STEPS_A_TURN))
            self._look_at_pods()
            if went_on:
                await asyncio.sleep(0)
                continue
            if not self._changed.is_set():
                self._idle.set()
            # A time may come before anything changes.
            alarm = None
            next_s = self._controllers.next_s
            if next_s is not None:
                wait_s = min(max(next_s - self._now(), CLOCK_MIN_S), CLOCK_S)
                alarm = asyncio.get_running_loop().call_later(wait_s, self._changed.set)
            try:
                await self._changed.wait()
            finally:
                if alarm is not None:
                    alarm.cancel()

    def _look_at_pods(self) -> None:
        """Pass changed pods on to their programs."""
        table = self._core.store.table(PODS)
        window = table.window
        if window is not self._pods or self._seen < window.tail:
            # What runs already since an earlier start has no program.
            self._pods, self._seen = window, window.head
        for sequence in range(self._seen, window.head):
            event = window.at(sequence)
            self._runs.look(event.old, event.new)
        self._seen = window.head
