"""Brokers that want to lead an informer by a Lease, on a Lease in memory."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from deltawire.client.aio.leader_election.lease_lock import AsyncLeaseLock
from deltawire.client.tools.leader_election import attempt
from deltawire.client.tools.leader_election.attempt import Held
from deltawire.client.tools.leader_election.record import LeaseRecord, from_spec, to_spec
from deltawire.common.clock import SystemClock
from deltawire.common.errors import StatusError, TransportError
from deltawire.fifo.relay.kubernetes import KubernetesLead, KubernetesLeads
from deltawire.fifo.relay.servers import Servers
from deltawire.fifo.relay.tenure import Times
from deltawire.jetstream.settings import NatsSettings

PODS = "dev/pods"
# Leases that end by themselves in a test, and such as do not.
SHORT, LONG = Times(2.0), Times(600.0)


class Cluster:
    """One Lease with versions. ``down``: hosts that get no answer. ``pause``: what the next request waits for.
    ``holders``: of each write."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.down: set[str] = set()
        self.pause: asyncio.Event | None = None
        self.holders: list[str] = []

    @property
    def record(self) -> LeaseRecord:
        return from_spec((self.lease or {}).get("spec", {}))


class Lock:
    def __init__(self, cluster: Cluster, host: str) -> None:
        self._cluster = cluster
        self._host = host

    async def send(self, step: attempt.Step) -> Held | None:
        await asyncio.sleep(0)
        cluster = self._cluster
        if cluster.pause is not None:
            pause, cluster.pause = cluster.pause, None
            await pause.wait()
        if self._host in cluster.down:
            raise TransportError("connection refused", reason="refused")
        if isinstance(step, attempt.Get):
            return Held(cluster.record, cluster.lease) if cluster.lease else None
        version = cluster.lease["metadata"]["resourceVersion"] if cluster.lease else 0
        expected = step.held.lease["metadata"]["resourceVersion"] if isinstance(step, attempt.Update) else 0
        if version != expected:
            raise StatusError(409, "Conflict", "modified")
        cluster.holders.append(step.record.holder)
        cluster.lease = {"metadata": {"resourceVersion": version + 1}, "spec": to_spec(step.record)}
        return Held(cluster.record, cluster.lease)


class Bus:
    """NATS as far as leads need it: words that all hear."""

    def __init__(self) -> None:
        self._heard: list[Callable[[Any], Awaitable[None]]] = []

    async def subscribe(self, subject: str, cb: Callable[[Any], Awaitable[None]]) -> "Bus":
        assert subject == "dw.deltawire.lease.dev.pods"
        self._heard.append(cb)
        return self

    async def unsubscribe(self) -> None:
        return

    async def publish(self, subject: str, payload: bytes) -> None:
        for heard in self._heard:
            await heard(None)

    async def flush(self, timeout_s: float) -> None:
        return


class Host:
    """A broker's lead of pods, and what stands for its connection to NATS."""

    def __init__(self, name: str, cluster: Cluster, bus: Bus, times: Times, nonce: str = "1") -> None:
        self.settings = NatsSettings()
        self.connection = self
        self.client = bus
        self.is_connected = True
        self.problems: dict[str, str] = {}
        self.changes: list[bool] = []
        servers = cast(Servers, self)
        leads = Leads(servers, None, "ops", times, host=name, nonce=nonce, clock=SystemClock())  # type: ignore[arg-type]
        leads.cluster = cluster
        self.holder = leads.holder
        self._leads = leads
        self.seek()

    def seek(self) -> None:
        """Want the lead, perhaps again."""
        self.lead: KubernetesLead = self._leads.lead(PODS, self.changes.append)
        self.task = asyncio.ensure_future(self.lead.keep())

    def note(self, where: str, problem: str) -> None:
        self.problems[where] = problem

    async def is_gone(self, informer: str) -> bool:
        return False

    async def end(self) -> None:
        """As when its process is asked to."""
        self.task.cancel()
        await asyncio.wait([self.task])


class Leads(KubernetesLeads):
    cluster: Cluster

    def lock(self, informer: str) -> AsyncLeaseLock:
        return cast(AsyncLeaseLock, Lock(self.cluster, self.host))


