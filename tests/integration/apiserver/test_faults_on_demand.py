"""Faults, as clients meet them, by a socket and without one."""

import time
from typing import Any

import pytest
import requests

from deltawire.apiserver.server import ApiServer
from tests.support.servers import ServerFactory, WatchLines, ask, eventually

MAPS = "/api/v1/namespaces/default/configmaps"
ADMIN = "/_deltawire/faults"


@pytest.fixture
def api_server(api_server_both_ways: ApiServer) -> ApiServer:
    return api_server_both_ways


def get(server: ApiServer, path: str = MAPS) -> requests.Response:
    return ask(server, "GET", path)


def make(server: ApiServer, *names: str) -> None:
    for name in names:
        server.create("configmaps", {"metadata": {"name": name}}, "default")


def named(event: dict[str, Any]) -> tuple[str, str]:
    return event["type"], event["object"]["metadata"].get("name", "")


def test_a_throttled_client_is_told_when_to_come_back(api_server: ApiServer) -> None:
    api_server.fault("throttle", 7, resource="configmaps", verb="list", count=1)
    refused = get(api_server)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
    assert refused.json()["reason"] == "TooManyRequests"
    assert get(api_server).status_code == 200


@pytest.mark.parametrize(
    ("kind", "value", "code"),
    [
        ("error", None, 500),
        ("error", 503, 503),
        ("error", 403, 403),
        ("error", 410, 410),
        ("unauthorized", None, 401),
    ],
)
def test_a_failing_server_answers_with_a_status(
    api_server: ApiServer, kind: str, value: float | None, code: int
) -> None:
    api_server.fault(kind, value, count=1)
    failed = get(api_server)
    assert (failed.status_code, failed.json()["code"]) == (code, code)
    assert get(api_server).status_code == 200


def test_a_failure_may_come_as_the_body_of_a_200(api_server: ApiServer) -> None:
    api_server.fault("bare-status", 410, verb="watch", count=1)
    answer = ask(api_server, "GET", MAPS, params={"watch": "1"})
    assert (answer.status_code, answer.json()["kind"], answer.json()["code"]) == (200, "Status", 410)
    assert answer.json()["reason"] == "Expired"


@pytest.mark.parametrize("code", [500, 403, 0])
def test_a_watch_ends_in_an_error_event_also_one_that_is_open(api_server: ApiServer, code: int) -> None:
    make(api_server, "a")
    with WatchLines(api_server, MAPS, timeoutSeconds="30") as watch:
        assert named(watch.next()) == ("ADDED", "a")
        api_server.fault("error-event", code, resource="configmaps", count=1)
        make(api_server, "b")
        *before, last = watch.rest()
    assert [named(event) for event in before] in ([], [("ADDED", "b")])
    assert (last["type"], last["object"]["kind"]) == ("ERROR", "Status")
    assert last["object"].get("code", 0) == code
    assert ("reason" in last["object"]) is bool(code)
    with WatchLines(api_server, MAPS) as watch:
        assert named(watch.next()) == ("ADDED", "a")


def test_a_fault_of_a_path_meets_that_path_only_also_where_no_resource_is(api_server: ApiServer) -> None:
    api_server.fault("error", 403, path="/api/v1/namespaces/kube-system")
    api_server.fault("error", 404, path="/apis*")
    codes = [
        get(api_server, p).status_code for p in ("/api/v1/namespaces/kube-system", "/apis", MAPS, "/api")
    ]
    assert codes == [403, 404, 200, 200]


def test_a_fault_of_a_user_meets_nobody_else(api_server_factory: ServerFactory) -> None:
    server = api_server_factory(tokens=("one",))
    headers = {"Authorization": "Bearer one"}
    server.fault("error", 403, user="somebody-else")
    assert requests.get(server.url + MAPS, headers=headers, timeout=20).status_code == 200
    server.fault("error", 403, user="kubernetes-admin")
    refused = requests.get(server.url + MAPS, headers=headers, timeout=20)
    assert (refused.status_code, refused.json()["reason"]) == (403, "Forbidden")


def test_a_failed_write_has_written_nothing(api_server: ApiServer) -> None:
    api_server.fault("error", verb="create", count=1)
    body = {"metadata": {"name": "a"}}
    assert ask(api_server, "POST", MAPS, json=body).status_code == 500
    assert get(api_server).json()["items"] == []


