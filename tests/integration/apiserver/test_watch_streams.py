"""Watches over HTTP: framing, bookmarks, ends, faults."""

import json
import socket
import time
from typing import Any

import pytest
import requests

from deltawire.apiserver.server import ApiServer
from tests.support.servers import ServerFactory, WatchLines, eventually

MAPS = "/api/v1/namespaces/default/configmaps"


def make(server: ApiServer, name: str, **labels: str) -> str:
    """Create a ConfigMap; its version."""
    created = server.create("configmaps", {"metadata": {"name": name, "labels": labels}}, "default")
    return str(created["metadata"]["resourceVersion"])


@pytest.mark.parametrize("spelling", ["1", "true", "True", "yes", ""])
def test_every_spelling_of_true_watches(api_server: ApiServer, spelling: str) -> None:
    make(api_server, "a")
    with WatchLines(api_server.url, MAPS, watch=spelling) as watch:
        assert watch.next()["type"] == "ADDED"


def test_the_old_watch_path_and_a_single_object_can_be_watched(api_server: ApiServer) -> None:
    make(api_server, "a")
    make(api_server, "b")
    for path in (f"/api/v1/watch/namespaces/default/configmaps/{'b'}", f"{MAPS}/b"):
        with WatchLines(api_server.url, path) as watch:
            assert watch.next()["object"]["metadata"]["name"] == "b"


def test_the_head_of_a_quiet_watch_is_sent_at_once(api_server: ApiServer) -> None:
    began = time.monotonic()
    with WatchLines(api_server.url, "/api/v1/secrets") as watch:
        assert watch.status == 200
    assert time.monotonic() - began < 10


def test_a_write_reaches_an_open_watch_as_one_line(api_server: ApiServer) -> None:
    version = make(api_server, "a")
    with WatchLines(api_server.url, MAPS, resourceVersion=version) as watch:
        make(api_server, "b")
        event = watch.next()
    assert (event["type"], event["object"]["kind"], event["object"]["metadata"]["name"]) == (
        "ADDED",
        "ConfigMap",
        "b",
    )


def test_a_watch_ends_in_good_order_when_its_time_is_up(api_server: ApiServer) -> None:
    began = time.monotonic()
    with WatchLines(api_server.url, MAPS, timeoutSeconds="1") as watch:
        assert watch.rest() == []
    assert 0.9 < time.monotonic() - began < 10


def test_bookmarks_come_at_their_interval_and_only_when_allowed(api_server_factory: ServerFactory) -> None:
    server = api_server_factory(bookmark_interval_s=0.1)
    version = make(server, "a")
    query = {"resourceVersion": version, "timeoutSeconds": "1"}
    with WatchLines(server.url, "/api/v1/secrets", allowWatchBookmarks="true", **query) as watch:
        bookmarks = watch.rest()
    assert len(bookmarks) >= 3
    assert {event["type"] for event in bookmarks} == {"BOOKMARK"}
    assert bookmarks[0]["object"] == {
        "kind": "Secret",
        "apiVersion": "v1",
        "metadata": {"resourceVersion": version, "creationTimestamp": None},
    }
    with WatchLines(server.url, "/api/v1/secrets", **query) as watch:
        assert watch.rest() == []


def test_a_watch_that_is_never_idle_has_its_bookmarks_and_its_end(api_server_factory: ServerFactory) -> None:
    server = api_server_factory(objects={"pods": 20}, churn_per_s=100_000.0, bookmark_interval_s=0.2)
    # Just now: an older version may be too old already.
    version = requests.get(f"{server.url}/api/v1/pods", timeout=10).json()["metadata"]["resourceVersion"]
    query = {"resourceVersion": version, "allowWatchBookmarks": "true", "timeoutSeconds": "2"}
    began = time.monotonic()
    with WatchLines(server.url, "/api/v1/pods", **query) as watch:
        events = watch.rest()
    assert time.monotonic() - began < 60
    assert [event["type"] for event in events].count("BOOKMARK") >= 1
    versions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert versions == sorted(versions), "a bookmark never runs ahead of the events"


