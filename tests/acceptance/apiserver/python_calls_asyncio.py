"""kubernetes_asyncio and lightkube's asynchronous client."""

import asyncio
from typing import Any

import lightkube
from kubernetes_asyncio import client, dynamic, watch
from lightkube import codecs
from lightkube.config.kubeconfig import KubeConfig
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.core_v1 import Container, PodSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Namespace, Node, Pod, Service
from lightkube.types import CascadeType, PatchType

from tests.acceptance.apiserver.calls import Call
from tests.acceptance.apiserver.python_calls_official import DEPLOYMENT, GADGET, MAP, POD, WIDGETS

PATCH = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"


class Aio:
    """kubernetes_asyncio's classes over one ApiClient."""

    def __init__(self, api: Any) -> None:
        self.api = api
        self.core, self.apps, self.custom = (
            client.CoreV1Api(api),
            client.AppsV1Api(api),
            client.CustomObjectsApi(api),
        )

    async def events(self, **query: Any) -> list[tuple[str, str]]:
        async with watch.Watch() as opened:
            stream = opened.stream(
                self.core.list_namespaced_config_map, "default", timeout_seconds=1, **query
            )
            return [(event["type"], event["object"].metadata.name) async for event in stream]

    async def sees_a_change(self) -> str:
        """Open a watch, write, and see it."""
        async with watch.Watch() as opened:
            stream = opened.stream(self.core.list_namespaced_secret, "default", timeout_seconds=20)
            waiting = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            await self.core.create_namespaced_secret(
                "default", {"metadata": {"name": "s"}, "stringData": {"a": "b"}}
            )
            event = await waiting
            opened.stop()
            return f"{event['type']} {event['object'].data}"

    async def applied(self, manager: str, value: str, force: bool = False) -> Any:
        body = MAP | {"data": {"x": value}}
        done = await self.core.patch_namespaced_config_map(
            "a", "default", body, field_manager=manager, force=force, _content_type=APPLY
        )
        return done.data

    async def stale(self) -> Any:
        old = await self.core.read_namespaced_config_map("a", "default")
        await self.core.patch_namespaced_config_map("a", "default", {"data": {"new": "1"}})
        return await self.core.replace_namespaced_config_map("a", "default", old)

    async def dynamic(self, kind: str, version: str = "v1") -> Any:
        found = await dynamic.DynamicClient(self.api, cache_file=self.cache_file)
        return await found.resources.get(api_version=version, kind=kind)

    cache_file = ""


async def _attribute(awaitable: Any, *path: str) -> Any:
    value = await awaitable
    for name in path:
        value = getattr(value, name)
    return value


async def _dynamic_names(aio: Aio) -> list[str]:
    maps = await aio.dynamic("ConfigMap")
    return [item.metadata.name for item in (await maps.get(namespace="default")).items]


async def _dynamic_apply(aio: Aio) -> Any:
    maps = await aio.dynamic("ConfigMap")
    body = MAP | {"metadata": {"name": "b"}}
    done = await maps.server_side_apply(body=body, name="b", namespace="default", field_manager="d")
    return done.data.to_dict()


