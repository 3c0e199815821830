"""What a handler of an attached informer is told: client-go's view of a cache, from a group's events and a list."""

from typing import Any

import pytest

from deltawire.common.clock import SystemClock
from deltawire.fifo.deltas import Tombstone
from deltawire.handlers.events import FINAL_STATE_UNKNOWN, INITIAL, Delivery
from deltawire.local.attached.audience import Audience, Told, Version
from deltawire.local.notifications import Added, Deleted, HandlerFuncs, Updated

KEY = "default/web"


def event(kind: str, version: str, uid: str = "u1", flags: int = 0) -> Delivery:
    return Delivery(0, "dev/pods", 0, 1, KEY, kind, uid, version, 0, 1, 0, flags, b"{}", None)


def tell(told: Told[str], kind: str, version: str, **more: Any) -> Any:
    return told.event(event(kind, version, **more), KEY, f"at {version}", None)


@pytest.fixture
def told() -> Told[str]:
    return Told()


def test_the_first_sight_of_an_object_is_an_add_whatever_the_group_was_told_before(told: Told[str]) -> None:
    assert tell(told, "U", "5") == Added("at 5", False)
    assert tell(told, "U", "6") == Updated(None, "at 6")
    assert tell(Told(), "A", "5", flags=INITIAL) == Added("at 5", True)


def test_what_the_list_and_an_event_both_show_is_told_once(told: Told[str]) -> None:
    assert told.listed(KEY, Version("u1", "5"), "at 5") == Added("at 5", True)
    assert tell(told, "A", "5") is None
    assert tell(told, "U", "4") is None
    assert tell(told, "U", "7") == Updated(None, "at 7")
    assert told.listed(KEY, Version("u1", "5"), "at 5") is None


def test_an_object_whose_deletion_came_while_the_cache_was_listed_is_not_shown_again(told: Told[str]) -> None:
    assert tell(told, "A", "5") == Added("at 5", False)
    assert tell(told, "D", "6") == Deleted("at 6")
    assert told.listed(KEY, Version("u1", "5"), "at 5") is None
    assert tell(told, "A", "8", uid="u2") == Added("at 8", False)


def test_a_deletion_that_happened_while_nobody_was_here_is_told_with_the_last_known_state(told: Told[str]) -> None:
    told.list_ended()
    assert tell(told, "D", "9") == Deleted(Tombstone(KEY, "at 9"))


def test_a_deletion_of_a_former_life_does_not_end_the_one_that_is_shown(told: Told[str]) -> None:
    assert told.listed(KEY, Version("u2", "8"), "at 8") == Added("at 8", True)
    assert tell(told, "D", "6", uid="u1") is None
    assert tell(told, "A", "8", uid="u2") is None
    assert tell(told, "U", "9", uid="u2") == Updated(None, "at 9")


def test_a_deletion_whose_last_state_is_not_known_is_a_tombstone_and_a_resync_an_update(told: Told[str]) -> None:
    tell(told, "A", "5")
    assert tell(told, "S", "5") == Updated("at 5", "at 5")
    assert tell(told, "D", "6", flags=FINAL_STATE_UNKNOWN) == Deleted(Tombstone(KEY, "at 6"))


def test_an_event_waits_for_its_call_also_for_one_that_raises_and_not_for_one_that_never_comes() -> None:
    calls: list[str] = []

    def added(obj: str) -> None:
        calls.append(obj)
        raise ValueError(obj)

    audience: Audience[str] = Audience(HandlerFuncs(added), name="a", notifications_max=9, clock=SystemClock())
    audience.listener.start()
    assert audience.wait(audience.tell(Added("one", False)))
    assert calls == ["one"]
    assert audience.tell(None) == 0
    assert audience.wait(0)
    audience.close()
    assert not audience.wait(audience.tell(Added("two", False)))
    assert audience.listener.join(20)
    assert audience.listener.status().failed == 1