def test_a_streaming_list_ends_even_while_events_never_pause(api_server_factory: ServerFactory) -> None:
    server = api_server_factory(objects={"pods": 20}, churn_per_s=100_000.0)
    query = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
    }
    with WatchLines(server.url, "/api/v1/pods", **query) as watch:
        began, known, last = time.monotonic(), set(), 0
        while time.monotonic() - began < 10:
            event = watch.next()
            metadata = event["object"]["metadata"]
            if event["type"] == "BOOKMARK":
                break
            known.add(metadata["name"])
            last = max(last, int(metadata["resourceVersion"]))
        assert event["type"] == "BOOKMARK"
        assert len(known) >= 10
        assert int(metadata["resourceVersion"]) >= last


def test_a_bookmark_comes_shortly_before_the_end(api_server: ApiServer) -> None:
    query = {"allowWatchBookmarks": "true", "timeoutSeconds": "3"}
    with WatchLines(api_server.url, MAPS, **query) as watch:
        assert [event["type"] for event in watch.rest()] == ["BOOKMARK"]


def test_a_bookmark_can_be_asked_for(api_server: ApiServer) -> None:
    with WatchLines(api_server.url, MAPS, allowWatchBookmarks="1") as watch:
        eventually(lambda: _stats(api_server)["watches"] == 1, "the watch is open")
        requests.post(f"{api_server.url}/_deltawire/bookmark?resource=configmaps", timeout=30)
        assert watch.next()["type"] == "BOOKMARK"


def test_a_streaming_list_ends_with_an_annotated_bookmark(api_server: ApiServer) -> None:
    version = [make(api_server, name) for name in "abc"][-1]
    query = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
        "resourceVersion": "0",
    }
    with WatchLines(api_server.url, MAPS, **query) as watch:
        events = [watch.next() for _ in range(4)]
        assert [event["type"] for event in events] == ["ADDED"] * 3 + ["BOOKMARK"]
        metadata = events[-1]["object"]["metadata"]
        assert metadata["annotations"] == {"k8s.io/initial-events-end": "true"}
        assert metadata["resourceVersion"] == version
        make(api_server, "d")
        assert watch.next()["object"]["metadata"]["name"] == "d"


def test_a_lost_place_is_an_error_inside_the_stream(api_server: ApiServer) -> None:
    version = make(api_server, "a")
    make(api_server, "b")
    requests.post(f"{api_server.url}/_deltawire/compact?resource=configmaps", timeout=30)
    with WatchLines(api_server.url, MAPS, resourceVersion=version) as watch:
        assert watch.status == 200
        (event,) = watch.rest()
    assert event["type"] == "ERROR"
    assert (event["object"]["code"], event["object"]["reason"]) == (410, "Expired")
    assert event["object"]["message"].startswith(f"too old resource version: {version} (")


def test_a_lost_place_can_be_http_410_instead(api_server_factory: ServerFactory) -> None:
    server = api_server_factory(expired_watch_as_http=True)
    version = make(server, "a")
    make(server, "b")
    server.compact()
    with WatchLines(server.url, MAPS, resourceVersion=version) as watch:
        assert watch.status == 410


def test_an_expired_page_is_410_over_http(api_server: ApiServer) -> None:
    for name in "abc":
        make(api_server, name)
    token = requests.get(f"{api_server.url}{MAPS}?limit=1", timeout=30).json()["metadata"]["continue"]
    make(api_server, "d")
    api_server.compact()
    query = {"limit": "1", "continue": token}
    answer = requests.get(f"{api_server.url}{MAPS}", params=query, timeout=30)
    assert (answer.status_code, answer.json()["reason"]) == (410, "Expired")
    query["continue"] = answer.json()["metadata"]["continue"]
    assert requests.get(f"{api_server.url}{MAPS}", params=query, timeout=30).status_code == 200


