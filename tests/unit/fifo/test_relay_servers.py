"""What is said of work on the servers of a shared queue, and when it is over."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any, cast

import pytest

from deltawire.common.clock import FakeClock, SystemClock
from deltawire.fifo.relay import consumer as consuming
from deltawire.fifo.relay import jetstream
from deltawire.fifo.relay import servers as module
from deltawire.fifo.relay.consumer import Consumer
from deltawire.fifo.relay.jetstream import JetStreamQueue
from deltawire.fifo.relay.publisher import Publisher
from deltawire.fifo.relay.servers import Servers
from deltawire.fifo.relay.wants import Consume, Done, Resign
from deltawire.jetstream.connection import Connection, NatsError
from deltawire.jetstream.settings import NatsSettings


class Connected:
    """A connection that is there."""

    is_connected = True

    async def connected(self) -> None:
        return


def test_a_problem_of_work_that_never_ends_is_over_when_the_work_goes_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "WELL_S", 0.05)
    servers = Servers(cast(Connection, Connected()))
    attempts: list[Any] = []

    async def work() -> None:
        attempts.append(dict(servers.problems))
        if len(attempts) == 1:
            raise TimeoutError("no answer")
        await asyncio.Event().wait()

    async def watch() -> None:
        task = asyncio.ensure_future(servers.guarded(work, "purge"))
        try:
            async with asyncio.timeout(20):
                while len(attempts) < 2 or servers.problems:  # noqa: ASYNC110  # plain state
                    await asyncio.sleep(0.01)
        finally:
            task.cancel()

    try:
        asyncio.run(watch())
    finally:
        servers.waker.close()
    assert attempts == [{}, {"purge": "purge: no answer"}]


def test_work_that_fails_by_what_nobody_expected_is_named_and_tried_again(caplog: pytest.LogCaptureFixture):
    servers = Servers(cast(Connection, Connected()))
    seen: list[dict[str, str]] = []

    async def work() -> None:
        seen.append(dict(servers.problems))
        if len(seen) < 4:
            raise KeyError("metadata")

    async def run() -> None:
        async with asyncio.timeout(30):
            await servers.guarded(work, "lead")

    try:
        asyncio.run(run())
    finally:
        servers.waker.close()
    assert seen == [{}, *[{"lead": "lead: metadata"}] * 3]
    assert servers.problems == {}
    assert caplog.text.count("Traceback") == 1


class Subscribing(Connected):
    """Counts the subscriptions to proofs."""

    settings = NatsSettings()
    problem = ""

    def __init__(self) -> None:
        self.client = self
        self.subscribed = 0
        self.works: list[asyncio.Future[Any]] = []

    async def subscribe(self, subject: str, cb: Any) -> None:
        self.subscribed += 1

    def submit(self, work: Coroutine[Any, Any, Any]) -> None:
        self.works.append(asyncio.ensure_future(work))


def work_until(
    is_done: Callable[[], bool],
    servers: Servers,
    connection: Subscribing,
    work: Callable[[], Coroutine[Any, Any, None]],
    where: str,
    *,
    begin: Callable[[], None] = lambda: None,
) -> None:
    """Guarded ``work`` on the connection, again after each failure; ``begin`` is called in its loop before."""

    async def run() -> None:
        begin()
        connection.submit(servers.guarded(work, where))
        try:
            async with asyncio.timeout(30):
                while not is_done():  # noqa: ASYNC110  # plain state
                    await asyncio.sleep(0.001)
        finally:
            for begun in connection.works:
                begun.cancel()

    try:
        asyncio.run(run())
    finally:
        servers.waker.close()


def test_an_informer_whose_stream_cannot_be_made_holds_up_no_other_and_is_subscribed_to_once(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(jetstream, "HEAR_AFTER_S", 0.0)
    queue = JetStreamQueue(NatsSettings(), ["dev/bad", "dev/pods"], 1, label="t", clock=SystemClock())
    queue._connection.close()
    connection, servers, asked = Subscribing(), queue._servers, Counter[str]()

    async def make(name: str) -> None:
        asked[name] += 1
        if name == "dev/bad":
            raise NatsError("the stream is another one's")

    async def nothing(*_: object) -> None:
        return

    monkeypatch.setattr(queue, "_connection", connection)
    monkeypatch.setattr(servers, "connection", connection)
    for name, function in (("make", make), ("tail", nothing), ("check_payload", nothing)):
        monkeypatch.setattr(servers, name, function)

    work_until(lambda: asked["dev/bad"] >= 3, servers, connection, queue._begin, "queue")
    assert connection.subscribed == 1
    assert asked["dev/pods"] == 1
    assert "another one's" in servers.standstill("dev/bad")
    assert servers.standstill("dev/pods") == ""


class Purging(Subscribing):
    """Servers on which nothing of ``dev/bad`` is purged; counts what is purged, by subject."""

    def __init__(self) -> None:
        super().__init__()
        self.purged: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()

    def jetstream(self) -> "Purging":
        return self

    async def purge_stream(self, stream: str, *, seq: int, subject: str) -> None:
        self.asked[stream] += 1
        if "bad" in subject:
            raise TimeoutError("no answer")
        self.purged[subject] += 1


@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_informer_of_which_nothing_can_be_purged_holds_up_no_other(monkeypatch: pytest.MonkeyPatch, place: int):
    monkeypatch.setattr(consuming, "PURGE_S", 0.001)
    connection = Purging()
    servers = Servers(cast(Connection, connection))
    consumer = Consumer(servers, None)
    names = ["dev/pods", "dev/nodes"]
    names.insert(place, "dev/bad")

    async def nothing(*_: object) -> None:
        return

    monkeypatch.setattr(consumer, "_consume", nothing)

    def begin() -> None:
        for name in names:
            for shard in range(2):
                consumer.consume(Consume(name, shard, 1))
                consumer.done(Done(name, shard, 1, 7, 0, 0))

    bad = servers.stream("dev/bad")
    work_until(lambda: connection.asked[bad] >= 3, servers, connection, consumer.purge, "purge", begin=begin)
    assert connection.purged == {servers.subject(n, shard): 1 for n in names if n != "dev/bad" for shard in range(2)}
    assert servers.problems["purge"] == "purge: no answer"


def test_what_stands_in_the_way_may_change_while_it_is_looked_at():
    """The broker's thread looks, the connection's notes."""
    servers = Servers(cast(Connection, Connected()))

    class Where(str):
        def startswith(self, *prefix: Any) -> bool:
            servers.problems[f"dev/nodes#{len(servers.problems)}"] = "no answer in time"
            return super().startswith(*prefix)

    servers.problems |= {Where("dev/pods#1"): "the queue was lost", Where("dev/jobs.batch"): "no stream"}
    try:
        assert servers.standstill("dev/pods") == "the queue was lost"
    finally:
        servers.waker.close()


class Had:
    """A lease that this broker has."""

    seen = problem = ""
    is_valid = is_held = True

    async def keep(self) -> None:
        await asyncio.Event().wait()


class Attending:
    """What a publisher asks of a broker."""

    may = True

    def may_lead(self, name: str) -> bool:
        return self.may


def test_a_declined_reign_leads_nothing_and_another_one_begins_once_the_broker_may_lead(
    monkeypatch: pytest.MonkeyPatch,
):
    clock, begun = FakeClock(), []
    leads = SimpleNamespace(lead=lambda name, changed: Had())
    servers = Servers(cast(Connection, SimpleNamespace(submit=lambda work: work.close())))
    publisher = Publisher(servers, ["dev/pods"], 1, cast(Any, leads), clock)
    monkeypatch.setattr(publisher, "_take_over_soon", lambda name, reign: begun.append(name))
    broker: Any = Attending()
    try:
        publisher.attend(broker)
        publisher._reigns["dev/pods"].id = "r1"
        assert publisher.leading == ["dev/pods"]
        publisher.resign(Resign("dev/pods", "r1", is_declined=True))
        assert publisher.leading == []
        broker.may = False
        publisher.attend(broker)
        assert begun == [], "not while the queue is of another cluster"
        broker.may = True
        publisher.attend(broker)
        publisher.attend(broker)
        assert begun == ["dev/pods"]
    finally:
        servers.waker.close()
