"""Answers that are spoiled on purpose, faults from the start on, TLS that fails, and a world that is older."""

import http.client
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from deltawire.apiserver.faults.fault import Fault
from deltawire.apiserver.options import ApiServerOptions
from deltawire.apiserver.server import ApiServer
from deltawire.common.errors import ConfigError, StatusError
from tests.support.servers import ServerFactory, WatchLines, ask

MAPS = "/api/v1/namespaces/default/configmaps"


@pytest.fixture
def api_server(api_server_both_ways: ApiServer) -> ApiServer:
    api_server_both_ways.create("configmaps", {"metadata": {"name": "a"}}, "default")
    return api_server_both_ways


def get(server: ApiServer, path: str = MAPS) -> requests.Response:
    return ask(server, "GET", path)


def test_garbage_comes_as_json_and_is_none(api_server: ApiServer) -> None:
    api_server.fault("garbage", resource="configmaps", count=1)
    answer = get(api_server)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    with pytest.raises(ValueError, match=r"."):
        answer.json()
    assert get(api_server).json()["items"]


@pytest.mark.parametrize("kind", ["half", "wrong-length"])
def test_an_answer_that_is_shorter_than_it_says_breaks_off(api_server: ApiServer, kind: str) -> None:
    whole = len(get(api_server).content)
    api_server.fault(kind, resource="configmaps", count=1)
    with pytest.raises(requests.RequestException):
        _ = get(api_server).content
    api_server.fault(kind, resource="configmaps", count=1)
    address = urlsplit(api_server.url)
    if address.port:
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=20)
        connection.request("GET", MAPS, headers={"Accept": "application/json"})
        answer = connection.getresponse()
        promised = int(answer.headers["Content-Length"])
        with pytest.raises(http.client.IncompleteRead) as broken:
            answer.read()
        connection.close()
        sent = len(broken.value.partial)
        assert (promised, sent) == ((whole, whole // 2) if kind == "half" else (whole + 10, whole))


def test_a_slow_answer_is_whole_all_the_same(api_server: ApiServer) -> None:
    whole = get(api_server).json()
    api_server.fault("slow", 20_000, resource="configmaps", count=1)
    assert get(api_server).json() == whole


def all_of_watch(server: ApiServer) -> list[Any]:
    with WatchLines(server, MAPS, resourceVersion="0") as watch:
        return watch.rest()


def test_half_an_event_ends_a_watch_and_so_does_garbage(api_server: ApiServer) -> None:
    api_server.fault("half", resource="configmaps", verb="watch", count=1)
    with pytest.raises((requests.RequestException, ValueError)):
        all_of_watch(api_server)
    api_server.fault("garbage", resource="configmaps", verb="watch", count=1)
    with pytest.raises(ValueError, match=r"."):
        all_of_watch(api_server)


def test_an_errors_status_can_be_given(api_server: ApiServer) -> None:
    api_server.fault("error", 403, reason="Forbidden", message="not on Sundays", count=1)
    refused = get(api_server)
    assert refused.status_code == 403
    assert (refused.json()["reason"], refused.json()["message"]) == ("Forbidden", "not on Sundays")


def test_a_server_may_refuse_from_its_first_request_on(api_server_factory: ServerFactory) -> None:
    server = api_server_factory(faults=[Fault("error", 403, resource="namespaces", count=2)])
    codes = [get(server, "/api/v1/namespaces/kube-system").status_code for _ in range(3)]
    assert codes == [403, 403, 200]


def handshake(server: ApiServer) -> Any:
    context = ssl.create_default_context(cadata=server.ca_pem.decode())
    address = urlsplit(server.url)
    connection = http.client.HTTPSConnection(
        address.hostname or "", address.port, context=context, timeout=20
    )
    try:
        connection.request("GET", "/version")
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("tls-refused", r"EOF|HANDSHAKE_FAILURE"),
        ("tls-stranger", r"CERTIFICATE_VERIFY_FAILED"),
        ("tls-expired", r"certificate has expired"),
    ],
)
def test_handshakes_fail_as_they_are_told_to(api_server_factory: ServerFactory, kind: str, told: str) -> None:
    server = api_server_factory(tls=True)
    assert handshake(server) == 200
    server.fault(kind, count=1)
    with pytest.raises(ssl.SSLError, match=told):
        handshake(server)
    assert handshake(server) == 200


def test_without_tls_its_faults_are_refused(api_server: ApiServer) -> None:
    with pytest.raises(StatusError, match="this server has no TLS"):
        api_server.fault("tls-refused")


def test_a_restarted_server_may_be_of_an_older_world(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with ApiServer(ApiServerOptions(data=data)) as server:
        server.create("configmaps", {"metadata": {"name": "early"}}, "default")
        version = server.call(lambda core: core.store.version)
        server.create("configmaps", {"metadata": {"name": "late"}}, "default")
        uid = server.call(lambda core: core.cluster_uid)
    with ApiServer(ApiServerOptions(data=data, as_of=version)) as server:
        assert [item["metadata"]["name"] for item in get(server).json()["items"]] == ["early"]
        assert server.call(lambda core: core.cluster_uid) == uid
    with ApiServer(ApiServerOptions(data=data)) as server:
        assert [item["metadata"]["name"] for item in get(server).json()["items"]] == ["early"]
    with pytest.raises(ConfigError, match="as-of"):
        ApiServer(ApiServerOptions(data=data, as_of=10_000)).start()
