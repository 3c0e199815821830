"""Lists of many megabytes: sent in pieces, and the same to every reader."""

import http.client
import json
from typing import Any

import pytest
import requests

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.http.long_lists import LONG_BYTES_MIN
from deltawire.apiserver.server import ApiServer

MAPS = "/api/v1/namespaces/default/configmaps"
COUNT = 60


@pytest.fixture
def long_server(api_server: ApiServer) -> ApiServer:
    """A server whose ConfigMaps make a list that goes in pieces."""

    def fill(core: ApiCore) -> None:
        text = "y" * (LONG_BYTES_MIN // (COUNT - 10))
        for number in range(COUNT):
            core.create(
                "configmaps", {"metadata": {"name": f"a{number:02d}"}, "data": {"x": text}}, "default"
            )

    api_server.call(fill)
    return api_server


def names(listed: dict[str, Any]) -> list[str]:
    return [item["metadata"]["name"] for item in listed["items"]]


def test_a_long_list_is_whole_and_its_pages_say_the_same(long_server: ApiServer) -> None:
    answer = requests.get(long_server.url + MAPS, timeout=20)
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert answer.headers["Content-Type"] == "application/json"
    listed = answer.json()
    assert (listed["kind"], listed["apiVersion"]) == ("ConfigMapList", "v1")
    assert names(listed) == [f"a{number:02d}" for number in range(COUNT)]
    short = requests.get(f"{long_server.url}{MAPS}?limit=10", timeout=20)
    assert "Content-Length" in short.headers
    assert short.json()["items"] == listed["items"][:10]
    long = requests.get(f"{long_server.url}{MAPS}?limit=59", timeout=20)
    assert long.headers["Transfer-Encoding"] == "chunked"
    assert long.json()["metadata"]["remainingItemCount"] == 1


def test_a_long_list_shows_one_version_while_others_write(long_server: ApiServer) -> None:
    with requests.get(long_server.url + MAPS, stream=True, timeout=20) as answer:
        first = answer.raw.read(1000)
        long_server.call(lambda core: core.delete("configmaps", "a59", "default"))
        long_server.create("configmaps", {"metadata": {"name": "b"}}, "default")
        listed = json.loads(first + answer.raw.read())
    assert names(listed) == [f"a{number:02d}" for number in range(COUNT)]


def test_a_client_without_chunks_gets_a_long_list_too(long_server: ApiServer) -> None:
    host = long_server.url.removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=20)
    connection._http_vsn, connection._http_vsn_str = 10, "HTTP/1.0"  # type: ignore[attr-defined]
    connection.request("GET", MAPS)
    answer = connection.getresponse()
    listed = json.loads(answer.read())
    connection.close()
    assert answer.getheader("Transfer-Encoding") is None
    assert len(listed["items"]) == COUNT


def test_a_reader_that_leaves_a_long_list_leaves_nothing_behind(long_server: ApiServer) -> None:
    with requests.get(long_server.url + MAPS, stream=True, timeout=20) as answer:
        answer.raw.read(1000)
    assert requests.get(long_server.url + "/readyz", timeout=20).text == "ok"
