"""Who leads an informer by a Lease in the informer's own cluster (coordination.k8s.io/v1).

`deltawire.client.tools.leader_election` decides what to read and write, `tenure` what that means for the lead. Imported
where the config asks for it only: clients of API servers take memory.
"""

import asyncio
import contextlib
import logging
import platform
import random as _random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from deltawire.client.aio.leader_election.lease_lock import AsyncLeaseLock
from deltawire.client.aio.rest import AsyncRESTClient
from deltawire.client.config.loading import load
from deltawire.client.rest.client import RESTClient
from deltawire.client.rest.retry import NO_RETRIES
from deltawire.client.tools.leader_election import attempt
from deltawire.client.tools.leader_election.attempt import Held
from deltawire.client.tools.leader_election.candidate import Candidate
from deltawire.common.clock import Clock
from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import KubernetesLeases
from deltawire.common.errors import DeltawireError, StatusError
from deltawire.common.version import __version__
from deltawire.fifo.relay import lead_names
from deltawire.fifo.relay.remedies import remedy_of
from deltawire.fifo.relay.servers import Servers
from deltawire.fifo.relay.tenure import Tenure, Times
from deltawire.jetstream.connection import NatsError
from deltawire.jetstream.settings import lease_s

log = logging.getLogger(__name__)

# NATS, asked whether something can be published from here, answers within this.
FIT_S_MAX = 2.0
# After the word that a Lease was given back, so that many of them make few requests.
HURRY_S = 0.1
JITTER = 0.2


class _UnfitError(Exception):
    """Nothing can be published from here now."""


@dataclass(slots=True)
class _Cluster:
    """The client of one cluster, and how many informers use it."""

    client: AsyncRESTClient
    users: set[str]


