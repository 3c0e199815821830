"""Watches: where they start, what selectors make of a change, how they lose their place."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.options import WatchOptions
from deltawire.apiserver.core.selection import parse_selection
from deltawire.apiserver.core.watches import WatchCursor
from deltawire.common.errors import StatusError

ConfigMap = Callable[..., dict[str, Any]]
ALL = 1 << 30


def seen(cursor: WatchCursor) -> list[tuple[str, str, int]]:
    """(type, name, version) of everything that is ready."""
    changes = []
    while batch := cursor.take(ALL):
        for change in batch:
            metadata = msgspec.json.decode(change.body)["metadata"]
            changes.append((change.type, metadata["name"], int(metadata["resourceVersion"])))
    return changes


def test_a_watch_without_a_version_begins_with_what_there_is(core: ApiCore, config_map: ConfigMap) -> None:
    version = core.create("configmaps", config_map("a"), "default").version
    for start in ("", "0"):
        cursor = core.watch("configmaps", options=WatchOptions(version=start))
        assert seen(cursor) == [("ADDED", "a", version)]


def test_a_watch_from_a_version_tells_what_came_after(core: ApiCore, config_map: ConfigMap) -> None:
    first = core.create("configmaps", config_map("a"), "default").version
    core.update("configmaps", config_map("a", x="1"), "a", "default")
    core.delete("configmaps", "a", "default")
    cursor = core.watch("configmaps", options=WatchOptions(version=str(first)))
    assert seen(cursor) == [("MODIFIED", "a", first + 1), ("DELETED", "a", first + 2)]


def test_a_watch_sees_only_its_resource_and_namespace(core: ApiCore, config_map: ConfigMap) -> None:
    core.create("namespaces", {"metadata": {"name": "n"}})
    selection = parse_selection(core.resource("configmaps"), "n")
    cursor = core.watch("configmaps", selection)
    core.create("configmaps", config_map("elsewhere"), "default")
    core.create("secrets", {"metadata": {"name": "s"}}, "n")
    core.create("configmaps", config_map("here"), "n")
    assert [name for _, name, _ in seen(cursor)] == ["here"]


def test_selectors_turn_updates_into_additions_and_deletions(core: ApiCore, config_map: ConfigMap) -> None:
    selection = parse_selection(core.resource("configmaps"), "default", labels="l=1")
    cursor = core.watch("configmaps", selection)
    core.create("configmaps", config_map("a", {"l": "1"}, x="in"), "default")
    left = core.update("configmaps", config_map("a", {"l": "2"}, x="out"), "a", "default")
    core.update("configmaps", config_map("a", {"l": "3"}), "a", "default")
    core.update("configmaps", config_map("a", {"l": "1"}), "a", "default")
    core.update("configmaps", config_map("a", {"l": "1"}, x="same"), "a", "default")
    core.delete("configmaps", "a", "default")
    changes = cursor.take(ALL)
    assert [change.type for change in changes] == ["ADDED", "DELETED", "ADDED", "MODIFIED", "DELETED"]
    gone = msgspec.json.decode(changes[1].body)
    assert gone["metadata"]["resourceVersion"] == str(left.version), "the version of the change"
    assert (gone["metadata"]["labels"], gone["data"]) == ({"l": "1"}, {"x": "in"}), "the content before it"


def test_field_selectors_follow_a_pod_to_its_node(core: ApiCore) -> None:
    selection = parse_selection(core.resource("pods"), "", fields="spec.nodeName=n1,status.phase!=Failed")
    cursor = core.watch("pods", selection)
    core.create("pods", {"metadata": {"name": "p"}}, "default")
    core.patch("pods", lambda o: o | {"spec": o["spec"] | {"nodeName": "n1"}}, "p", "default")
    core.patch("pods", lambda o: o | {"status": {"phase": "Failed"}}, "p", "default", subresource="status")
    assert [kind for kind, _, _ in seen(cursor)] == ["ADDED", "DELETED"]


def test_all_watches_share_the_bytes_of_an_event(core: ApiCore, config_map: ConfigMap) -> None:
    cursors = [core.watch("configmaps") for _ in range(2)]
    core.create("configmaps", config_map("a"), "default")
    core.delete("configmaps", "a", "default")
    (added, gone), (added_too, gone_too) = (cursor.take(ALL) for cursor in cursors)
    assert added.body is added_too.body
    assert gone.body is gone_too.body


def test_watches_at_the_same_place_share_the_batch(core: ApiCore, config_map: ConfigMap) -> None:
    labelled = [parse_selection(core.resource("configmaps"), "default", labels="l=1") for _ in range(2)]
    first, second, everything = (
        *(core.watch("configmaps", selection) for selection in labelled),
        core.watch("configmaps"),
    )
    core.create("configmaps", config_map("a", {"l": "1"}), "default")
    core.create("configmaps", config_map("b"), "default")
    batch = first.take(ALL)
    assert second.take(ALL) is batch
    assert [len(batch), len(everything.take(ALL))] == [1, 2]
    core.create("configmaps", config_map("c", {"l": "1"}), "default")
    assert len(first.take(ALL)) == 1, "what came since is not in the batch remembered"


def test_a_watch_has_news_only_of_what_it_selects(core: ApiCore, config_map: ConfigMap) -> None:
    cursor = core.watch("configmaps", parse_selection(core.resource("configmaps"), "", labels="l=1"))
    assert cursor.take(ALL) == []
    core.create("configmaps", config_map("a"), "default")
    assert not cursor.has_news()
    assert cursor.is_at_head, "what it does not see it has seen"
    core.create("configmaps", config_map("b", {"l": "1"}), "default")
    assert cursor.has_news()
    assert [name for _, name, _ in seen(cursor)] == ["b"]


def test_a_watch_that_lost_its_place_or_its_resource_has_news(
    make_core: Callable[..., ApiCore], config_map: ConfigMap
) -> None:
    core = make_core(events_max=4)
    selection = parse_selection(core.resource("configmaps"), "", labels="l=1")
    lost = core.watch("configmaps", selection, WatchOptions(version=str(core.store.version)))
    for number in range(5):
        core.create("configmaps", config_map(f"a{number}"), "default")
    assert lost.has_news()
    left = core.watch("configmaps", selection, WatchOptions(version=str(core.store.version)))
    assert not left.has_news()
    core.store.drop("configmaps")
    assert left.has_news()
    assert left.is_over


def test_a_batch_is_bounded_in_bytes(core: ApiCore, config_map: ConfigMap) -> None:
    for number in range(10):
        core.create("configmaps", config_map(f"a{number}", x="y" * 1000), "default")
    for options in (WatchOptions(), WatchOptions(version=str(core.store.version - 10))):
        cursor = core.watch("configmaps", options=options)
        assert len(cursor.take(2000)) == 2
        assert len(cursor.take(1)) == 1
        assert len(seen(cursor)) == 7


def test_a_version_that_is_no_longer_kept_is_410(
    make_core: Callable[..., ApiCore], config_map: ConfigMap
) -> None:
    core = make_core(events_max=4)
    first = core.create("configmaps", config_map("a0"), "default").version
    for number in range(1, 6):
        core.create("configmaps", config_map(f"a{number}"), "default")
    with pytest.raises(StatusError) as caught:
        core.watch("configmaps", options=WatchOptions(version=str(first)))
    assert caught.value.is_expired
    assert str(caught.value) == f"too old resource version: {first} ({first + 1})"
    kept = core.watch("configmaps", options=WatchOptions(version=str(first + 1)))
    assert len(seen(kept)) == 4


def test_a_watch_that_falls_behind_the_window_ends_with_410(
    make_core: Callable[..., ApiCore], config_map: ConfigMap
) -> None:
    core = make_core(events_max=4)
    cursor = core.watch("configmaps")
    for number in range(5):
        core.create("configmaps", config_map(f"a{number}"), "default")
    with pytest.raises(StatusError) as caught:
        cursor.take(ALL)
    assert caught.value.is_expired


def test_the_window_is_bounded_in_bytes_but_keeps_the_newest_event(
    make_core: Callable[..., ApiCore], config_map: ConfigMap
) -> None:
    core = make_core(bytes_max=3000)
    for number in range(5):
        core.create("configmaps", config_map(f"a{number}", x="y" * 1000), "default")
    window = core.store.table("configmaps").window
    assert window.head - window.tail == 2
    core.create("configmaps", config_map("large", x="y" * 5000), "default")
    assert window.head - window.tail == 1


def test_compaction_spares_the_watch_that_has_seen_everything(core: ApiCore, config_map: ConfigMap) -> None:
    behind = core.watch("configmaps")
    core.create("configmaps", config_map("a"), "default")
    current = core.watch("configmaps")
    assert len(seen(current)) == 1
    core.compact()
    core.create("configmaps", config_map("b"), "default")
    assert [name for _, name, _ in seen(current)] == ["b"]
    with pytest.raises(StatusError):
        seen(behind)


def test_a_plain_watch_from_the_future_waits_until_it_is_passed(core: ApiCore, config_map: ConfigMap) -> None:
    future = core.store.version + 2
    cursor = core.watch("configmaps", options=WatchOptions(version=str(future)))
    for number in range(4):
        core.create("configmaps", config_map(f"a{number}"), "default")
    assert [version for _, _, version in seen(cursor)] == [future + 1, future + 2]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (WatchOptions(version="abc"), 500),
        (WatchOptions(match="NotOlderThan"), 422),
        (WatchOptions(send_initial_events=True), 422),
        (WatchOptions(send_initial_events=False), 422),
        (WatchOptions(send_initial_events=True, match="Exact"), 422),
        (WatchOptions(send_initial_events=True, match="NotOlderThan", version="99999"), 504),
    ],
)
def test_options_that_do_not_go_together_are_refused(core: ApiCore, options: WatchOptions, code: int) -> None:
    with pytest.raises(StatusError) as caught:
        core.watch("configmaps", options=options)
    assert caught.value.code == code


@pytest.mark.parametrize("version", ["", "0", "1"])
def test_initial_events_come_first_and_their_end_is_marked(
    core: ApiCore, config_map: ConfigMap, version: str
) -> None:
    core.create("configmaps", config_map("a"), "default")
    options = WatchOptions(
        version=version, match="NotOlderThan", send_initial_events=True, allow_bookmarks=True
    )
    cursor = core.watch("configmaps", options=options)
    core.create("configmaps", config_map("b"), "default")
    assert [change.type for change in cursor.take(ALL)] == ["ADDED"]
    assert cursor.owes_initial_end
    assert [name for _, name, _ in seen(cursor)] == ["b"]
    assert cursor.bookmark_version == core.store.version


def test_initial_events_can_be_declined(core: ApiCore, config_map: ConfigMap) -> None:
    core.create("configmaps", config_map("a"), "default")
    options = WatchOptions(match="NotOlderThan", send_initial_events=False, allow_bookmarks=True)
    cursor = core.watch("configmaps", options=options)
    core.create("configmaps", config_map("b"), "default")
    assert [name for _, name, _ in seen(cursor)] == ["b"]
    assert not cursor.owes_initial_end