def test_latency_delays_and_a_drop_hangs_up(api_server: ApiServer) -> None:
    api_server.fault("latency", 0.2, verb="list", count=1)
    before = time.monotonic()
    assert get(api_server).status_code == 200
    assert time.monotonic() - before >= 0.2
    api_server.fault("drop", count=1)
    with pytest.raises(requests.ConnectionError):
        get(api_server)
    assert get(api_server).status_code == 200


def test_a_stream_is_cut_after_so_many_events_without_an_end(api_server: ApiServer) -> None:
    make(api_server, "a", "b", "c")
    api_server.fault("cut", 2, resource="configmaps", count=1)
    with WatchLines(api_server, MAPS) as watch:
        assert [named(watch.next()) for _ in range(2)] == [("ADDED", "a"), ("ADDED", "b")]
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            watch.next()


def test_a_black_hole_swallows_events_until_it_is_cleared(api_server: ApiServer) -> None:
    with WatchLines(api_server, MAPS, timeoutSeconds="30") as watch:
        make(api_server, "a")
        assert named(watch.next()) == ("ADDED", "a")
        api_server.fault("black-hole")
        make(api_server, "b")
        eventually(lambda: get(api_server, ADMIN).json()["met"] == {"black-hole": 1}, "met")
        api_server.clear_faults()
        assert named(watch.next()) == ("ADDED", "b")


def test_a_slow_stream_takes_its_time(api_server: ApiServer) -> None:
    make(api_server, *"abc")
    api_server.fault("slow", 1500, count=1)
    before = time.monotonic()
    with WatchLines(api_server, MAPS) as watch:
        assert [named(watch.next())[1] for _ in range(3)] == ["a", "b", "c"]
    assert time.monotonic() - before > 0.05


def test_bookmarks_and_the_end_of_the_initial_events_can_be_withheld(api_server: ApiServer) -> None:
    make(api_server, "a")
    api_server.fault("no-initial-end", count=1)
    api_server.fault("no-bookmarks", count=1)
    streaming = {
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
        "allowWatchBookmarks": "true",
        "timeoutSeconds": "1",
    }
    with WatchLines(api_server, MAPS, **streaming) as watch:
        assert [named(event) for event in watch.rest()] == [("ADDED", "a")]
    with WatchLines(api_server, MAPS, **streaming) as watch:
        assert "BOOKMARK" in [event["type"] for event in watch.rest()]


def test_the_admin_endpoint_sets_shows_and_clears(api_server: ApiServer) -> None:
    asked = {"kind": "error", "value": "503", "resource": "configmaps", "verb": "list", "count": "3"}
    made = ask(api_server, "POST", ADMIN, params=asked).json()
    assert (made["kind"], made["value"], made["left"]) == ("error", 503.0, 3)
    assert get(api_server).status_code == 503
    (shown,) = get(api_server, ADMIN).json()["faults"]
    assert (shown["met"], shown["left"]) == (1, 2)
    assert ask(api_server, "DELETE", ADMIN, params={"id": str(made["id"])}).json() == {"cleared": 1}
    assert get(api_server).status_code == 200
    for bad in ({"kind": "x"}, {"kind": "error", "value": "x"}, {"kind": "error", "count": "x"}):
        assert ask(api_server, "POST", ADMIN, params=bad).status_code == 400
    assert ask(api_server, "POST", ADMIN, params={"kind": "error", "resource": "none"}).status_code == 404


def test_a_rewind_cuts_watches_and_takes_back_what_came_after(api_server: ApiServer) -> None:
    make(api_server, "a")
    then = get(api_server).json()["metadata"]["resourceVersion"]
    with WatchLines(api_server, MAPS) as watch:
        assert named(watch.next()) == ("ADDED", "a")
        make(api_server, "b")
        assert named(watch.next()) == ("ADDED", "b")
        done = ask(api_server, "POST", "/_deltawire/rewind", params={"version": then}).json()
        assert done == {"resourceVersion": then, "cut": 1}
        with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
            watch.rest()
    assert [item["metadata"]["name"] for item in get(api_server).json()["items"]] == ["a"]
    api_server.rewind(int(then))
    bad = ask(api_server, "POST", "/_deltawire/rewind", params={"version": "9999"})
    assert bad.status_code == 400
