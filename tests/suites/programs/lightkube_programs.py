"""What programs do with lightkube, against the cluster of $KUBECONFIG."""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from lightkube import ApiError, AsyncClient, Client, codecs
from lightkube.generic_resource import create_namespaced_resource, load_in_cluster_generic_resources
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apiextensions_v1 import CustomResourceDefinition
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Namespace, Node, Pod, Service
from lightkube.types import CascadeType, PatchType

PATIENCE_S = 30.0
CONTAINER = {"name": "main", "image": "busybox"}


@pytest.fixture(scope="module")
def client() -> Client:
    return Client(field_manager="program")


@pytest.fixture
def ns(client: Client) -> Iterator[str]:
    name = f"lightkube-{uuid.uuid4().hex[:8]}"
    client.create(Namespace(metadata=ObjectMeta(name=name)))
    yield name
    client.delete(Namespace, name)


def code(call: Callable[[], Any]) -> int:
    with pytest.raises(ApiError) as raised:
        call()
    return int(raised.value.status.code)


def config_map(name: str, ns: str, **data: str) -> ConfigMap:
    return ConfigMap(metadata=ObjectMeta(name=name, namespace=ns, labels={"name": name}), data=data)


def version_of(client: Client, ns: str) -> str:
    """The version of a list, which is there once it has been read."""
    found = client.list(ConfigMap, namespace=ns)
    list(found)
    return str(found.resourceVersion)


def pod(name: str, ns: str) -> Pod:
    return Pod.from_dict({"metadata": {"name": name, "namespace": ns}, "spec": {"containers": [CONTAINER]}})


def deployment(name: str, ns: str) -> Deployment:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [CONTAINER]}}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    return Deployment.from_dict({"metadata": {"name": name, "namespace": ns}, "spec": spec})


def test_an_object_is_made_read_and_deleted(client: Client, ns: str) -> None:
    client.create(config_map("a", ns, k="1"))
    assert client.get(ConfigMap, "a", namespace=ns).data == {"k": "1"}
    client.delete(ConfigMap, "a", namespace=ns)
    assert code(lambda: client.get(ConfigMap, "a", namespace=ns)) == 404


def test_an_object_that_is_there_is_not_made_again(client: Client, ns: str) -> None:
    client.create(config_map("a", ns))
    assert code(lambda: client.create(config_map("a", ns))) == 409


def test_an_old_version_does_not_replace_a_new_one(client: Client, ns: str) -> None:
    old = client.create(config_map("a", ns, k="1"))
    client.replace(config_map("a", ns, k="2"))
    assert code(lambda: client.replace(old)) == 409


def test_labels_choose(client: Client, ns: str) -> None:
    for name in "ab":
        client.create(config_map(name, ns))
    found = client.list(ConfigMap, namespace=ns, labels={"name": ["b", "c"]})
    assert [item.metadata.name for item in found] == ["b"]


def test_fields_choose(client: Client, ns: str) -> None:
    for name in "ab":
        client.create(config_map(name, ns))
    found = client.list(ConfigMap, namespace=ns, fields={"metadata.name": "a"})
    assert [item.metadata.name for item in found] == ["a"]


def test_a_list_over_all_namespaces_comes_in_chunks(client: Client, ns: str) -> None:
    for number in range(5):
        client.create(config_map(f"a{number}", ns))
    found = client.list(ConfigMap, namespace="*", chunk_size=2)
    assert sum(item.metadata.namespace == ns and item.metadata.name[0] == "a" for item in found) == 5


def test_a_list_has_a_version(client: Client, ns: str) -> None:
    assert version_of(client, ns).isdecimal()


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        (PatchType.STRATEGIC, {"metadata": {"labels": {"a": "b"}}}),
        (PatchType.MERGE, {"metadata": {"labels": {"a": "b"}}}),
        (PatchType.JSON, [{"op": "add", "path": "/metadata/labels/a", "value": "b"}]),
        (PatchType.APPLY, {"metadata": {"labels": {"a": "b"}}, "apiVersion": "v1", "kind": "ConfigMap"}),
    ],
)
def test_each_kind_of_patch_is_taken(client: Client, ns: str, kind: PatchType, patch: Any) -> None:
    client.create(config_map("a", ns))
    changed = client.patch(ConfigMap, "a", patch, namespace=ns, patch_type=kind)
    assert changed.metadata.labels["a"] == "b"


def test_an_apply_of_another_manager_conflicts_until_it_is_forced(client: Client, ns: str) -> None:
    mine, theirs = (config_map("a", ns, k=value) for value in ("1", "2"))
    mine.apiVersion = theirs.apiVersion = "v1"
    mine.kind = theirs.kind = "ConfigMap"
    client.apply(mine)
    assert code(lambda: client.apply(theirs, field_manager="other")) == 409
    assert client.apply(theirs, field_manager="other", force=True).data == {"k": "2"}


