"""Typed and dynamic async clients on the embedded API server, over sockets and without."""

import asyncio
import pickle
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from deltawire import AsyncClientset, AsyncDynamicClient, FakeClientset
from deltawire.apiserver.server import ApiServer
from deltawire.client import errors
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.rest.client import RESTClient
from deltawire.client.schema import GroupVersionResource
from deltawire.client.typed.models import models
from deltawire.common.errors import ConfigError, StatusError

core, apps, meta = models("core_v1"), models("apps_v1"), models("meta_v1")
MAPS = GroupVersionResource("", "v1", "configmaps")
Use = Callable[[AsyncClientset], Awaitable[None]]


def config_map(name: str, **data: str) -> Any:
    return core.ConfigMap(metadata=meta.ObjectMeta(name=name), data=data)


def on_server(api: ApiServer, use: Use) -> None:
    async def main() -> None:
        async with AsyncClientset.from_config(ClientConfig(api.url)) as clientset:
            await use(clientset)

    asyncio.run(main())


def on_fake(api: ApiServer, use: Use) -> None:
    with FakeClientset() as fake:

        async def main() -> None:
            await use(fake.aio)

        asyncio.run(main())
        assert {"create", "get", "update", "patch", "list", "watch", "delete"} <= {a.verb for a in fake.fake.actions}


@pytest.mark.parametrize("on", [on_server, on_fake])
def test_a_typed_object_lives_its_life_in_async_code(api_server: ApiServer, on: Any) -> None:
    async def use(clientset: AsyncClientset) -> None:
        maps = clientset.core_v1().config_maps("default")
        made = await maps.create(config_map("a", x="1"))
        assert isinstance(made, core.ConfigMap) and made.metadata.uid
        async with maps.watch(resource_version=made.metadata.resourceVersion, timeout_s=30) as watch:
            made.data["x"] = "2"
            await maps.update(made)
            event = await anext(watch)
            assert (event.type, event.object.data) == ("MODIFIED", {"x": "2"})
        await maps.patch("a", {"data": {"y": "3"}})
        await maps.apply({"metadata": {"name": "a"}, "data": {"z": "4"}}, field_manager="me")
        assert (await maps.get("a")).data == {"x": "2", "y": "3", "z": "4"}
        with pytest.raises(StatusError) as stale:
            await maps.update(made)
        assert errors.is_conflict(stale.value)
        await asyncio.gather(*(maps.create(config_map(f"b{n}")) for n in range(5)))
        paged = await maps.list_all(page_size=2)
        assert len(paged.items) == 6 and paged.pages == 3
        assert len([one async for one in maps.each(page_size=4)]) == 6
        assert len((await maps.list(limit=2)).items) == 2
        await maps.delete("a")
        with pytest.raises(StatusError) as gone:
            await maps.get("a")
        assert errors.is_not_found(gone.value)
        await maps.delete_collection()
        assert (await clientset.of(core.ConfigMap, "default").list()).items == []

    on(api_server, use)


def test_expansions_are_awaited_too(api_server: ApiServer) -> None:
    labels = {"app": "web"}
    template = core.PodTemplateSpec(
        metadata=meta.ObjectMeta(labels=labels),
        spec=core.PodSpec(containers=[core.Container(name="c", image="i")]),
    )
    spec = apps.DeploymentSpec(selector=meta.LabelSelector(matchLabels=labels), template=template, replicas=1)

    async def use(clientset: AsyncClientset) -> None:
        deployments = clientset.apps_v1().deployments("default")
        await deployments.create(apps.Deployment(metadata=meta.ObjectMeta(name="web"), spec=spec))
        scale = await deployments.get_scale("web")
        scale.spec.replicas = 3
        await deployments.update_scale("web", scale)
        assert (await deployments.get("web")).spec.replicas == 3
        pods = clientset.core_v1().pods("default")
        await pods.create(core.Pod(metadata=meta.ObjectMeta(name="p"), spec=template.spec))
        events = await clientset.core_v1().events("default").search(await pods.get("p"))
        assert events.items == []
        await pods.evict("p")
        with pytest.raises(ConfigError, match="no sub-resource 'status'"):
            await clientset.core_v1().config_maps("default").update_status(config_map("a"))

    on_server(api_server, use)


def test_objects_of_any_resource_are_dicts(api_server: ApiServer) -> None:
    async def main() -> None:
        async with AsyncDynamicClient.from_config(ClientConfig(api_server.url)) as dynamic:
            maps = dynamic.resource(MAPS).namespace("default")
            obj = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "d"}, "data": {"a": "1"}}
            made = await maps.create(obj)
            made["data"]["a"] = "2"
            assert (await maps.update(made))["data"] == {"a": "2"}
            assert (await maps.get("d"))["data"] == {"a": "2"}
            with pytest.raises(ConfigError, match="without apiVersion and kind"):
                await maps.apply({"metadata": {"name": "d"}}, field_manager="me")

    asyncio.run(main())


def test_reactors_answer_async_clients(api_server: ApiServer) -> None:
    def refuse(action: Any) -> None:
        raise StatusError(409, "Conflict", "changed meanwhile")

    async def main() -> None:
        with pytest.raises(StatusError, match="changed meanwhile"):
            await fake.aio.core_v1().config_maps("default").update(config_map("a"))

    with FakeClientset() as fake:
        fake.fake.prepend_reactor("update", "configmaps", refuse)
        asyncio.run(main())
        assert [a.verb for a in fake.fake.actions] == ["update"]


def test_an_async_client_says_what_it_is_made_of_and_cannot_be_pickled(api_server: ApiServer) -> None:
    rest = RESTClient(ClientConfig(api_server.url))
    with pytest.raises(TypeError, match="AsyncRESTClient"):
        AsyncClientset(rest)  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(TypeError, match="pickle its config"):
        pickle.dumps(AsyncClientset.from_config(ClientConfig(api_server.url)))
    rest.close()