def test_initial_events_of_the_future_are_an_error_inside_the_stream(api_server: ApiServer) -> None:
    query = {"sendInitialEvents": "1", "resourceVersionMatch": "NotOlderThan", "resourceVersion": "999999"}
    with WatchLines(api_server.url, MAPS, **query) as watch:
        (event,) = watch.rest()
    assert event["object"]["code"] == 504
    assert event["object"]["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


def test_cut_watches_end_without_the_last_chunk(api_server: ApiServer) -> None:
    with WatchLines(api_server.url, MAPS) as watch, WatchLines(api_server.url, "/api/v1/pods") as other:
        eventually(lambda: _stats(api_server)["watches"] == 2, "both watches are open")
        answer = requests.post(f"{api_server.url}/_deltawire/cut?resource=configmaps", timeout=30)
        assert answer.json() == {"cut": 1}
        with pytest.raises(requests.exceptions.RequestException):
            watch.rest()
        eventually(lambda: _stats(api_server)["watches"] == 1, "one watch is left")
        other.close()


def test_a_stopping_server_ends_its_watches_in_good_order(api_server_factory: ServerFactory) -> None:
    server = api_server_factory()
    with WatchLines(server.url, MAPS) as watch:
        eventually(lambda: _stats(server)["watches"] == 1, "the watch is open")
        began = time.monotonic()
        server.stop()
        assert watch.rest() == []
    assert time.monotonic() - began < 8


def test_a_client_that_leaves_leaves_nothing_behind(api_server: ApiServer) -> None:
    watches = [WatchLines(api_server.url, MAPS) for _ in range(5)]
    eventually(lambda: _stats(api_server)["watches"] == 5, "all watches are open")
    for watch in watches:
        watch.close()
    eventually(lambda: _stats(api_server)["watches"] == 0, "all watches are gone")


def test_a_watch_that_does_not_read_is_cut_off_and_others_go_on(api_server_factory: ServerFactory) -> None:
    server = api_server_factory(window_events_max=50)
    host, port = server.url.removeprefix("http://").split(":")
    slow = socket.create_connection((host, int(port)))
    slow.sendall(f"GET {MAPS}?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    eventually(lambda: _stats(server)["watches"] == 1, "the slow watch is open")
    with WatchLines(server.url, MAPS) as quick:
        for number in range(200):
            body = {"metadata": {"name": f"a{number}"}, "data": {"x": "y" * 100_000}}
            server.create("configmaps", body, "default")
            assert quick.next()["object"]["metadata"]["name"] == f"a{number}"
        received = b""
        slow.settimeout(10)
        while b'"code":410' not in received[-2000:]:
            chunk = slow.recv(1 << 20)
            assert chunk, "the end says why"
            received += chunk
    slow.close()
    assert _stats(server)["watches_lagged"] == 1


def test_a_table_watch_names_its_columns_once(api_server: ApiServer) -> None:
    for name in "ab":
        make(api_server, name)
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}
    answer = requests.get(f"{api_server.url}{MAPS}?watch=1&timeoutSeconds=1", headers=accept, timeout=30)
    first, second = (json.loads(line)["object"] for line in answer.text.splitlines())
    assert [column["name"] for column in first["columnDefinitions"]] == ["Name", "Data", "Age"]
    assert second["columnDefinitions"] == []
    assert [first["rows"][0]["cells"][0], second["rows"][0]["cells"][0]] == ["a", "b"]


def test_churn_keeps_its_rate_says_so_and_stops(api_server_factory: ServerFactory) -> None:
    server = api_server_factory(objects={"pods": 50}, churn_per_s=200.0)
    # A loaded machine may stall it for a while; the rate must come back, and never be exceeded for long.
    eventually(lambda: 180 < _stats(server)["churn"]["kept_per_s"] < 220, "the rate is kept", 20)
    churn = _stats(server)["churn"]
    assert churn["asked_per_s"] == 200.0
    stopped = requests.post(f"{server.url}/_deltawire/churn?rate=0", timeout=30).json()
    time.sleep(0.1)
    assert _stats(server)["resourceVersion"] == stopped["resourceVersion"]
    requests.post(f"{server.url}/_deltawire/churn?rate=100", timeout=30)
    eventually(lambda: _stats(server)["churn"]["written"] > churn["written"], "churn goes on")


def _stats(server: ApiServer) -> dict[str, Any]:
    stats: dict[str, Any] = requests.get(f"{server.url}/_deltawire/stats", timeout=30).json()
    return stats
