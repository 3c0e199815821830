"""Async discovery, mapper, metadata and scale clients: on the embedded API server, with sockets and without, and on a
server whose answers are scripted."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from deltawire import AsyncClientset, AsyncDynamicClient, AsyncMetadataClient, FakeClientset
from deltawire.apiserver.server import ApiServer
from deltawire.client import errors
from deltawire.client.aio.discovery_client import AsyncDiscoveryClient
from deltawire.client.aio.mapper import AsyncDeferredRESTMapper
from deltawire.client.aio.rest import AsyncRESTClient
from deltawire.client.aio.scale import AsyncScaleClient
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.discovery.answers import AnswerFiles
from deltawire.client.discovery.discovery_client import DiscoveryClient
from deltawire.client.rest.client import RESTClient
from deltawire.client.restmapper.mapper import NoMatchError
from deltawire.client.schema import GroupVersion, GroupVersionResource
from deltawire.client.typed.models import models
from deltawire.common.errors import ConfigError, StatusError, TransportError

core, apps, meta = models("core_v1"), models("apps_v1"), models("meta_v1")
DEPLOYMENTS = GroupVersionResource("apps", "v1", "deployments")
LABELS = {"app": "web"}
Use = Callable[[AsyncClientset], Awaitable[None]]


def deployment(name: str, replicas: int) -> Any:
    template = core.PodTemplateSpec(
        metadata=meta.ObjectMeta(labels=LABELS),
        spec=core.PodSpec(containers=[core.Container(name="c", image="i")]),
    )
    spec = apps.DeploymentSpec(
        selector=meta.LabelSelector(matchLabels=LABELS), template=template, replicas=replicas
    )
    return apps.Deployment(metadata=meta.ObjectMeta(name=name, labels=LABELS), spec=spec)


def on_server(api: ApiServer, use: Use) -> None:
    async def main() -> None:
        async with AsyncClientset.from_config(ClientConfig(api.url)) as clientset:
            await use(clientset)

    asyncio.run(main())


def on_fake(api: ApiServer, use: Use) -> None:
    async def main() -> None:
        await use(fake.aio)

    with FakeClientset() as fake:
        asyncio.run(main())


both = pytest.mark.parametrize("on", [on_server, on_fake])


@both
def test_async_discovery_finds_what_the_sync_client_finds(api_server: ApiServer, on: Any) -> None:
    async def use(clientset: AsyncClientset) -> None:
        found = clientset.discovery()
        sync = DiscoveryClient(clientset.rest.sync)
        everything = await found.server_groups_and_resources()
        assert everything == await asyncio.to_thread(sync.server_groups_and_resources)
        assert await found.server_groups() == everything.groups
        assert (await found.server_version()).git_version.startswith("v1.")
        apps_v1 = await found.server_resources_for(GroupVersion("apps", "v1"))
        assert "deployments" in [one.type.plural for one in apps_v1]
        preferred = await found.server_preferred_resources()
        assert preferred == await asyncio.to_thread(sync.server_preferred_resources)
        assert "apis/apps/v1" in await found.openapi_v3()
        assert json.loads(await found.openapi_v3_document(GroupVersion("apps", "v1")))["openapi"]
        assert json.loads(await found.openapi_v2())["swagger"]
        assert (await found.resolve("deploy")).plural == "deployments"
        with pytest.raises(ConfigError, match="no resource 'gadgets'"):
            await found.resolve("gadgets")
        with pytest.raises(StatusError) as missing:
            await found.server_resources_for(GroupVersion("ex.io", "v1"))
        assert errors.is_not_found(missing.value)

    on(api_server, use)


@both
def test_async_metadata_comes_without_the_rest(api_server: ApiServer, on: Any) -> None:
    async def use(clientset: AsyncClientset) -> None:
        await clientset.apps_v1().deployments("default").create(deployment("web", 1))
        only = AsyncMetadataClient(clientset.rest).resource(DEPLOYMENTS)
        mine = only.namespace("default")
        got = await mine.get("web")
        assert (got.metadata.name, got.metadata.labels) == ("web", LABELS)
        assert not hasattr(got, "spec")
        listed = await only.list(label_selector="app=web")
        assert [item.metadata.name for item in listed.items] == ["web"]
        assert [item.metadata.name async for item in mine.each(page_size=1)] == ["web"]
        async with mine.watch(resource_version=listed.metadata.resourceVersion, timeout_s=30) as watch:
            patched = await mine.patch("web", {"metadata": {"labels": {"seen": "yes"}}})
            event = await anext(watch)
        assert event.object.metadata.resourceVersion == patched.metadata.resourceVersion
        assert (event.object.metadata.labels or {})["seen"] == "yes"
        await mine.delete("web", propagation_policy="Background")
        with pytest.raises(StatusError) as missing:
            await mine.get("web")
        assert errors.is_not_found(missing.value)

    on(api_server, use)


@both
def test_anything_is_scaled_in_async_code(api_server: ApiServer, on: Any) -> None:
    async def use(clientset: AsyncClientset) -> None:
        deployments = clientset.apps_v1().deployments("default")
        await deployments.create(deployment("web", 2))
        scales = AsyncScaleClient(clientset.rest, AsyncDeferredRESTMapper(clientset.discovery()))
        unversioned = GroupVersionResource("apps", "", "deployments")
        scale = await scales.get(unversioned, "web", "default")
        assert (scale.spec.replicas, scale.selector) == (2, "app=web")
        scale.spec.replicas = 3
        await scales.update(unversioned, scale, "default")
        assert (await deployments.get("web")).spec.replicas == 3
        scaled = await scales.patch(DEPLOYMENTS, "web", {"spec": {"replicas": 4}}, "default")
        assert scaled.spec.replicas == 4
        with pytest.raises(StatusError) as stale:
            await scales.update(DEPLOYMENTS, scale, "default")
        assert errors.is_conflict(stale.value)
        applied = await deployments.apply_scale(
            "web", {"metadata": {"name": "web"}, "spec": {"replicas": 5}}, field_manager="me", force=True
        )
        assert applied.spec.replicas == 5
        with pytest.raises(StatusError) as missing:
            await scales.get(DEPLOYMENTS, "other", "default")
        assert errors.is_not_found(missing.value)
        with pytest.raises(NoMatchError):
            await scales.get(GroupVersionResource("", "", "gadgets"), "web", "default")

    on(api_server, use)


def test_what_may_not_be_read_is_said_to_async_clients_as_to_sync_ones(server: Any) -> None:
    status = {"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403, "message": "not you"}
    server.answers(lambda exchange: exchange.reply(403, json.dumps(status).encode()))

    async def main() -> None:
        async with AsyncMetadataClient.from_config(ClientConfig(server.url)) as only:
            mapper = AsyncDeferredRESTMapper(AsyncDiscoveryClient(only.rest))
            scales = AsyncScaleClient(only.rest, mapper)
            for call in (
                only.resource(DEPLOYMENTS).namespace("ns").get("web"),
                AsyncDiscoveryClient(only.rest).server_groups_and_resources(),
                scales.patch(DEPLOYMENTS, "web", {}, "ns"),
                scales.get(DEPLOYMENTS, "web", "ns"),
            ):
                with pytest.raises(StatusError, match="not you") as refused:
                    await call
                assert errors.is_forbidden(refused.value)

    asyncio.run(main())


def test_an_answer_of_another_form_is_refused_in_async_code(server: Any) -> None:
    server.answers(lambda exchange: exchange.reply(200, b'{"apiVersion":"v1","kind":"Pod","metadata":{}}'))

    async def main() -> None:
        async with AsyncMetadataClient.from_config(ClientConfig(server.url)) as only:
            with pytest.raises(TransportError, match="without metadata"):
                await only.resource(DEPLOYMENTS).namespace("ns").get("web")
            scales = AsyncScaleClient(only.rest, AsyncDeferredRESTMapper(AsyncDiscoveryClient(only.rest)))
            with pytest.raises(TransportError, match="instead of a Scale"):
                await scales.patch(DEPLOYMENTS, "web", {}, "ns")

    asyncio.run(main())


def test_an_older_server_is_asked_group_by_group_in_async_code(server: Any) -> None:
    groups = [{"name": name, "versions": [{"version": "v1"}]} for name in ("ex.io", "down.io")]
    widgets = {"name": "widgets", "kind": "Widget", "namespaced": True, "verbs": ["list"]}
    answers: dict[str, Any] = {
        "/api": {"versions": ["v1"]},
        "/apis": {"groups": groups},
        "/api/v1": {"resources": []},
        "/apis/ex.io/v1": {"resources": [widgets]},
    }

    def answer(exchange: Any) -> None:
        path = exchange.path.partition("?")[0]
        exchange.reply(200 if path in answers else 500, json.dumps(answers.get(path, {})).encode())

    server.answers(answer)

    async def main() -> None:
        async with AsyncDynamicClient.from_config(ClientConfig(server.url)) as dynamic:
            mapper = AsyncDeferredRESTMapper(AsyncDiscoveryClient(dynamic.rest))
            kinds = [mapper.kind_for(GroupVersionResource("", "", "widgets")) for _ in range(10)]
            assert {kind.kind for kind in await asyncio.gather(*kinds)} == {"Widget"}
            assert [r.path for r in server.requests].count("/apis?timeout=32s") == 1, "one task reads"
            found = (await mapper.current()).discovered
            assert [one.type.name for one in found.resources] == ["widgets.ex.io"]
            assert set(found.failures) == {"down.io/v1"}
            for _ in range(3):
                with pytest.raises(NoMatchError):
                    await mapper.rest_mapping("ex.io", "Gadget")
            assert [r.path for r in server.requests].count("/apis?timeout=32s") == 2, "looked once more"

    asyncio.run(main())


def test_what_has_not_changed_is_not_sent_again_to_async_code(server: Any, tmp_path: Path) -> None:
    def answer(exchange: Any) -> None:
        if exchange.headers.get("If-None-Match") == '"1"':
            exchange.reply(304, b"")
        else:
            exchange.reply(200, b'{"gitVersion":"v1.33.1"}', ETag='"1"')

    server.answers(answer)
    config = ClientConfig(server.url)

    async def main() -> None:
        rest = AsyncRESTClient(RESTClient(config))
        discovery = AsyncDiscoveryClient(rest, AnswerFiles(config, tmp_path))
        for _ in range(2):
            assert (await discovery.server_version()).git_version == "v1.33.1"
        await rest.close()

    asyncio.run(main())
    assert [r.headers.get("If-None-Match") for r in server.requests] == [None, '"1"']


@pytest.mark.parametrize("make", [AsyncDiscoveryClient, AsyncMetadataClient, lambda rest: AsyncScaleClient(rest, None)])
def test_an_async_client_made_of_a_clientset_names_its_rest(api_server: ApiServer, make: Any) -> None:
    with pytest.raises(TypeError, match=r"takes an AsyncRESTClient, .*: give the \.rest of the AsyncClientset"):
        make(AsyncClientset.from_config(ClientConfig(api_server.url)))