def test_a_collection_is_deleted(client: Client, ns: str) -> None:
    for name in "ab":
        client.create(config_map(name, ns))
    client.deletecollection(ConfigMap, namespace=ns)
    assert not list(client.list(ConfigMap, namespace=ns, labels={"name": ["a", "b"]}))


def test_a_watch_tells_changes(client: Client, ns: str) -> None:
    version = version_of(client, ns)
    client.create(config_map("a", ns))
    client.delete(ConfigMap, "a", namespace=ns)
    seen = []
    for kind, item in client.watch(ConfigMap, namespace=ns, resource_version=version, labels={"name": "a"}):
        seen.append((kind, item.metadata.name))
        if kind == "DELETED":
            break
    assert seen == [("ADDED", "a"), ("DELETED", "a")]


def test_a_wait_ends_when_a_condition_holds(client: Client, ns: str) -> None:
    client.create(pod("p", ns))
    found = client.wait(Pod, "p", for_conditions=["Ready"], namespace=ns)
    assert found.status.phase == "Running"


def test_a_wait_for_an_object_of_the_cluster_ends(client: Client) -> None:
    node = next(iter(client.list(Node)))
    client.wait(Node, node.metadata.name, for_conditions=["Ready"])


def test_a_deployment_becomes_available_and_is_scaled(client: Client, ns: str) -> None:
    client.create(deployment("d", ns))
    client.wait(Deployment, "d", for_conditions=["Available"], namespace=ns)
    scale = client.get(Deployment.Scale, "d", namespace=ns)
    scale.spec.replicas = 2
    assert client.replace(scale, "d", namespace=ns).spec.replicas == 2


def test_a_status_is_patched_alone(client: Client, ns: str) -> None:
    service = {"metadata": {"name": "s", "namespace": ns}, "spec": {"ports": [{"port": 80}]}}
    client.create(Service.from_dict(service))
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}}
    changed = client.patch(Service.Status, "s", status, namespace=ns)
    assert changed.metadata.name == "s"


def test_logs_come_line_by_line(client: Client, ns: str) -> None:
    made = pod("p", ns)
    made.spec.containers[0].command = ["sh", "-c", "echo one; echo two"]
    made.spec.restartPolicy = "Never"
    client.create(made)
    client.wait(Pod, "p", for_conditions=["PodReadyToStartContainers"], namespace=ns)
    assert [line.strip() for line in client.log("p", namespace=ns, follow=True)] == ["one", "two"]


def test_what_depends_on_an_object_goes_with_it(client: Client, ns: str) -> None:
    client.create(deployment("d", ns))
    client.wait(Deployment, "d", for_conditions=["Available"], namespace=ns)
    client.delete(Deployment, "d", namespace=ns, cascade=CascadeType.FOREGROUND)
    end = time.monotonic() + PATIENCE_S
    while list(client.list(Deployment, namespace=ns)):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert not list(client.list(Pod, namespace=ns))


def test_manifests_are_loaded_and_made(client: Client, ns: str) -> None:
    text = f"""
apiVersion: v1
kind: ConfigMap
metadata: {{name: a, namespace: {ns}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: b, namespace: {ns}}}
"""
    for obj in codecs.load_all_yaml(text):
        client.create(obj)
    client.get(ConfigMap, "b", namespace=ns)


def defined(client: Client) -> tuple[str, str]:
    """The group and the plural of a new kind ``Widget``, once it is served."""
    group = f"g{uuid.uuid4().hex[:8]}.example.net"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "widgets", "kind": "Widget"}
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": [version]}
    metadata = {"name": f"widgets.{group}"}
    client.create(CustomResourceDefinition.from_dict({"metadata": metadata, "spec": spec}))
    client.wait(CustomResourceDefinition, metadata["name"], for_conditions=["Established"])
    return group, "widgets"


def test_a_kind_that_is_defined_is_used(client: Client, ns: str) -> None:
    group, plural = defined(client)
    widget = create_namespaced_resource(group, "v1", "Widget", plural)
    client.create(widget(metadata={"name": "w", "namespace": ns}, size=1))
    assert client.get(widget, "w", namespace=ns)["size"] == 1
    client.delete(CustomResourceDefinition, f"{plural}.{group}")


def test_kinds_that_are_defined_are_found(client: Client) -> None:
    group, plural = defined(client)
    load_in_cluster_generic_resources(client)
    assert codecs.load_all_yaml(f"apiVersion: {group}/v1\nkind: Widget\nmetadata: {{name: w}}")
    client.delete(CustomResourceDefinition, f"{plural}.{group}")


def test_an_asynchronous_client_makes_waits_and_watches(ns: str) -> None:
    async def run() -> list[str]:
        client = AsyncClient()
        await client.create(pod("p", ns))
        await client.wait(Pod, "p", for_conditions=["Ready"], namespace=ns)
        await client.delete(Pod, "p", namespace=ns)
        found = [item.metadata.name async for item in client.list(Node)]
        await client.close()
        return found

    assert asyncio.run(run())