class KubernetesLeads:
    """``connect``: makes the client of a cluster, raises ConfigError. ``host``: see `lead_names.host_name`."""

    def __init__(
        self,
        servers: Servers,
        connect: Callable[[str], AsyncRESTClient],
        namespace: str,
        times: Times,
        *,
        host: str,
        nonce: str,
        clock: Clock,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self.servers = servers
        self.times = times
        self.host = host
        self.holder = lead_names.holder_name(host, nonce)
        self.clock = clock
        self.random = random
        self._connect = connect
        self._namespace = namespace
        self._clusters: dict[str, _Cluster] = {}
        self._turns: dict[str, asyncio.Lock] = {}

    def lead(self, informer: str, changed: Callable[[bool], object]) -> "KubernetesLead":
        return KubernetesLead(self, informer, changed)

    def turn_of(self, informer: str) -> asyncio.Lock:
        """Of two leads of an informer the later one begins when the earlier one has given its Lease back: both have
        one name in it, so the one would give back what the other has just renewed."""
        return self._turns.setdefault(informer, asyncio.Lock())

    def where(self, informer: str) -> str:
        """The Lease, as people name it."""
        return f"{self._namespace}/{lead_names.lease_name(self.servers.settings.name, informer)}"

    def lock(self, informer: str) -> AsyncLeaseLock:
        """Raises ConfigError; a file that is missing now is an error of this attempt."""
        cluster = informer.partition("/")[0]
        if cluster not in self._clusters:
            self._clusters[cluster] = _Cluster(self._connect(cluster), set())
        self._clusters[cluster].users.add(informer)
        _, _, name = self.where(informer).partition("/")
        return AsyncLeaseLock(self._clusters[cluster].client, self._namespace, name, self.holder)

    async def left(self, informer: str) -> None:
        """The connections of a cluster end with the last informer that uses them."""
        for name, cluster in list(self._clusters.items()):
            cluster.users.discard(informer)
            if not cluster.users:
                del self._clusters[name]
                await cluster.client.close()


class KubernetesLead:
    """One informer that this broker wants to lead. All of it runs in the connection's thread."""

    def __init__(self, leads: KubernetesLeads, informer: str, changed: Callable[[bool], object]) -> None:
        self._leads = leads
        self._servers = leads.servers
        self._clock = leads.clock
        self._informer = informer
        self._changed = changed
        self._candidate = Candidate(leads.holder, leads.times.lease_s)
        self._tenure = Tenure(leads.times)
        self._held: Held | None = None
        self._said = False
        # Until it was held once: a broker that ran here before has ended.
        self._may_inherit = True
        self._hurry = asyncio.Event()
        # Why the last attempt failed; "" where it did not.
        self.problem = ""
        self._where = f"lease of {informer}"

    @property
    def seen(self) -> str:
        return self._candidate.holder

    @property
    def is_valid(self) -> bool:
        return self._tenure.is_valid(self._clock.now_s())

    @property
    def is_held(self) -> bool:
        return self._tenure.is_held

    async def keep(self) -> None:
        async with self._leads.turn_of(self._informer):
            await self._keep()

    async def _keep(self) -> None:
        subscription = await self._servers.connection.client.subscribe(self._subject, cb=self._heard)
        try:
            while True:
                is_well = await self._turn()
                self._say()
                await self._wait(self._tenure.wait_s(is_well))
        finally:
            if self._tenure.is_held:
                await self._give_back()
            self._servers.problems.pop(self._where, None)
            await self._leads.left(self._informer)
            with contextlib.suppress(Exception):
                await subscription.unsubscribe()

    async def _turn(self) -> bool:
        """One attempt. True if it was answered."""
        asked_s = self._clock.now_s()
        try:
            async with asyncio.timeout(self._leads.times.request_s):
                lock = self._leads.lock(self._informer)
                held = await attempt.drive_async(self._steps(), lambda step: self._send(lock, step))
        except _UnfitError:
            if self._tenure.unfit(self._clock.now_s()):
                await self._give_back()
            return False
        except TimeoutError:
            self._failed(f"no answer within {self._leads.times.request_s:g} s")
            return False
        except StatusError as error:
            # Where another one was faster, the next attempt shows who.
            if not (error.is_conflict or error.is_already_exists):
                self._failed(error.message, remedy_of(error))
            return False
        except DeltawireError as error:
            self._failed(error.message)
            return False
        self.problem = ""
        self._servers.problems.pop(self._where, None)
        if held is None:
            self._tenure.ended()
        else:
            self._held = held
            self._candidate.observe(held.record, asked_s)
            self._tenure.renewed(asked_s)
            self._may_inherit = False
        return True

    def _steps(self) -> attempt.Steps:
        return attempt.attempt(
            self._candidate,
            self._held,
            self._clock.now_s,
            self._clock.wall_s(),
            self._saw,
            has_ended=self._has_ended,
        )

    def _saw(self, held: Held) -> None:
        self._held = held
        self._candidate.observe(held.record, self._clock.now_s())

    def _has_ended(self, holder: str) -> bool:
        return self._may_inherit and lead_names.is_of(self._leads.host, holder)

    async def _send(self, lock: AsyncLeaseLock, step: attempt.Step) -> Held | None:
        if not isinstance(step, attempt.Get):
            if not await self._is_fit():
                raise _UnfitError
            self._tenure.fit()
        return await lock.send(step)

    async def _is_fit(self) -> bool:
        """True if JetStream answers: a broker that can publish nothing must not keep others from it."""
        import nats.errors
        from nats.js.errors import Error

        if not self._servers.connection.is_connected:
            return False
        try:
            async with asyncio.timeout(min(FIT_S_MAX, self._leads.times.request_s / 2)):
                await self._servers.is_gone(self._informer)
        except (Error, nats.errors.Error, NatsError, OSError, TimeoutError):
            return False
        return True

    def _failed(self, reason: str, remedy: str = "") -> None:
        if not self._tenure.is_held:
            self._candidate.lost_sight()
        hint = f" ({remedy})" if remedy else ""
        self.problem = f"Lease {self._leads.where(self._informer)}: {reason}{hint}"
        if self._tenure.is_held:
            text = f"the lease of {self._informer} is not renewed, and this broker leads on: {self.problem}"
        else:
            text = f"no lease of {self._informer} can be had: {self.problem}"
        self._servers.note(self._where, text)

    def _say(self) -> None:
        if self._tenure.is_held != self._said:
            self._said = self._tenure.is_held
            self._changed(self._said)

    async def _give_back(self) -> None:
        """Others need not wait for its end: they are told on NATS."""
        self._tenure.ended()
        self._say()
        try:
            async with asyncio.timeout(self._leads.times.request_s):
                lock = self._leads.lock(self._informer)
                steps = attempt.release(self._candidate, self._clock.now_s, self._clock.wall_s)
                self._held = await attempt.drive_async(steps, lock.send)
            client = self._servers.connection.client
            await client.publish(self._subject, b"")
            await client.flush(1)
        except Exception as error:
            log.debug("%s: its Lease was not given back: %s", self._informer, error)

    @property
    def _subject(self) -> str:
        return self._servers.settings.subject("lease", *self._informer.split("/"))

    async def _heard(self, message: Any) -> None:
        """Somebody has given it back."""
        self._hurry.set()

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds * (1 + JITTER * self._leads.random())):
                await self._hurry.wait()
                await asyncio.sleep(HURRY_S)
        self._hurry.clear()


def kubernetes_leads(
    plan: Plan, leases: KubernetesLeases, servers: Servers, nonce: str, clock: Clock
) -> KubernetesLeads:
    """As the config has it."""

    def connect(cluster: str) -> AsyncRESTClient:
        options = plan.clusters[cluster]
        config = load(kubeconfig=options.kubeconfig, context=options.context)
        agent = f"deltawire-fifo/{__version__}"
        return AsyncRESTClient(RESTClient(replace(config, user_agent=agent), retry=NO_RETRIES, clock=clock))

    return KubernetesLeads(
        servers,
        connect,
        leases.namespace,
        Times(lease_s(leases)),
        host=lead_names.host_name(platform.node(), plan.runtime_dir),
        nonce=nonce,
        clock=clock,
    )
