"""Single questions of discovery, over real sockets."""

import json
from typing import Any

import pytest

from deltawire.client.discovery.discovery_client import DiscoveryClient
from deltawire.client.discovery.steps import ROUNDS_MAX
from deltawire.client.rest.client import RESTClient
from deltawire.client.schema import GroupVersion
from deltawire.common.errors import StatusError

PODS = {"resources": [{"name": "pods", "kind": "Pod", "namespaced": True}]}


def serve(server: Any, answers: dict[str, Any]) -> None:
    def answer(exchange: Any) -> None:
        found = answers.get(exchange.path.partition("?")[0])
        found = found.pop(0) if isinstance(found, list) else found
        if found is None:
            exchange.reply(404, b"404 page not found", Content_Type="text/plain")
        elif isinstance(found, int):
            exchange.reply(found, b"", Content_Type="text/plain")
        else:
            exchange.reply(200, json.dumps(found).encode())

    server.answers(answer)


def paths(server: Any) -> list[str]:
    return [request.path.partition("?")[0] for request in server.requests]


def test_one_group_and_version_costs_one_request(server: Any, client: RESTClient) -> None:
    serve(server, {"/api/v1": PODS})
    discovery = DiscoveryClient(client)
    (found,) = discovery.server_resources_for(GroupVersion("", "v1"))
    assert found.type.name == "pods"
    with pytest.raises(StatusError) as error:
        discovery.server_resources_for(GroupVersion("none.io", "v1"))
    assert error.value.is_not_found
    assert paths(server) == ["/api/v1", "/apis/none.io/v1"]
    assert server.requests[0].path == "/api/v1?timeout=32s"


def test_a_server_without_core_has_no_core_resources(server: Any, client: RESTClient) -> None:
    serve(server, {})
    assert DiscoveryClient(client).server_resources_for(GroupVersion("", "v1")) == ()


def test_a_group_that_fails_in_passing_is_asked_again_and_the_others_are_not(
    server: Any, client: RESTClient
) -> None:
    groups = {
        "groups": [{"name": name, "versions": [{"version": "v1"}]} for name in ("a.io", "b.io", "c.io")]
    }
    serve(
        server,
        {
            "/api": {"versions": ["v1"]},
            "/apis": groups,
            "/api/v1": PODS,
            "/apis/a.io/v1": [503, {"resources": [{"name": "as", "kind": "A"}]}],
            "/apis/b.io/v1": [503] * ROUNDS_MAX,
        },
    )
    found = DiscoveryClient(client).server_groups_and_resources()
    assert [resource.type.name for resource in found.resources] == ["pods", "as.a.io"]
    assert set(found.failures) == {"b.io/v1", "c.io/v1"}
    asked = paths(server)
    assert [asked.count(f"/apis/{name}/v1") for name in ("a.io", "b.io", "c.io")] == [2, 2, 1]
    assert asked.count("/api/v1") == 1


def test_openapi_documents_are_found_by_group_and_version(server: Any, client: RESTClient) -> None:
    index = {"paths": {"apis/apps/v1": {"serverRelativeURL": "/openapi/v3/apis/apps/v1?hash=1"}}}
    serve(
        server,
        {
            "/openapi/v3": index,
            "/openapi/v3/apis/apps/v1": {"openapi": "3.0.0"},
            "/openapi/v2": {"swagger": "2.0"},
        },
    )
    discovery = DiscoveryClient(client)
    assert discovery.openapi_v3() == {"apis/apps/v1": "/openapi/v3/apis/apps/v1?hash=1"}
    assert json.loads(discovery.openapi_v3_document(GroupVersion("apps", "v1"))) == {"openapi": "3.0.0"}
    assert json.loads(discovery.openapi_v2()) == {"swagger": "2.0"}


def test_groups_and_preferred_resources_are_part_of_everything(server: Any, client: RESTClient) -> None:
    serve(server, {"/api": {"versions": ["v1"]}, "/apis": {"groups": []}, "/api/v1": PODS})
    discovery = DiscoveryClient(client)
    assert [group.name for group in discovery.server_groups()] == [""]
    assert [found.type.name for found in discovery.server_preferred_resources()] == ["pods"]