AIO_CALLS = (
    Call("version", lambda c: _attribute(client.VersionApi(c.api).get_code(), "git_version"), r"^v1\.35"),
    Call(
        "create",
        lambda c: _attribute(c.core.create_namespaced_config_map("default", MAP), "data"),
        "{'x': '1'}",
    ),
    Call(
        "create again",
        lambda c: c.core.create_namespaced_config_map("default", MAP),
        "ApiException 409 AlreadyExists",
    ),
    Call(
        "read",
        lambda c: _attribute(c.core.read_namespaced_config_map("a", "default"), "metadata", "name"),
        "^a$",
    ),
    Call(
        "read what is not there",
        lambda c: c.core.read_namespaced_config_map("none", "default"),
        "ApiException 404 NotFound",
    ),
    Call("a stale replace", lambda c: c.stale(), "ApiException 409 Conflict"),
    Call(
        "a strategic patch",
        lambda c: _attribute(
            c.core.patch_namespaced_config_map("a", "default", {"data": {"new": None}}), "data"
        ),
        r"^\{'x': '1'\}$",
    ),
    Call(
        "a JSON patch",
        lambda c: _attribute(
            c.core.patch_namespaced_config_map(
                "a", "default", [{"op": "add", "path": "/data/j", "value": "1"}]
            ),
            "data",
        ),
        "'j': '1'",
    ),
    Call(
        "a merge patch",
        lambda c: _attribute(
            c.core.patch_namespaced_config_map("a", "default", {"data": {"j": None}}, _content_type=PATCH),
            "data",
        ),
        r"^\{'x': '1'\}$",
    ),
    Call("watch what is there", lambda c: c.events(), r"^\[\('ADDED', 'a'\)\]$"),
    Call("watch by label", lambda c: c.events(label_selector="no=thing"), r"^\[\]$"),
    Call("watch a change", lambda c: c.sees_a_change(), r"^ADDED \{'a': 'Yg=='\}$"),
    Call("watch from a lost version", lambda c: c.events(resource_version=1), "ApiException 410|410"),
    Call("apply: a conflict", lambda c: c.applied("two", "2"), "ApiException 409 Conflict"),
    Call("apply: forced", lambda c: c.applied("two", "2", force=True), "'x': '2'"),
    Call(
        "a pod",
        lambda c: _attribute(c.core.create_namespaced_pod("default", POD), "spec", "scheduler_name"),
        "^default-scheduler$",
    ),
    Call("log", lambda c: c.core.read_namespaced_pod_log("talker", "default"), "first\nsecond"),
    Call(
        "a deployment",
        lambda c: _attribute(c.apps.create_namespaced_deployment("default", DEPLOYMENT), "spec", "replicas"),
        "^1$",
    ),
    Call(
        "scale",
        lambda c: _attribute(
            c.apps.patch_namespaced_deployment_scale("web", "default", {"spec": {"replicas": 3}}),
            "spec",
            "replicas",
        ),
        "^3$",
    ),
    Call(
        "a custom object",
        lambda c: c.custom.create_namespaced_custom_object(*WIDGETS, GADGET),
        "'color': 'red'",
    ),
    Call(
        "its status",
        lambda c: c.custom.patch_namespaced_custom_object_status(
            *WIDGETS, "w", {"status": {"seen": True}}, _content_type=PATCH
        ),
        "'seen': True",
    ),
    Call("dynamic list", _dynamic_names, r"^\['a'\]$"),
    Call("dynamic apply", _dynamic_apply, r"^\{'x': '1'\}$"),
    Call(
        "delete a collection",
        lambda c: c.core.delete_collection_namespaced_config_map("default"),
        "ConfigMapList|'status': 'Success'|kind",
    ),
)


class Lk:
    """lightkube's asynchronous client with a field manager."""

    def __init__(self, kubeconfig: str) -> None:
        self.client = lightkube.AsyncClient(config=KubeConfig.from_file(kubeconfig), field_manager="lk")

    async def names(self, kind: Any, **query: Any) -> list[str]:
        return [item.metadata.name async for item in self.client.list(kind, **query)]

    async def watched(self, **query: Any) -> list[str]:
        found = []
        async for kind, obj in self.client.watch(ConfigMap, namespace="default", **query):
            found.append(f"{kind} {obj.metadata.name}")
            if len(found) == 2:
                break
        return found

    async def reconnected(self) -> list[str]:
        """The server ends the watch each second; the client goes on where it was."""
        found = []
        stream = self.client.watch(ConfigMap, namespace="default", labels={"n": "b"}, server_timeout=1)
        async for kind, obj in stream:
            found.append(f"{kind} {obj.metadata.name}")
            if len(found) == 1:
                await asyncio.sleep(1.2)
                await self.client.delete(ConfigMap, "b", namespace="default")
            if len(found) == 2:
                break
        return found

    async def evicted(self) -> Any:
        await self.client.create(Pod.Eviction(metadata=ObjectMeta(name="lp", namespace="default")), "lp")
        return await self.names(Pod, namespace="default", fields={"metadata.name": "lp"})

    async def waited(self, condition: str) -> str:
        status = {"status": {"conditions": [{"type": condition, "status": "True"}]}}
        await self.client.patch(
            Deployment.Status, "web", status, namespace="default", patch_type=PatchType.MERGE
        )
        done = await self.client.wait(
            Deployment,
            "web",
            for_conditions=["Available"],
            raise_for_conditions=["Failed"],
            namespace="default",
        )
        return str(done.metadata.name)

    async def log(self) -> list[str]:
        return [line async for line in self.client.log("talker", namespace="default", tail_lines=1)]


def config_map(name: str, **data: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace="default", labels={"n": name}), data=data)


Widget = create_namespaced_resource("example.net", "v1", "Widget", "widgets")
TEXT = "apiVersion: v1\nkind: Service\nmetadata: {name: t, namespace: default}\nspec: {ports: [{port: 80}]}\n"