async def until(what: str, done: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not done():  # noqa: ASYNC110  # plain state
            await asyncio.sleep(0.01)


Scene = Callable[[Cluster, Bus, list[Host]], Awaitable[None]]


def play(scene: Scene) -> None:
    async def run() -> None:
        hosts: list[Host] = []
        try:
            await scene(Cluster(), Bus(), hosts)
        finally:
            for host in hosts:
                await host.end()

    asyncio.run(run())


def test_a_leader_that_ends_gives_its_lease_back_and_others_need_not_wait_for_it() -> None:
    async def scene(cluster: Cluster, bus: Bus, hosts: list[Host]) -> None:
        hosts.append(Host("a", cluster, bus, LONG))
        await until("a leads", lambda: hosts[0].lead.is_valid)
        hosts.append(Host("b", cluster, bus, LONG))
        await until("b waits", lambda: hosts[1].lead.seen == "a_1")
        assert not hosts[1].lead.is_held
        await hosts[0].end()
        assert hosts[0].changes == [True, False]
        await until("b leads", lambda: hosts[1].lead.is_valid)
        assert (cluster.record.holder, cluster.record.transitions) == ("b_1", 1)

    play(scene)


def test_a_leader_whose_cluster_does_not_answer_leads_on_and_renews_when_it_does() -> None:
    async def scene(cluster: Cluster, bus: Bus, hosts: list[Host]) -> None:
        hosts.append(Host("a", cluster, bus, SHORT))
        hosts.append(Host("b", cluster, bus, SHORT))
        await until("one leads", lambda: any(h.lead.is_held for h in hosts))
        [leader] = [h for h in hosts if h.lead.is_held]
        cluster.down = {"a", "b"}
        await until("the lease is not known to be ours", lambda: not leader.lead.is_valid)
        await until("a problem of each", lambda: all(h.problems for h in hosts))
        said = leader.problems["lease of dev/pods"]
        assert "this broker leads on: Lease ops/deltawire.dev.pods: connection refused" in said
        # By the other's clock the lease would have ended long ago.
        await asyncio.sleep(2 * SHORT.lease_s)
        cluster.down = {leader.holder[0]}
        await until("the other reads it", lambda: not any(h.problems for h in hosts if h is not leader))
        cluster.down = set()
        await until("it is renewed", lambda: leader.lead.is_valid)
        assert not leader.problems
        assert leader.changes == [True]

    play(scene)


def test_a_leader_that_alone_is_cut_off_loses_it_to_one_that_is_not() -> None:
    async def scene(cluster: Cluster, bus: Bus, hosts: list[Host]) -> None:
        hosts.append(Host("a", cluster, bus, SHORT))
        await until("a leads", lambda: hosts[0].lead.is_held)
        hosts.append(Host("b", cluster, bus, SHORT))
        cluster.down = {"a"}
        await until("b leads", lambda: hosts[1].lead.is_held)
        assert hosts[0].lead.is_held, "it cannot know"
        assert not hosts[0].lead.is_valid, "but it begins nothing any more"
        cluster.down = set()
        await until("a knows", lambda: hosts[0].changes == [True, False])
        assert hosts[0].lead.seen == "b_1"

    play(scene)


def test_a_broker_that_cannot_publish_takes_no_lease_and_gives_its_own_back() -> None:
    async def scene(cluster: Cluster, bus: Bus, hosts: list[Host]) -> None:
        hosts.append(Host("a", cluster, bus, SHORT))
        hosts[0].is_connected = False
        hosts.append(Host("b", cluster, bus, SHORT))
        await until("b leads", lambda: hosts[1].lead.is_held)
        hosts[0].is_connected, hosts[1].is_connected = True, False
        await until("a leads", lambda: hosts[0].lead.is_held)
        assert hosts[1].changes == [True, False]
        assert not hosts[1].lead.is_held

    play(scene)


@pytest.mark.parametrize(("host", "inherits"), [("a", True), ("b", False)])
def test_a_broker_that_is_started_again_does_not_wait_for_its_former_self(host: str, inherits: bool) -> None:
    async def scene(cluster: Cluster, bus: Bus, hosts: list[Host]) -> None:
        hosts.append(Host("a", cluster, Bus(), LONG, nonce="1"))
        await until("a leads", lambda: hosts[0].lead.is_held)
        hosts.append(Host(host, cluster, bus, LONG, nonce="2"))
        await until("the second has looked", lambda: hosts[1].lead.seen)
        await asyncio.sleep(0)
        if inherits:
            await until("it leads", lambda: hosts[1].lead.is_held)
        else:
            assert cluster.record.holder == "a_1"
            assert not hosts[1].lead.is_held

    play(scene)


def test_two_that_call_themselves_the_same_do_not_take_it_from_each_other_for_ever() -> None:
    async def scene(cluster: Cluster, bus: Bus, hosts: list[Host]) -> None:
        hosts.append(Host("a", cluster, bus, SHORT, nonce="1"))
        await until("the first leads", lambda: hosts[0].lead.is_held)
        hosts.append(Host("a", cluster, bus, SHORT, nonce="2"))
        await until("the second leads", lambda: hosts[1].lead.is_held)
        await until("the first knows", lambda: not hosts[0].lead.is_held)
        writes = len(cluster.holders)
        await until("renewals", lambda: len(cluster.holders) > writes + 5)
        assert cluster.record.holder == "a_2"
        assert cluster.record.transitions == 1

    play(scene)


def test_a_broker_that_wants_the_lead_again_gives_it_back_before_and_never_behind() -> None:
    """Its reflectors were away, and are back before the answer to the request that gives the Lease back."""

    async def scene(cluster: Cluster, bus: Bus, hosts: list[Host]) -> None:
        hosts.append(Host("a", cluster, bus, LONG))
        [host] = hosts
        await until("it leads", lambda: host.lead.is_held)
        cluster.pause = slow = asyncio.Event()
        ending = host.task
        ending.cancel()
        await until("the slow request", lambda: cluster.pause is None)
        host.seek()
        for _ in range(100):
            await asyncio.sleep(0)
        slow.set()
        await asyncio.wait([ending])
        await until("it leads again", lambda: host.lead.is_valid)
        assert cluster.holders == ["a_1", "", "a_1"]

    play(scene)
