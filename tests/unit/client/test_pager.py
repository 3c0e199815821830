import random
import threading
from dataclasses import dataclass, field
from typing import Any

import pytest

from deltawire.client.pager import ListPager
from deltawire.common.errors import ConfigError, StatusError, TransportError


@dataclass
class Meta:
    continue_: str | None = None
    resourceVersion: str | None = None  # noqa: N815 - the API's name


@dataclass
class Page:
    items: list[int]
    metadata: Meta


@dataclass
class Server:
    """Holds numbers; ``fails`` says which request (from 1) raises what."""

    count: int
    fails: dict[int, Exception] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)

    def list_page(self, **options: Any) -> Page:
        self.asked.append(options)
        if len(self.asked) in self.fails:
            raise self.fails[len(self.asked)]
        begin = int(options.get("continue_") or 0)
        end = min(self.count, begin + (options.get("limit") or self.count))
        more = str(end) if end < self.count else ""
        return Page(list(range(begin, end)), Meta(more, str(100 + len(self.asked))))


EXPIRED = StatusError(410, "Expired", "the token is too old")


def test_pages_are_of_500_and_the_version_is_the_first_pages() -> None:
    server = Server(1200)
    found = ListPager(server.list_page).list(resource_version="7", resource_version_match="NotOlderThan")
    assert found.items == list(range(1200))
    assert (found.resource_version, found.pages, found.is_paginated) == ("101", 3, True)
    assert [asked["limit"] for asked in server.asked] == [500] * 3
    assert server.asked[0]["resource_version"] == "7"
    # A server refuses a version beside a continue token.
    assert all(
        "resource_version" not in asked and "resource_version_match" not in asked
        for asked in server.asked[1:]
    )


def test_the_callers_limit_is_kept_and_one_page_is_the_servers_own() -> None:
    server = Server(5)
    found = ListPager(server.list_page).list(limit=10, label_selector="a=b")
    assert found.first.items == [0, 1, 2, 3, 4]
    assert not found.is_paginated
    assert server.asked == [{"limit": 10, "label_selector": "a=b"}]


def test_an_expiry_on_a_later_page_lists_everything_at_the_version_asked_for() -> None:
    server = Server(30, {2: EXPIRED})
    found = ListPager(server.list_page, page_size=10).list(resource_version="7")
    assert found.items == list(range(30))
    assert not found.is_paginated
    assert server.asked[-1] == {"limit": 0, "continue_": "", "resource_version": "7"}


@pytest.mark.parametrize(
    ("fails", "options"),
    [
        ({1: EXPIRED}, {}),
        ({2: EXPIRED}, {"full_list_if_expired": False}),
        ({2: StatusError(410, "Gone", "x")}, {}),
        ({2: TransportError("cut")}, {}),
        ({2: EXPIRED, 3: TransportError("cut")}, {}),
    ],
)
def test_other_failures_are_the_callers(fails: dict[int, Exception], options: dict[str, Any]) -> None:
    server = Server(30, fails)
    with pytest.raises((StatusError, TransportError)):
        ListPager(server.list_page, page_size=10, **options).list()


def test_a_stop_ends_it_before_the_next_page() -> None:
    server, stop = Server(30), threading.Event()
    stop.set()
    with pytest.raises(TransportError, match="stopped"):
        ListPager(server.list_page, stop=stop).list()
    assert server.asked == []


@pytest.mark.parametrize("seed", range(5))
def test_items_come_one_by_one_in_order(seed: int) -> None:
    chance = random.Random(seed)
    count, size, room = chance.randint(0, 200), chance.randint(1, 30), chance.randint(1, 4)
    pager = ListPager(Server(count).list_page, page_size=size, pages_buffered_max=room)
    assert list(pager.each_item()) == list(range(count)), f"seed {seed}"


def test_a_failure_is_raised_after_the_items_before_it() -> None:
    server = Server(30, {3: EXPIRED})
    seen = []
    with pytest.raises(StatusError):
        for item in ListPager(server.list_page, page_size=10).each_item():
            seen.append(item)
    assert seen == list(range(20))


def test_no_more_than_the_buffer_is_fetched_ahead_and_leaving_ends_it() -> None:
    server = Server(10_000)
    before = threading.active_count()
    items = ListPager(server.list_page, page_size=1, pages_buffered_max=3).each_item()
    assert next(items) == 0
    items.close()  # type: ignore[attr-defined]  # a generator, as the caller's own code may not know
    deadline = threading.Event()
    while threading.active_count() > before and not deadline.wait(0.01):
        pass
    assert len(server.asked) <= 3 + 4


def test_sizes_that_cannot_work_are_refused() -> None:
    with pytest.raises(ConfigError):
        ListPager(Server(1).list_page, page_size=-1)
    with pytest.raises(ConfigError):
        ListPager(Server(1).list_page, pages_buffered_max=0)
