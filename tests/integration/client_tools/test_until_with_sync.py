"""Waiting on the embedded API server: from what is there, over cut connections and over 410."""

import threading
from typing import Any

import pytest

from deltawire.apiserver.server import ApiServer
from deltawire.client.rest.client import RESTClient
from deltawire.client.rest.watch import ADDED, DELETED, MODIFIED, WatchEvent
from deltawire.client.tools.list_then_watch import ListThenWatch
from deltawire.client.tools.until import until_with_sync
from deltawire.common.errors import WaitError
from deltawire.common.meta.resources import ResourceType, find

MAPS = find("configmaps")
assert isinstance(MAPS, ResourceType)


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


def test_what_exists_already_counts(client: RESTClient) -> None:
    maps = client.of(MAPS, "default")
    maps.create(config_map("a"))
    found = until_with_sync(maps, lambda e: e.object["metadata"]["name"] == "a", timeout_s=10)
    assert found.type == ADDED


def test_what_happens_later_counts(client: RESTClient) -> None:
    maps = client.of(MAPS, "default")
    maps.create(config_map("a", v="1"))
    maps.create(config_map("b", v="1"))
    timer = threading.Timer(0.1, lambda: maps.patch("a", {"data": {"v": "2"}}))
    timer.start()
    found = until_with_sync(
        maps, lambda e: e.object["data"]["v"] == "2", field_selector="metadata.name=a", timeout_s=10
    )
    timer.join()
    assert (found.type, found.object["metadata"]["name"]) == (MODIFIED, "a")


def test_what_was_known_and_went_before_the_first_list_comes_as_a_deletion(client: RESTClient) -> None:
    maps = client.of(MAPS, "default")
    made = maps.create(config_map("a")).into()
    maps.delete("a")
    found = until_with_sync(maps, lambda e: e.type == DELETED, known=[made], timeout_s=10)
    assert found.object["metadata"]["uid"] == made["metadata"]["uid"]


def test_a_wait_that_is_never_met_ends(client: RESTClient) -> None:
    with pytest.raises(WaitError) as found:
        until_with_sync(client.of(MAPS, "default"), lambda e: False, timeout_s=0.2)
    assert found.value.reason == "timeout"


def test_a_lost_history_is_listed_again_and_differences_become_events(
    api_server: ApiServer, client: RESTClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    maps = client.of(MAPS, "default")
    for name in ("changes", "goes", "stays"):
        maps.create(config_map(name, part="yes"))
    watch = ListThenWatch(maps, {"labelSelector": ""})
    opened: list[str] = []
    really_open = watch._open

    def open_after_changes(version: str) -> Any:
        opened.append(version)
        if len(opened) == 1:
            maps.delete("goes")
            maps.patch("changes", {"data": {"v": "2"}})
            maps.create(config_map("new", part="yes"))
            api_server.compact("configmaps")
        return really_open(version)

    monkeypatch.setattr(watch, "_open", open_after_changes)
    seen: list[WatchEvent[Any]] = []
    for event in watch:
        if (event.object.get("data") or {}).get("part") == "yes":
            seen.append(event)
        if len(seen) == 6:
            break
    watch.stop()
    assert [(e.type, e.object["metadata"]["name"]) for e in seen[3:]] == [
        (DELETED, "goes"),
        (MODIFIED, "changes"),
        (ADDED, "new"),
    ]
