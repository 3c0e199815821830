import json
from collections.abc import Mapping
from typing import Any

import pytest

from deltawire.client.config.client_config import ClientConfig
from deltawire.client.discovery.aggregated import ACCEPT
from deltawire.client.discovery.cluster_id import address_id, cluster_uid
from deltawire.client.discovery.discovery_client import DiscoveryClient
from deltawire.client.rest.client import RESTClient
from deltawire.common.errors import ConfigError, StatusError, TransportError

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
WIDGETS = {"name": "widgets", "kind": "Widget", "namespaced": True, "shortNames": ["wg"], "verbs": ["list"]}
LEGACY: dict[str, Any] = {
    "/api": {"versions": ["v1"]},
    "/apis": {
        "groups": [
            {"name": "ex.io", "versions": [{"version": "v1"}], "preferredVersion": {"version": "v1"}},
            {"name": "down.io", "versions": [{"version": "v1"}], "preferredVersion": {"version": "v1"}},
        ]
    },
    "/api/v1": {"resources": [{"name": "pods", "kind": "Pod", "namespaced": True, "shortNames": ["wgx"]}]},
    "/apis/ex.io/v1": {"resources": [WIDGETS]},
}


def serve(server: Any, answers: Mapping[str, Any], content_type: str = "application/json") -> None:
    def answer(exchange: Any) -> None:
        path = exchange.path.partition("?")[0]
        if path in answers:
            exchange.reply(200, json.dumps(answers[path]).encode(), Content_Type=content_type)
        else:
            exchange.reply(503 if "down" in path else 404, b"404 page not found", Content_Type="text/plain")

    server.answers(answer)


@pytest.fixture
def discovery(client: RESTClient) -> DiscoveryClient:
    return DiscoveryClient(client)


def test_a_server_that_aggregates_is_asked_twice(server: Any, discovery: DiscoveryClient) -> None:
    group = {"metadata": {"name": "ex.io"}, "versions": [{"version": "v1", "resources": []}]}
    core = {"metadata": {"name": ""}, "versions": [{"version": "v1"}]}
    serve(server, {"/api": {"items": [core]}, "/apis": {"items": [group]}}, AGGREGATED)
    found = discovery.server_groups_and_resources()
    assert [g.name for g in found.groups] == ["", "ex.io"]
    assert [r.path for r in server.requests] == ["/api?timeout=32s", "/apis?timeout=32s"]
    assert server.requests[0].headers["Accept"] == ACCEPT


def test_an_older_server_is_asked_group_by_group(server: Any, discovery: DiscoveryClient) -> None:
    serve(server, LEGACY)
    found = discovery.server_groups_and_resources()
    assert [r.type.name for r in found.resources] == ["pods", "widgets.ex.io"]
    assert set(found.failures) == {"down.io/v1"}
    failure = found.failures["down.io/v1"]
    assert isinstance(failure, StatusError)
    assert failure.code == 503


def test_a_half_that_is_aggregated_alone_is_asked_again(server: Any, discovery: DiscoveryClient) -> None:
    def answer(exchange: Any) -> None:
        path = exchange.path.partition("?")[0]
        if path == "/api" and exchange.headers["Accept"] == ACCEPT:
            exchange.reply(200, b'{"items":[]}', Content_Type=AGGREGATED)
        elif path in LEGACY:
            exchange.reply(200, json.dumps(LEGACY[path]).encode())
        else:
            exchange.reply(503)

    server.answers(answer)
    assert [r.type.name for r in discovery.server_groups_and_resources().resources] == [
        "pods",
        "widgets.ex.io",
    ]


def test_a_missing_core_group_is_tolerated(server: Any, discovery: DiscoveryClient) -> None:
    serve(
        server,
        {path: body for path, body in LEGACY.items() if not path.startswith("/api/") and path != "/api"},
    )
    assert [g.name for g in discovery.server_groups_and_resources().groups] == ["ex.io", "down.io"]


