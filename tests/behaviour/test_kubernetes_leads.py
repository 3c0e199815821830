"""A broker's Lease on an API server with rights: what it says without them, and that it goes on when they are there."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import requests

from deltawire.apiserver.server import ApiServer
from deltawire.client.aio.rest import AsyncRESTClient
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.rest.client import RESTClient
from deltawire.client.rest.retry import NO_RETRIES
from deltawire.common.clock import SystemClock
from deltawire.fifo.relay.kubernetes import KubernetesLead, KubernetesLeads
from deltawire.fifo.relay.servers import Servers
from deltawire.fifo.relay.tenure import Times
from deltawire.jetstream.settings import NatsSettings
from tests.support.servers import ServerFactory

RBAC = "apis/rbac.authorization.k8s.io/v1/namespaces/default"
NAME = "deltawire.dev.pods"


class Cluster:
    """A server that forbids what no role allows, and a user ``broker``."""

    def __init__(self, server: ApiServer, folder: Path) -> None:
        self.server = server
        self._trusted = folder / "ca.pem"
        self._trusted.write_bytes(server.ca_pem)
        self._admin = {"Authorization": f"Bearer {server.token_for('root', ('system:masters',))}"}
        user = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "broker"}
        role = {"kind": "Role", "apiGroup": "rbac.authorization.k8s.io", "name": "leads"}
        self.ask("POST", f"{RBAC}/roles", {"metadata": {"name": "leads"}, "rules": []})
        binding = {"metadata": {"name": "leads"}, "subjects": [user], "roleRef": role}
        self.ask("POST", f"{RBAC}/rolebindings", binding)

    def ask(self, verb: str, path: str, body: Any = None) -> Any:
        answer = requests.request(
            verb,
            f"{self.server.url}/{path}",
            json=body,
            headers=self._admin,
            verify=str(self._trusted),
            timeout=30,
        )
        answer.raise_for_status()
        return answer.json()

    def allow(self, *verbs: str) -> None:
        rules = [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": list(verbs)}]
        role = {"metadata": {"name": "leads"}, "rules": rules if verbs else []}
        self.ask("PUT", f"{RBAC}/roles/leads", role)

    def lease(self) -> dict[str, Any]:
        path = f"apis/coordination.k8s.io/v1/namespaces/default/leases/{NAME}"
        found: dict[str, Any] = self.ask("GET", path)["spec"]
        return found

    def connect(self, cluster: str) -> AsyncRESTClient:
        assert cluster == "dev"
        token = self.server.token_for("broker")
        config = ClientConfig(self.server.url, ca_data=self.server.ca_pem, token=token)
        return AsyncRESTClient(RESTClient(config, retry=NO_RETRIES))


class Nats:
    """A connection that is well and hears nothing."""

    settings = NatsSettings()
    is_connected = True

    def __init__(self) -> None:
        self.connection = self.client = self
        self.problems: dict[str, str] = {}

    async def subscribe(self, subject: str, cb: Any) -> "Nats":
        return self

    async def unsubscribe(self) -> None:
        return

    async def publish(self, subject: str, payload: bytes) -> None:
        return

    async def flush(self, timeout_s: float) -> None:
        return

    async def is_gone(self, informer: str) -> bool:
        return False

    def note(self, where: str, problem: str) -> None:
        self.problems[where] = problem


async def until(what: str, done: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not done():  # noqa: ASYNC110  # plain state
            await asyncio.sleep(0.02)


Scene = Callable[[Cluster, Nats, KubernetesLead], Awaitable[None]]


def play(server: ApiServer, folder: Path, scene: Scene) -> None:
    async def run() -> None:
        cluster, nats = Cluster(server, folder), Nats()
        leads = KubernetesLeads(
            cast(Servers, nats), cluster.connect, "default", Times(5), host="a", nonce="1", clock=SystemClock()
        )
        lead = leads.lead("dev/pods", lambda _: None)
        task = asyncio.ensure_future(lead.keep())
        try:
            await scene(cluster, nats, lead)
        finally:
            task.cancel()
            await asyncio.wait([task])

    asyncio.run(run())


def test_rights_that_lack_are_named_and_a_leader_whose_rights_were_taken_leads_on(
    api_server_factory: ServerFactory, tmp_path: Path
) -> None:
    async def scene(cluster: Cluster, nats: Nats, lead: KubernetesLead) -> None:
        def said() -> str:
            return nats.problems.get("lease of dev/pods", "")

        await until("a line about reading", lambda: "cannot get resource" in said())
        assert f"no lease of dev/pods can be had: Lease default/{NAME}: " in said()
        assert "deltawire rbac -c FILE prints the rules" in said()
        cluster.allow("get")
        await until("a line about making it", lambda: "cannot create resource" in said())
        assert not lead.is_held
        cluster.allow("get", "create", "update")
        await until("the lead", lambda: lead.is_valid)
        assert not said()
        assert cluster.lease()["holderIdentity"] == "a_1"

        cluster.allow()
        await until("a line about it", lambda: "is not renewed, and this broker leads on: " in said())
        await until("its end by its own clock", lambda: not lead.is_valid)
        assert lead.is_held
        cluster.allow("get", "create", "update")
        await until("it is renewed", lambda: lead.is_valid)
        assert not said()
        assert cluster.lease()["leaseTransitions"] == 0

    play(api_server_factory(rbac=True, tls=True), tmp_path, scene)


def test_a_lead_that_ends_leaves_no_holder(api_server_factory: ServerFactory, tmp_path: Path) -> None:
    seen: list[Cluster] = []

    async def scene(cluster: Cluster, nats: Nats, lead: KubernetesLead) -> None:
        seen.append(cluster)
        cluster.allow("get", "create", "update")
        await until("the lead", lambda: lead.is_held)

    play(api_server_factory(rbac=True, tls=True), tmp_path, scene)
    assert seen[0].lease()["holderIdentity"] == ""


def names_of(server: ApiServer) -> list[str]:
    path = "apis/coordination.k8s.io/v1/namespaces/default/leases"
    items = requests.get(f"{server.url}/{path}", timeout=30).json()["items"]
    return [item["metadata"]["name"] for item in items]


def test_each_informers_lease_is_in_its_own_cluster_and_one_that_is_away_disturbs_no_other(
    api_server_factory: ServerFactory,
) -> None:
    servers = {name: api_server_factory() for name in ("east", "west")}

    def connect(cluster: str) -> AsyncRESTClient:
        return AsyncRESTClient(RESTClient(ClientConfig(servers[cluster].url), retry=NO_RETRIES))

    async def run() -> None:
        nats = Nats()
        leads = KubernetesLeads(
            cast(Servers, nats), connect, "default", Times(5), host="a", nonce="1", clock=SystemClock()
        )
        held: dict[str, KubernetesLead] = {}
        for name in servers:
            held[name] = leads.lead(f"{name}/pods", lambda _: None)
        tasks = [asyncio.ensure_future(lead.keep()) for lead in held.values()]
        try:
            await until("both leads", lambda: all(lead.is_valid for lead in held.values()))
            for name, server in servers.items():
                assert names_of(server) == [f"deltawire.{name}.pods"]
            await asyncio.to_thread(servers["west"].stop)
            await until("the end of the one by its own clock", lambda: not held["west"].is_valid)
            assert held["west"].is_held, "it leads on"
            assert held["east"].is_valid
            assert list(nats.problems) == ["lease of west/pods"]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    asyncio.run(run())
