"""Dynamic, metadata and scale clients: against the embedded API server, and byte by byte."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from deltawire.apiserver.server import ApiServer
from deltawire.client import errors
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.dynamic.dynamic_client import DynamicClient
from deltawire.client.dynamic.unstructured import (
    UnstructuredList,
    from_unstructured,
    nested_field,
    to_unstructured,
)
from deltawire.client.metadata import MetadataClient
from deltawire.client.rest.client import RESTClient
from deltawire.client.restmapper.mapper import NoMatchError
from deltawire.client.scale import Scale, ScaleClient, ScaleSpec
from deltawire.client.schema import GroupVersionKind, GroupVersionResource
from deltawire.client.typed.models import models
from deltawire.common.errors import ConfigError, StatusError, TransportError
from deltawire.common.meta.resources import ResourceType

MAPS = GroupVersionResource("", "v1", "configmaps")
NODES = GroupVersionResource("", "v1", "nodes")
WIDGETS = GroupVersionResource("ex.io", "v1", "widgets")


@pytest.fixture
def rest(api_server: ApiServer) -> Iterator[RESTClient]:
    client = RESTClient(ClientConfig(api_server.url))
    yield client
    client.close()


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def test_a_dict_lives_its_life(rest: RESTClient) -> None:
    maps = DynamicClient(rest).resource(MAPS).namespace("default")
    made = maps.create(config_map("one", a="1"))
    made["data"]["a"] = "2"
    assert maps.update(made)["data"] == {"a": "2"}
    with pytest.raises(StatusError) as found:
        maps.update(made)
    assert errors.is_conflict(found.value)
    assert maps.patch("one", {"data": {"b": "3"}})["data"] == {"a": "2", "b": "3"}
    assert nested_field(maps.get("one"), "data", "b") == "3"
    maps.delete("one")
    with pytest.raises(StatusError) as found:
        maps.get("one")
    assert errors.is_not_found(found.value)


def test_lists_page_and_watches_bring_dicts(rest: RESTClient) -> None:
    resource = DynamicClient(rest).resource(MAPS)
    maps = resource.namespace("default")
    for number in range(5):
        maps.create(config_map(f"m{number}"))
    page = maps.list(limit=2)
    assert isinstance(page, UnstructuredList)
    assert (len(page.items), page.kind) == (2, "ConfigMapList")
    assert page.metadata.continue_
    assert {f"m{n}" for n in range(5)} <= {one["metadata"]["name"] for one in resource.each(page_size=2)}
    with maps.watch(resource_version=page.metadata.resourceVersion or "", read_timeout_s=10) as watch:
        maps.delete("m3")
        event = next(watch)
    assert (event.type, event.object["metadata"]["name"]) == ("DELETED", "m3")


def test_cluster_scoped_resources_need_no_namespace(rest: RESTClient) -> None:
    nodes = DynamicClient(rest).resource(NODES)
    nodes.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}})
    assert [one["metadata"]["name"] for one in nodes.list().items] == ["n1"]


def test_metadata_comes_without_the_rest(rest: RESTClient) -> None:
    DynamicClient(rest).resource(MAPS).namespace("default").create(config_map("one", a="x" * 1000))
    maps = MetadataClient(rest).resource(MAPS).namespace("default")
    got = maps.get("one")
    assert (got.metadata.name, got.metadata.namespace) == ("one", "default")
    assert got.metadata.creationTimestamp is not None
    assert not hasattr(got, "data")
    listed = maps.list()
    assert "one" in [item.metadata.name for item in listed.items]
    with maps.watch(resource_version=listed.metadata.resourceVersion or "", read_timeout_s=10) as watch:
        patched = maps.patch("one", {"metadata": {"labels": {"a": "b"}}})
        assert patched.metadata.labels == {"a": "b"}
        assert next(watch).object.metadata.labels == {"a": "b"}
    maps.delete("one", uid=got.metadata.uid or "")


def test_unstructured_becomes_typed_and_back(rest: RESTClient) -> None:
    core = models("core_v1")
    maps = DynamicClient(rest).resource(MAPS).namespace("default")
    maps.create(config_map("one", a="1"))
    typed = from_unstructured(maps.get("one"), core.ConfigMap)
    assert isinstance(typed, core.ConfigMap)
    assert typed.metadata.creationTimestamp.year > 2000
    back = to_unstructured(typed)
    assert back == maps.get("one")
    whole = from_unstructured(maps.list(), core.ConfigMapList)
    assert "one" in [item.metadata.name for item in whole.items]
    with pytest.raises(ConfigError, match=r"no ConfigMap.*data"):
        from_unstructured({"data": 7}, core.ConfigMap)
    with pytest.raises(ConfigError):
        to_unstructured([1])
    with pytest.raises(ConfigError):
        to_unstructured(object())


# -- byte by byte


def sent(server: Any) -> tuple[str, str, Any]:
    last = server.requests[-1]
    return last.command, last.path, json.loads(last.request_body) if last.request_body else None


def test_a_custom_resource_needs_only_its_name(server: Any, client: RESTClient) -> None:
    server.answers(lambda exchange: exchange.reply(200, b'{"metadata":{"name":"w"},"spec":{"size":3}}'))
    widgets = DynamicClient(client).resource(WIDGETS)
    assert nested_field(widgets.namespace("ns").get("w"), "spec", "size") == 3
    assert sent(server)[:2] == ("GET", "/apis/ex.io/v1/namespaces/ns/widgets/w")
    widgets.list()
    assert sent(server)[:2] == ("GET", "/apis/ex.io/v1/widgets")
    one = {"apiVersion": "ex.io/v1", "kind": "Widget", "metadata": {"name": "w"}}
    widgets.namespace("ns").update_status(one)
    assert sent(server) == ("PUT", "/apis/ex.io/v1/namespaces/ns/widgets/w/status", one)
    widgets.namespace("ns").apply(one, field_manager="me")
    assert sent(server) == (
        "PATCH",
        "/apis/ex.io/v1/namespaces/ns/widgets/w?fieldManager=me&force=false",
        one,
    )
    widgets.namespace("ns").create_subresource("w", "eviction", {"kind": "Eviction"})
    assert sent(server)[:2] == ("POST", "/apis/ex.io/v1/namespaces/ns/widgets/w/eviction")
    widgets.namespace("ns").get("w", subresource="scale")
    assert sent(server)[1] == "/apis/ex.io/v1/namespaces/ns/widgets/w/scale"
    widgets.namespace("ns").delete_collection(label_selector="a=b", delete_options={"grace_period_s": 0})
    assert sent(server)[:2] == ("DELETE", "/apis/ex.io/v1/namespaces/ns/widgets?labelSelector=a%3Db")


def test_calls_that_cannot_be_meant_are_not_sent(server: Any, client: RESTClient) -> None:
    dynamic = DynamicClient(client)
    with pytest.raises(ConfigError, match="names no resource"):
        dynamic.resource(GroupVersionResource("ex.io", "", "widgets"))
    widgets = dynamic.resource(WIDGETS).namespace("ns")
    for name in ("", ".", "a/b", "a%2fb"):
        with pytest.raises(ConfigError):
            widgets.get(name)
    with pytest.raises(ConfigError, match=r"metadata\.name"):
        widgets.update({"metadata": {}})
    with pytest.raises(ConfigError, match="apiVersion and kind"):
        widgets.apply({"metadata": {"name": "w"}}, field_manager="me")
    assert server.requests == []


def test_metadata_is_asked_for_and_a_server_that_sends_all_is_read_as_well(
    server: Any, client: RESTClient
) -> None:
    whole = b'{"kind":"Pod","metadata":{"name":"p","uid":"u"},"spec":{"x":1}}'
    server.answers(lambda exchange: exchange.reply(200, whole))
    pods = MetadataClient(client).resource(GroupVersionResource("", "v1", "pods")).namespace("ns")
    assert pods.get("p").metadata.uid == "u"
    form = "application/json;as={};g=meta.k8s.io;v=v1,application/json"
    assert server.requests[-1].headers["Accept"] == form.format("PartialObjectMetadata")
    server.answers(lambda exchange: exchange.reply(200, b'{"items":[%s]}' % whole))
    assert pods.list().items[0].metadata.name == "p"
    assert server.requests[-1].headers["Accept"] == form.format("PartialObjectMetadataList")
    server.answers(lambda exchange: exchange.reply(200, b'{"kind":"Odd"}'))
    with pytest.raises(TransportError, match="metadata"):
        pods.get("p")


class OneMapping:
    def rest_mapping(self, group: str, kind: str, *versions: str) -> ResourceType:
        raise NoMatchError("not asked here")

    def resource_for(self, partial: GroupVersionResource) -> GroupVersionResource:
        if partial.resource != "widgets":
            raise NoMatchError(f"no {partial.resource}")
        return WIDGETS

    def kind_for(self, partial: GroupVersionResource) -> GroupVersionKind:
        raise NoMatchError("not asked here")


@pytest.mark.parametrize(
    ("version", "status", "selector"),
    [
        ("autoscaling/v1", {"replicas": 1, "selector": "a=b"}, "a=b"),
        ("extensions/v1beta1", {"replicas": 1, "selector": {"b": "2", "a": "1"}}, "a=1,b=2"),
        ("apps/v1beta2", {"replicas": 1, "selector": {"a": "1"}, "targetSelector": "a in (1)"}, "a in (1)"),
    ],
)
def test_scales_of_every_version_are_read_and_written_back_in_theirs(
    server: Any, client: RESTClient, version: str, status: dict[str, Any], selector: str
) -> None:
    body = {"apiVersion": version, "kind": "Scale", "metadata": {"name": "w"}, "spec": {}, "status": status}
    server.answers(lambda exchange: exchange.reply(200, json.dumps(body).encode()))
    scales = ScaleClient(client, OneMapping())
    scale = scales.get(GroupVersionResource("ex.io", "", "widgets"), "w", "ns")
    assert (scale.spec.replicas, scale.selector) == (0, selector)
    scales.update(WIDGETS, scale, "ns")
    path = "/apis/ex.io/v1/namespaces/ns/widgets/w/scale"
    command, sent_path, sent_body = sent(server)
    assert (command, sent_path) == ("PUT", path)
    assert (sent_body["apiVersion"], sent_body["spec"]) == (version, {"replicas": 0})
    scales.patch(WIDGETS, "w", {"spec": {"replicas": 2}}, "ns")
    assert sent(server) == ("PATCH", path, {"spec": {"replicas": 2}})


def test_what_is_no_scale_is_refused(server: Any, client: RESTClient) -> None:
    scales = ScaleClient(client, OneMapping())
    with pytest.raises(NoMatchError):
        scales.get(GroupVersionResource("", "", "gadgets"), "w", "ns")
    server.answers(lambda exchange: exchange.reply(200, b'{"apiVersion":"v1","kind":"Pod"}'))
    with pytest.raises(TransportError, match="instead of a Scale"):
        scales.get(WIDGETS, "w", "ns")
    with pytest.raises(ConfigError, match=r"metadata\.name"):
        scales.update(WIDGETS, Scale(spec=ScaleSpec(1)), "ns")