def test_missing_groups_are_not_tolerated(server: Any, discovery: DiscoveryClient) -> None:
    serve(server, {"/api": LEGACY["/api"]})
    with pytest.raises(StatusError) as found:
        discovery.server_groups_and_resources()
    assert found.value.is_not_found


def test_a_builtin_name_costs_no_request(server: Any, discovery: DiscoveryClient) -> None:
    assert discovery.resolve("deploy").name == "deployments.apps"
    assert discovery.resolve("Pods").name == "pods"
    assert server.requests == []


@pytest.mark.parametrize("text", ["widgets", "widget", "wg", "Widget", "widgets.ex.io", "widgets.v1.ex.io"])
def test_another_name_is_found_by_discovery(server: Any, discovery: DiscoveryClient, text: str) -> None:
    serve(server, LEGACY)
    assert discovery.resolve(text).name == "widgets.ex.io"


def test_a_whole_name_wins_over_a_short_one(server: Any, discovery: DiscoveryClient) -> None:
    answers = {**LEGACY, "/apis/ex.io/v1": {"resources": [{**WIDGETS, "name": "wgx", "kind": "Wgx"}]}}
    serve(server, answers)
    assert discovery.resolve("wgx").name == "wgx.ex.io"


def test_an_unknown_resource_is_one_helpful_line(server: Any, discovery: DiscoveryClient) -> None:
    serve(server, LEGACY)
    with pytest.raises(ConfigError) as found:
        discovery.resolve("foo")
    assert str(found.value) == (
        "the server has no resource 'foo'; these groups did not answer: down.io/v1 "
        "(`kubectl api-resources` lists them)"
    )
    with pytest.raises(ConfigError, match="name is missing"):
        discovery.resolve(" ")


def test_the_servers_version_is_read(server: Any, discovery: DiscoveryClient) -> None:
    serve(
        server,
        {"/version": {"major": "1", "minor": "33", "gitVersion": "v1.33.1", "platform": "linux/arm64"}},
    )
    found = discovery.server_version()
    assert (found.git_version, found.minor) == ("v1.33.1", "33")


def test_a_cluster_is_known_by_the_uid_of_kube_system(server: Any, client: RESTClient) -> None:
    serve(server, {"/api/v1/namespaces/kube-system": {"metadata": {"uid": "abc-123"}}})
    assert cluster_uid(client) == "abc-123"


@pytest.mark.parametrize("code", [401, 403, 404, 500, 503])
def test_an_answer_that_is_no_uid_is_no_identity(server: Any, client: RESTClient, code: int) -> None:
    server.answers(lambda exchange: exchange.reply(code))
    with pytest.raises(StatusError) as refused:
        cluster_uid(client)
    assert refused.value.code == code


@pytest.mark.parametrize("uid", ["", "../../etc", "a/b", "x" * 65, "a-0f"])
def test_a_uid_that_could_lead_elsewhere_is_no_identity(server: Any, client: RESTClient, uid: str) -> None:
    serve(server, {"/api/v1/namespaces/kube-system": {"metadata": {"uid": uid}}})
    with pytest.raises(TransportError, match="unusable uid"):
        cluster_uid(client)


def test_an_address_means_the_same_with_and_without_its_default_port() -> None:
    ids = {address_id(ClientConfig(host)) for host in ("https://H", "https://h:443", "https://h/")}
    assert len(ids) == 1
    others = {address_id(ClientConfig("https://h", ca_data=b"ca")), address_id(ClientConfig("https://h:1"))}
    assert len(ids | others) == 3


def test_a_core_group_that_fails_is_not_a_missing_one(server: Any) -> None:
    server.answers(lambda exchange: exchange.reply(500))
    with pytest.raises(StatusError) as found:
        DiscoveryClient(RESTClient(ClientConfig(server.url))).server_groups_and_resources()
    assert found.value.code == 500
