"""Candidates of an event loop on real Leases of the embedded API server, with short leases."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from deltawire.client.aio.leader_election.elector import AsyncCallbacks, AsyncLeaderElector
from deltawire.client.aio.leader_election.lease_lock import AsyncLeaseLock
from deltawire.client.aio.rest import AsyncRESTClient
from deltawire.client.rest.client import RESTClient
from deltawire.client.tools.events.recorder import EventBroadcaster, EventRecorder
from deltawire.client.tools.events.sink import EVENTS, ApiSink
from deltawire.client.tools.leader_election import attempt
from deltawire.client.tools.leader_election.attempt import Held
from deltawire.client.tools.leader_election.elector import Callbacks, ElectionTimes, LeaderElector
from deltawire.client.tools.leader_election.lease_lock import LeaseLock
from tests.support.servers import eventually

TIMES = ElectionTimes(lease_duration_s=1.0, renew_deadline_s=0.8, retry_period_s=0.1)
# Nobody takes such a lease by its end in a test.
LONG = ElectionTimes(lease_duration_s=600.0, renew_deadline_s=300.0, retry_period_s=0.1)


class Lock(AsyncLeaseLock):
    """``is_mute``: requests get no answer."""

    is_mute = False

    async def send(self, step: attempt.Step) -> Held | None:
        if self.is_mute:
            await asyncio.Event().wait()
        return await super().send(step)


class Candidate:
    def __init__(
        self,
        client: AsyncRESTClient,
        identity: str,
        *,
        times: ElectionTimes = TIMES,
        work: Callable[[], Awaitable[object]] | None = None,
        recorder: EventRecorder | None = None,
    ) -> None:
        self.leads = asyncio.Event()
        self.was_cancelled = False
        self.leaders: list[str] = []
        self.stops = 0
        self.lock = Lock(client, "default", "boss", identity, labels={"app": "test"}, recorder=recorder)
        self.elector = AsyncLeaderElector(
            self.lock,
            AsyncCallbacks(work or self._lead, self._stopped, self.leaders.append),
            times=times,
            release_on_cancel=True,
        )
        self.task = asyncio.ensure_future(self.elector.run())

    async def _lead(self) -> None:
        self.leads.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise

    def _stopped(self) -> None:
        self.stops += 1

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])


def play(client: RESTClient, scene: Callable[[AsyncRESTClient], Awaitable[Any]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(60):
            rest = AsyncRESTClient(client)
            try:
                await scene(rest)
            finally:
                await rest.close()

    asyncio.run(run())


def test_a_leader_that_is_cancelled_ends_its_work_and_hands_over_at_once(client: RESTClient) -> None:
    async def scene(rest: AsyncRESTClient) -> None:
        first = Candidate(rest, "a", times=LONG)
        await first.leads.wait()
        second = Candidate(rest, "b", times=LONG)
        await first.end()
        assert first.was_cancelled
        assert first.task.cancelled()
        await second.leads.wait()
        assert second.elector.leader == "b"
        assert first.stops == 1
        held = await second.lock.get()
        assert held is not None
        assert (held.record.holder, held.record.transitions) == ("b", 1)
        assert held.lease["metadata"]["labels"] == {"app": "test"}
        await second.end()

    play(client, scene)


def test_a_leader_whose_renewals_hang_ends_its_work_at_the_deadline_and_another_one_leads(
    client: RESTClient,
) -> None:
    async def scene(rest: AsyncRESTClient) -> None:
        first = Candidate(rest, "a")
        await first.leads.wait()
        second = Candidate(rest, "b")
        first.lock.is_mute = True
        await second.leads.wait()
        await asyncio.wait([first.task])
        assert first.was_cancelled, "its work has ended"
        assert first.task.exception() is None
        assert second.leaders[-1] == "b"
        await second.end()

    play(client, scene)


def test_work_that_ends_lets_the_lease_go_and_an_error_of_it_is_raised(client: RESTClient) -> None:
    async def failing() -> None:
        raise RuntimeError("no such thing")

    async def scene(rest: AsyncRESTClient) -> None:
        first = Candidate(rest, "a", times=LONG, work=failing)
        with pytest.raises(RuntimeError, match="no such thing"):
            await first.task
        second = Candidate(rest, "b", times=LONG)
        await second.leads.wait()
        await second.end()

    play(client, scene)


def test_a_lease_is_not_let_go_while_the_work_goes_on(client: RESTClient) -> None:
    may_end = asyncio.Event()

    async def stubborn() -> None:
        while not may_end.is_set():
            try:
                await may_end.wait()
            except asyncio.CancelledError:
                continue

    async def scene(rest: AsyncRESTClient) -> None:
        first = Candidate(rest, "a", work=stubborn)
        while not first.elector.is_leader:  # noqa: ASYNC110  # plain state
            await asyncio.sleep(0.01)
        await first.end()
        held = await first.lock.get()
        assert held is not None
        assert held.record.holder == "a"
        may_end.set()

    play(client, scene)


def test_electors_of_threads_and_of_loops_stand_for_the_same_lease(client: RESTClient) -> None:
    stop, leads = threading.Event(), threading.Event()

    def lead(over: threading.Event) -> None:
        leads.set()
        over.wait(30)

    lock = LeaseLock(client, "default", "boss", "thread")
    elector = LeaderElector(lock, Callbacks(lead, lambda: None), times=LONG, release_on_cancel=True)
    thread = threading.Thread(target=elector.run, args=(stop,))

    async def scene(rest: AsyncRESTClient) -> None:
        first = Candidate(rest, "loop", times=LONG)
        await first.leads.wait()
        thread.start()
        await first.end()
        assert await asyncio.to_thread(leads.wait, 30)

    try:
        play(client, scene)
    finally:
        stop.set()
        if thread.ident is not None:
            thread.join(30)


def test_a_recorder_takes_events_of_async_code_without_blocking_it(client: RESTClient) -> None:
    broadcaster = EventBroadcaster()

    async def scene(rest: AsyncRESTClient) -> None:
        broadcaster.start_recording_to_sink(ApiSink(rest.sync))
        first = Candidate(rest, "a", recorder=broadcaster.new_recorder("test"))
        await first.leads.wait()
        await first.end()
        assert await asyncio.to_thread(broadcaster.shutdown, 30)

    play(client, scene)

    def messages() -> set[str]:
        answer = client.get().resource(EVENTS).namespace("default").do().into()
        return {item.get("message") or item.get("note") for item in answer["items"]}

    eventually(lambda: messages() == {"a became leader", "a stopped leading"}, "both events")
