"""The client and the embedded API server, over real sockets."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deltawire.apiserver.server import ApiServer
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.config.loading import load
from deltawire.client.discovery.cluster_id import cluster_uid
from deltawire.client.discovery.discovery_client import DiscoveryClient
from deltawire.client.rest.client import RESTClient
from deltawire.common.errors import StatusError, TransportError
from deltawire.common.meta.resources import ResourceType, find
from tests.support.servers import ServerFactory

CONFIGMAPS = find("configmaps")
assert isinstance(CONFIGMAPS, ResourceType)
ONE = {"metadata": {"name": "one"}, "data": {"a": "1"}}


@pytest.fixture
def api(api_server: ApiServer) -> ApiServer:
    return api_server


@pytest.fixture
def api_client(api: ApiServer) -> Iterator[RESTClient]:
    client = RESTClient(ClientConfig(api.url))
    yield client
    client.close()


def test_an_object_lives_its_life(api_client: RESTClient) -> None:
    maps = api_client.of(CONFIGMAPS, "default")
    made = maps.create(ONE).into()
    assert made["metadata"]["uid"]
    with pytest.raises(StatusError) as found:
        maps.create(ONE)
    assert found.value.is_already_exists
    assert maps.get("one").into()["data"] == {"a": "1"}
    changed = maps.update("one", {**made, "data": {"a": "2"}}).into()
    with pytest.raises(StatusError) as found:
        maps.update("one", made)
    assert found.value.is_conflict
    patched = maps.patch("one", {"data": {"b": "3"}}).into()
    assert patched["data"] == {"a": "2", "b": "3"}
    assert int(patched["metadata"]["resourceVersion"]) > int(changed["metadata"]["resourceVersion"])
    maps.delete("one")
    with pytest.raises(StatusError) as found:
        maps.get("one")
    assert found.value.is_not_found


def test_a_watch_brings_what_happens_and_a_cut_is_seen(api: ApiServer, api_client: RESTClient) -> None:
    maps = api_client.of(CONFIGMAPS, "default")
    version = api_client.get().resource(CONFIGMAPS).do().into()["metadata"]["resourceVersion"]
    with maps.open_watch({"resourceVersion": version}, read_timeout_s=10) as stream:
        maps.create(ONE)
        seen = b""
        while b"\n" not in seen:
            seen += stream.read()
        assert b'"ADDED"' in seen
        api.cut()
        with pytest.raises(TransportError) as found:
            stream.read()
        assert found.value.reason == "reset"


def test_the_written_kubeconfig_works_with_tls_and_a_token(
    api_server_factory: ServerFactory, tmp_path: Path
) -> None:
    api = api_server_factory(tls=True, tokens=("s3cret",))
    config = load(kubeconfig=str(api.write_kubeconfig(tmp_path / "config")), env={})
    client = RESTClient(config)
    assert client.of(CONFIGMAPS, "default").create(ONE).status_code == 201
    client.close()
    stranger = RESTClient(ClientConfig(api.url, ca_data=api.ca_pem, token="wrong"))
    with pytest.raises(StatusError) as found:
        stranger.list_page(CONFIGMAPS)
    assert found.value.is_unauthorized
    stranger.close()


def test_a_custom_resource_is_found_as_soon_as_it_is_there(api_client: RESTClient) -> None:
    discovery = DiscoveryClient(api_client)
    with pytest.raises(Exception, match="no resource 'wg'"):
        discovery.resolve("wg")
    crds = discovery.resolve("crd")
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "shortNames": ["wg"]}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    api_client.of(crds).create(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": "widgets.ex.io"},
            "spec": {"group": "ex.io", "scope": "Namespaced", "names": names, "versions": [version]},
        }
    )
    widgets = discovery.resolve("wg")
    assert widgets == ResourceType("ex.io", "v1", "widgets", "Widget", True, "widget", ("wg",))
    api_client.of(widgets, "default").create(
        {"apiVersion": "ex.io/v1", "kind": "Widget", "metadata": {"name": "w"}}
    )
    assert b'"w"' in api_client.list_page(widgets)


def test_another_server_is_another_cluster(api_server_factory: ServerFactory, api_client: RESTClient) -> None:
    assert cluster_uid(api_client) == cluster_uid(api_client)
    client = RESTClient(ClientConfig(api_server_factory().url))
    assert cluster_uid(client) != cluster_uid(api_client)
    client.close()
