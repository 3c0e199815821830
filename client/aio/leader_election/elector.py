"""Runs for leadership, leads, and lets go, as tasks of an event loop."""

import asyncio
import logging
import random as _random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from deltawire.client.tools.leader_election import attempt
from deltawire.client.tools.leader_election.attempt import Held
from deltawire.client.tools.leader_election.elector import JITTER_FACTOR, Candidacy, ElectionTimes, report
from deltawire.common.clock import Clock
from deltawire.common.errors import DeltawireError, StatusError

log = logging.getLogger(__name__)

# Between two attempts to let a lease go that somebody else has changed meanwhile.
RELEASE_RETRY_S = 0.1


class AsyncLock(Protocol):
    """What an elector needs of an `AsyncLeaseLock`."""

    @property
    def identity(self) -> str: ...

    async def send(self, step: attempt.Step) -> Held | None: ...

    def record_event(self, what: str) -> None: ...


@dataclass(frozen=True, slots=True)
class AsyncCallbacks:
    """``on_started_leading`` is the leader's work; it is cancelled when leadership is over, and must end soon then.

    ``on_stopped_leading`` is called at the end of each `AsyncLeaderElector.run`, also of one that never led.
    ``on_new_leader`` is called with each holder, this elector included. Both must not block.
    """

    on_started_leading: Callable[[], Awaitable[object]]
    on_stopped_leading: Callable[[], object]
    on_new_leader: Callable[[str], object] | None = None


class AsyncLeaderElector(Candidacy):
    """One candidate. `run` waits for leadership, leads, and returns when that is over, or when the work has ended.

    To stop it, cancel the task that runs it: the work is cancelled, and waited for until the renew deadline. With
    ``release_on_cancel`` the lease is let go then, and when the work has ended by itself, so that others need not wait
    for its end; not if the work goes on. A deadline ends the term also while a request hangs; work that blocks the loop
    cannot be ended by it, so leave that to threads.
    """

    def __init__(
        self,
        lock: AsyncLock,
        callbacks: AsyncCallbacks,
        *,
        times: ElectionTimes | None = None,
        release_on_cancel: bool = False,
        clock: Clock | None = None,
        random: Callable[[], float] = _random.random,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        super().__init__(lock.identity, times, clock)
        self._lock = lock
        self._callbacks = callbacks
        self._release_on_cancel = release_on_cancel
        self._random = random
        self._sleep = sleep

    async def run(self) -> None:
        """Until leadership was won and is over. Raises what the work raises. May be called again for another run."""
        try:
            await self._acquire()
            await self._lead()
        finally:
            self._callbacks.on_stopped_leading()

    @property
    def _deadline_s(self) -> float:
        return self._renewed_at_s + self._times.renew_deadline_s

    async def _acquire(self) -> None:
        while not await self._try_acquire_or_renew():
            await self._sleep(self._times.retry_period_s * (1 + JITTER_FACTOR * self._random()))
        log.info("%s: %s leads now", self._lock, self._lock.identity)
        self._lock.record_event("became leader")

    async def _lead(self) -> None:
        work = asyncio.ensure_future(self._callbacks.on_started_leading())
        renewing = asyncio.ensure_future(self._renew())
        try:
            await asyncio.wait([work, renewing], return_when=asyncio.FIRST_COMPLETED)
        finally:
            renewing.cancel()
            await self._end(work)
            self._lock.record_event("stopped leading")
        for ended in (renewing, work):
            if ended.done() and not ended.cancelled():
                ended.result()

    async def _renew(self) -> None:
        """Returns when leadership is lost."""
        while True:
            try:
                async with asyncio.timeout(max(0.0, self._deadline_s - self._clock.now_s())):
                    await self._sleep(self._times.retry_period_s)
                    is_renewed = await self._try_acquire_or_renew()
            except TimeoutError:
                log.warning("%s: %s could not renew in time", self._lock, self._lock.identity)
                return
            if not is_renewed and not self._candidate.is_leader:
                log.warning("%s: %s lost the leadership", self._lock, self._lock.identity)
                return

    async def _end(self, work: "asyncio.Future[object]") -> None:
        """The work has ended, or is cancelled; then the lease is let go."""
        work.cancel()
        await asyncio.wait([work], timeout=max(0.0, self._deadline_s - self._clock.now_s()))
        if not self._release_on_cancel or not self._candidate.is_leader:
            return
        if not work.done():
            log.warning("%s is not released: the leader's work goes on after its end", self._lock)
            return
        await self._release()

    async def _release(self) -> None:
        """Conflicts are tried again until the deadline."""
        try:
            async with asyncio.timeout(max(RELEASE_RETRY_S, self._deadline_s - self._clock.now_s())):
                while True:
                    try:
                        steps = attempt.release(self._candidate, self._clock.now_s, self._clock.wall_s)
                        await attempt.drive_async(steps, self._lock.send)
                        return
                    except StatusError as error:
                        if not error.is_conflict:
                            raise
                    await self._sleep(RELEASE_RETRY_S)
        except (DeltawireError, TimeoutError) as error:
            log.warning("%s is not released: %s", self._lock, error or "no answer in time")

    async def _try_acquire_or_renew(self) -> bool:
        """One attempt. Errors are logged: the caller tries again, or not."""
        at_s = self._clock.now_s()
        steps = attempt.attempt(
            self._candidate, self._held, self._clock.now_s, self._clock.wall_s(), self._saw_now
        )
        try:
            async with asyncio.timeout(self._times.renew_deadline_s):
                held = await attempt.drive_async(steps, self._lock.send)
        except (DeltawireError, TimeoutError) as error:
            log.info("%s: not acquired or renewed: %s", self._lock, error or "no answer in time")
            return False
        if held is None:
            return False
        self._saw(held, at_s)
        self._renewed_at_s = at_s
        return True

    def _saw_now(self, held: Held) -> None:
        self._saw(held, self._clock.now_s())

    def _saw(self, held: Held, at_s: float) -> None:
        self._held = held
        if self._candidate.observe(held.record, at_s) and held.record.holder:
            report(log, self._lock, self._callbacks.on_new_leader, held.record.holder)
