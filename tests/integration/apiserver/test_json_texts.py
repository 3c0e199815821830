"""JSON answers are, byte for byte, laid out as those of a real API server."""

import json

import pytest

from deltawire.apiserver.server import ApiServer
from tests.support.servers import ask

MAPS = "/api/v1/namespaces/default/configmaps"
STATUS_FIELDS = ["kind", "apiVersion", "metadata", "status", "message", "reason", "details", "code"]
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PARTIAL = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"


@pytest.fixture
def api_server(api_server_both_ways: ApiServer) -> ApiServer:
    api_server_both_ways.create("configmaps", {"metadata": {"name": "a"}}, "default")
    return api_server_both_ways


@pytest.mark.parametrize(
    "path",
    [
        "/api",
        "/apis",
        "/apis/apps",
        "/api/v1",
        MAPS,
        f"{MAPS}/a",
        f"{MAPS}/missing",
        f"{MAPS}?limit=x",
        "/api/v1/nothing",
        "/apis/apps/v1/deployments",
    ],
)
def test_a_json_answer_is_one_line_with_its_end(api_server: ApiServer, path: str) -> None:
    text = ask(api_server, "GET", path).text
    assert text.endswith("}\n")
    assert text.count("\n") == 1


@pytest.mark.parametrize("accept", [TABLE, PARTIAL])
def test_a_list_in_another_form_is_one_line_with_its_end(api_server: ApiServer, accept: str) -> None:
    text = ask(api_server, "GET", MAPS, headers={"Accept": accept}).text
    assert (text[-2:], text.count("\n")) == ("}\n", 1)


@pytest.mark.parametrize("path", [f"{MAPS}/a", f"{MAPS}/missing", "/api/v1"])
def test_what_is_indented_has_no_newline_at_its_end(api_server: ApiServer, path: str) -> None:
    text = ask(api_server, "GET", path, headers={"User-Agent": "curl/8.5.0"}).text
    assert text.startswith('{\n  "')
    assert text.endswith("\n}")


@pytest.mark.parametrize("path", ["/version", "/"])
def test_what_is_for_people_is_always_indented(api_server: ApiServer, path: str) -> None:
    text = ask(api_server, "GET", path).text
    assert text.startswith('{\n  "')
    assert text.endswith("\n}")


def test_the_fields_of_a_status_have_the_order_of_its_type(api_server: ApiServer) -> None:
    body = {"metadata": {"name": "a"}, "spec": {"replicas": -1}}
    bad = ask(api_server, "POST", "/apis/apps/v1/namespaces/default/deployments", json=body).text
    assert list(json.loads(bad)) == STATUS_FIELDS
    assert list(json.loads(bad)["details"]) == ["name", "group", "kind", "causes"]


def test_the_fields_of_a_success_have_the_order_of_their_type(api_server: ApiServer) -> None:
    api_server.create("roles.rbac.authorization.k8s.io", {"metadata": {"name": "r"}, "rules": []}, "default")
    path = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles/r"
    success = json.loads(ask(api_server, "DELETE", path).text)
    assert list(success) == ["kind", "apiVersion", "metadata", "status", "details"]
    assert list(success["details"]) == ["name", "group", "kind", "uid"]