LIGHTKUBE_CALLS = (
    Call("create", lambda c: _attribute(c.client.create(config_map("a", x="1")), "data"), "{'x': '1'}"),
    Call(
        "create in a dry run",
        lambda c: _attribute(c.client.create(config_map("z"), dry_run=True), "metadata", "name"),
        "^z$",
    ),
    Call(
        "apply",
        lambda c: _attribute(c.client.apply(config_map("b", x="1")), "metadata", "managedFields"),
        "manager='lk', operation='Apply'",
    ),
    Call(
        "apply with a conflict",
        lambda c: c.client.apply(config_map("b", x="2"), field_manager="other"),
        "ApiError 409 Conflict",
    ),
    Call("list in pages", lambda c: c.names(ConfigMap, namespace="default", chunk_size=1), r"^\['a', 'b'\]$"),
    Call(
        "list by labels",
        lambda c: c.names(ConfigMap, namespace="default", labels={"n": ["b", "c"]}),
        r"^\['b'\]$",
    ),
    Call(
        "list by fields",
        lambda c: c.names(Namespace, fields={"metadata.name": "default"}),
        r"^\['default'\]$",
    ),
    Call("list everywhere", lambda c: c.names(ConfigMap, namespace="*"), r"^\['a', 'b'\]$"),
    Call(
        "set labels",
        lambda c: _attribute(
            c.client.set(ConfigMap, "a", namespace="default", labels={"k": "v"}), "metadata", "labels"
        ),
        "'k': 'v'",
    ),
    Call(
        "a JSON patch",
        lambda c: _attribute(
            c.client.patch(
                ConfigMap,
                "a",
                [{"op": "remove", "path": "/metadata/labels/k"}],
                namespace="default",
                patch_type=PatchType.JSON,
            ),
            "metadata",
            "labels",
        ),
        r"^\{'n': 'a'\}$",
    ),
    Call(
        "a merge patch",
        lambda c: _attribute(
            c.client.patch(
                ConfigMap, "a", {"data": {"y": "2"}}, namespace="default", patch_type=PatchType.MERGE
            ),
            "data",
        ),
        "'y': '2'",
    ),
    Call(
        "a patch that applies",
        lambda c: _attribute(
            c.client.patch(
                ConfigMap,
                "a",
                {"apiVersion": "v1", "kind": "ConfigMap", "data": {"s": "1"}},
                namespace="default",
                patch_type=PatchType.APPLY,
            ),
            "data",
        ),
        "'s': '1'",
    ),
    Call(
        "replace",
        lambda c: _attribute(c.client.replace(config_map("a", only="1")), "data"),
        r"^\{'only': '1'\}$",
    ),
    Call("watch", lambda c: c.watched(), r"^\['ADDED a', 'ADDED b'\]$"),
    Call(
        "watch over the end of a stream",
        lambda c: c.reconnected(),
        r"^\['ADDED b', 'DELETED b'\]$",
    ),
    Call(
        "text as objects",
        lambda c: _attribute(c.client.apply(codecs.load_all_yaml(TEXT)[0]), "spec", "type"),
        "^ClusterIP$",
    ),
    Call(
        "a node",
        lambda c: _attribute(c.client.create(Node(metadata=ObjectMeta(name="n"))), "metadata", "uid"),
        "-",
    ),
    Call(
        "a pod",
        lambda c: _attribute(
            c.client.create(
                Pod(
                    metadata=ObjectMeta(name="lp", namespace="default"),
                    spec=PodSpec(containers=[Container(name="c", image="i")]),
                )
            ),
            "status",
            "phase",
        ),
        "^Pending$",
    ),
    Call("its log", lambda c: c.log(), r"^\['second\\n'\]$"),
    Call("its eviction", lambda c: c.evicted(), r"^\[\]$"),
    Call(
        "a deployment",
        lambda c: _attribute(
            c.client.create(
                Deployment.from_dict(
                    {"metadata": {"name": "web", "namespace": "default"}, "spec": DEPLOYMENT["spec"]}
                )
            ),
            "spec",
            "replicas",
        ),
        "^1$",
    ),
    Call("wait for a condition", lambda c: c.waited("Available"), "^web$"),
    Call("wait for what failed", lambda c: c.waited("Failed"), "ConditionError"),
    Call(
        "a generic resource",
        lambda c: c.client.create(
            Widget(metadata=ObjectMeta(name="g", namespace="default"), spec={"size": 2})
        ),
        "'color': 'red'",
    ),
    Call(
        "its scale",
        lambda c: _attribute(
            c.client.patch(
                Widget.Scale, "g", {"spec": {"replicas": 2}}, namespace="default", patch_type=PatchType.MERGE
            ),
            "spec",
        ),
        "replicas=2",
    ),
    Call(
        "its status",
        lambda c: c.client.patch(
            Widget.Status, "g", {"status": {"ok": True}}, namespace="default", patch_type=PatchType.MERGE
        ),
        "'ok': True",
    ),
    Call(
        "a bad generic resource",
        lambda c: c.client.create(Widget(metadata=ObjectMeta(name="h", namespace="default"), spec={})),
        "ApiError 422 Invalid",
    ),
    Call(
        "delete with its dependents",
        lambda c: c.client.delete(Deployment, "web", namespace="default", cascade=CascadeType.FOREGROUND),
        "^None$",
    ),
    Call(
        "delete a collection", lambda c: c.client.deletecollection(ConfigMap, namespace="default"), "^None$"
    ),
    Call("nothing is left", lambda c: c.names(ConfigMap, namespace="default"), r"^\[\]$"),
    Call(
        "delete what is gone",
        lambda c: c.client.delete(Service, "none", namespace="default"),
        "ApiError 404 NotFound",
    ),
)
