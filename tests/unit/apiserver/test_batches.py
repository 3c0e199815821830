"""One batch for all watches at the same place, and never another one's: what a write costs does not grow with them."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.batches import Batches, Place
from deltawire.apiserver.core.options import WatchOptions
from deltawire.apiserver.core.selection import Selection, parse_selection
from deltawire.apiserver.core.window import EventWindow

ConfigMap = Callable[..., dict[str, Any]]
ALL = 1 << 30
EVERYTHING = Selection()


@pytest.fixture
def window(core: ApiCore, config_map: ConfigMap) -> EventWindow:
    """Of config maps: three were made, one was changed, one deleted."""
    for name, tier in (("a", "web"), ("b", "db"), ("c", "web")):
        core.create("configmaps", config_map(name, tier=tier), "default")
    core.update("configmaps", config_map("a", tier="db"), "a", "default")
    core.delete("configmaps", "b", "default")
    return core.store.table("configmaps").window


def test_watches_at_the_same_place_are_given_the_same_batch(window: EventWindow) -> None:
    batches = Batches(window)
    first = batches.take(EVERYTHING, Place(0, 0), ALL)
    assert [change.type for change in first.changes] == ["ADDED", "ADDED", "ADDED", "MODIFIED", "DELETED"]
    assert batches.take(Selection(), Place(0, 0), ALL) is first
    assert batches.take(EVERYTHING, first.after, ALL).changes == []


def test_an_event_makes_another_batch(core: ApiCore, config_map: ConfigMap, window: EventWindow) -> None:
    batches = Batches(window)
    place = batches.take(EVERYTHING, Place(0, 0), ALL).after
    assert batches.take(EVERYTHING, place, ALL).changes == []
    core.create("configmaps", config_map("d"), "default")
    assert len(batches.take(EVERYTHING, place, ALL).changes) == 1


def test_a_batch_ends_with_the_change_that_fills_it(window: EventWindow) -> None:
    batches = Batches(window)
    whole = batches.take(EVERYTHING, Place(0, 0), ALL).changes
    size = len(whole[0].body)
    assert batches.take(EVERYTHING, Place(0, 0), 1).changes == whole[:1]
    assert batches.take(EVERYTHING, Place(0, 0), size).changes == whole[:1]
    assert batches.take(EVERYTHING, Place(0, 0), size + 1).changes == whole[:2]


def test_a_body_is_made_once_for_all_watches(core: ApiCore, window: EventWindow) -> None:
    """Of a deletion, too, whose body is not the one that was stored."""
    batches = Batches(window)
    web = parse_selection(core.resource("configmaps"), "", "tier!=x")
    for one, other in zip(
        batches.take(EVERYTHING, Place(0, 0), ALL).changes,
        batches.take(web, Place(0, 0), ALL).changes,
        strict=True,
    ):
        assert one.body is other.body


@pytest.mark.parametrize("seed", range(20))
def test_what_is_remembered_changes_nothing(core: ApiCore, config_map: ConfigMap, seed: int) -> None:
    """Watches of several selections, at several places, in any order: each sees what it would see alone."""
    rng = random.Random(seed)
    resource = core.resource("configmaps")
    selectors = ("", "tier=web", "tier=db", "tier!=web")
    selections = [parse_selection(resource, "", selector) for selector in selectors]
    window = core.store.table("configmaps").window
    batches = Batches(window)
    places = {number: (rng.choice(selections), Place(0, 0)) for number in range(6)}
    living: set[str] = set()
    for _ in range(200):
        if rng.random() < 0.5:
            name = f"o{rng.randrange(5)}"
            body = config_map(name, tier=rng.choice(("web", "db")), turn=str(rng.random()))
            if name not in living:
                core.create("configmaps", body, "default")
                living.add(name)
            elif rng.random() < 0.7:
                core.update("configmaps", body, name, "default")
            else:
                core.delete("configmaps", name, "default")
                living.discard(name)
        number = rng.randrange(6)
        selection, place = places[number]
        bytes_max = rng.choice((1, 400, ALL))
        batch = batches.take(selection, place, bytes_max)
        assert batch == Batches(window).take(selection, place, bytes_max)
        places[number] = (selection, batch.after)


def test_a_write_wakes_those_it_concerns_once_and_asks_none_for_its_batch(
    core: ApiCore, config_map: ConfigMap
) -> None:
    """What a write does by itself is one append and one call for each listener: no batch is made inside it."""
    cursors = [core.watch("configmaps", options=WatchOptions()) for _ in range(50)]
    for cursor in cursors:
        assert not cursor.take(ALL)
    window, batches = core.store.table("configmaps").window, core.store.table("configmaps").batches
    woken: list[int] = []
    window.subscribe(lambda: woken.append(window.head))
    core.create("secrets", {"metadata": {"name": "s"}}, "default")
    assert woken == []
    asked = batches._asked
    core.create("configmaps", config_map("a"), "default")
    assert woken == [window.head]
    assert batches._asked is asked
    first = cursors[0].take(ALL)
    assert all(cursor.take(ALL)[0].body is first[0].body for cursor in cursors[1:])
