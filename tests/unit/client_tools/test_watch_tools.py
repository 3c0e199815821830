import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from deltawire.client.rest.watch import ADDED, BOOKMARK, DELETED, MODIFIED, WatchEvent
from deltawire.client.tools.retry_watcher import REOPEN_S_MIN, RetryWatcher
from deltawire.client.tools.until import until, until_with_sync, until_without_retry
from deltawire.common.clock import FakeClock
from deltawire.common.errors import ConfigError, DeltawireError, StatusError, TransportError, WaitError

EXPIRED = StatusError(410, "Expired", "too old")


def event(type: str, version: int | str, **fields: Any) -> WatchEvent[Any]:
    return WatchEvent(type, {"metadata": {"name": "a", "resourceVersion": str(version)}, **fields})


class FakeWatch:
    """Gives its events, then ends or raises; ``hold`` waits for `stop` first."""

    def __init__(self, *items: WatchEvent[Any] | DeltawireError, hold: bool = False) -> None:
        self._items = items
        self._hold = hold
        self.stopped = threading.Event()

    def __iter__(self) -> Iterator[WatchEvent[Any]]:
        for item in self._items:
            if isinstance(item, DeltawireError):
                raise item
            yield item
        if self._hold:
            assert self.stopped.wait(10)

    def stop(self) -> None:
        self.stopped.set()


class Server:
    """Opens the given watches in turn; an error in their place fails the opening."""

    def __init__(self, *watches: FakeWatch | DeltawireError) -> None:
        self._left = list(watches)
        self.versions: list[str] = []

    def __call__(self, version: str) -> FakeWatch:
        self.versions.append(version)
        found = self._left.pop(0)
        if isinstance(found, DeltawireError):
            raise found
        return found


def versions(events: list[WatchEvent[Any]]) -> list[str]:
    return [found.object["metadata"]["resourceVersion"] for found in events]


def taken(watcher: RetryWatcher[Any], count: int) -> list[str]:
    return versions([next(watcher) for _ in range(count)])


def test_a_watch_that_ends_is_opened_again_at_the_last_version():
    server = Server(FakeWatch(event(ADDED, 11), event(MODIFIED, 12)), FakeWatch(event(DELETED, 13)))
    watcher = RetryWatcher(server, "10", clock=FakeClock())
    assert taken(watcher, 3) == ["11", "12", "13"]
    assert server.versions == ["10", "12"]
    watcher.stop()


def test_bookmarks_move_the_version_on_and_are_hidden():
    server = Server(FakeWatch(event(ADDED, 11), event(BOOKMARK, 20)), FakeWatch(event(ADDED, 21)))
    assert taken(RetryWatcher(server, "10", clock=FakeClock()), 2) == ["11", "21"]
    assert server.versions == ["10", "20"]


@pytest.mark.parametrize(
    "error",
    [
        TransportError("cut", reason="reset"),
        TransportError("refused", reason="refused"),
        StatusError(500, "InternalError", "no"),
        StatusError(504, "Timeout", "no"),
        StatusError(429, "TooManyRequests", "no"),
    ],
)
@pytest.mark.parametrize("where", ["opening", "stream"])
def test_what_may_pass_is_followed_by_another_watch(error: DeltawireError, where: str):
    first = error if where == "opening" else FakeWatch(error)
    server = Server(first, FakeWatch(event(ADDED, 11)))
    assert taken(RetryWatcher(server, "10", clock=FakeClock()), 1) == ["11"]


@pytest.mark.parametrize(
    "error",
    [
        EXPIRED,
        StatusError(401, "Unauthorized", "no"),
        StatusError(403, "Forbidden", "no"),
        TransportError("no JSON", reason="garbage"),
    ],
)
@pytest.mark.parametrize("where", ["opening", "stream"])
def test_what_cannot_pass_ends_it_for_good(error: DeltawireError, where: str):
    server = Server(error if where == "opening" else FakeWatch(error))
    watcher = RetryWatcher(server, "10", clock=FakeClock())
    with pytest.raises(type(error)) as found:
        next(watcher)
    assert found.value is error
    assert list(watcher) == []


def test_an_object_without_a_version_ends_it_for_good():
    with pytest.raises(TransportError, match="no resourceVersion"):
        next(RetryWatcher(Server(FakeWatch(event(ADDED, ""))), "10", clock=FakeClock()))


def test_watches_are_not_opened_faster_than_one_a_second_and_a_long_one_at_once():
    clock = FakeClock()
    opened_at_s: list[float] = []

    def open_watch(version: str) -> FakeWatch:
        opened_at_s.append(clock.now_s())
        if len(opened_at_s) == 2:
            clock.advance(7)  # this watch lives for a while
        return FakeWatch(event(ADDED, 11)) if len(opened_at_s) == 3 else FakeWatch()

    next(RetryWatcher(open_watch, "10", clock=clock))
    assert opened_at_s == [0, REOPEN_S_MIN, REOPEN_S_MIN + 7]


def test_the_server_may_ask_for_more_time():
    clock = FakeClock()
    busy = StatusError(429, "TooManyRequests", "no", retry_after_s=5)
    next(RetryWatcher(Server(busy, FakeWatch(event(ADDED, 11))), "10", clock=clock))
    assert clock.now_s() == 5


@pytest.mark.parametrize("version", ["", "0"])
def test_a_version_that_cannot_be_resumed_is_refused(version: str):
    with pytest.raises(ConfigError):
        RetryWatcher(Server(), version)


def test_a_stop_ends_an_iteration_that_waits_and_may_come_twice():
    watcher = RetryWatcher(Server(FakeWatch(event(ADDED, 11), hold=True)), "10", clock=FakeClock())
    seen: list[WatchEvent[Any]] = []
    thread = threading.Thread(target=lambda: seen.extend(watcher))
    thread.start()
    watcher.stop()
    watcher.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert len(seen) <= 1


def test_conditions_are_met_in_their_order_and_the_same_event_may_meet_the_next():
    watch = FakeWatch(
        event(ADDED, 1, phase="Pending"), event(MODIFIED, 2, phase="Running"), event(MODIFIED, 3)
    )
    found = until_without_retry(
        watch,
        lambda e: e.type == MODIFIED,
        lambda e: e.object.get("phase") == "Running",
    )
    assert found.object["metadata"]["resourceVersion"] == "2"
    assert watch.stopped.is_set()


def test_a_watch_that_ends_before_says_how_far_it_got():
    with pytest.raises(WaitError, match="1 of 2 conditions were met") as found:
        until_without_retry(FakeWatch(event(ADDED, 1)), lambda e: True, lambda e: False)
    assert found.value.reason == "closed"


def test_a_wait_ends_at_its_deadline():
    watch = FakeWatch(hold=True)
    with pytest.raises(WaitError, match="not within") as found:
        until_without_retry(watch, lambda e: True, timeout_s=0.05)
    assert found.value.reason == "timeout"
    assert watch.stopped.is_set()


def test_what_a_condition_raises_comes_out():
    def broken(found: WatchEvent[Any]) -> bool:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        until_without_retry(FakeWatch(event(ADDED, 1)), broken)


def test_a_wait_without_a_condition_is_a_mistake():
    with pytest.raises(ConfigError):
        until_without_retry(FakeWatch())


def test_until_goes_on_over_connections():
    server = Server(FakeWatch(event(ADDED, 11)), FakeWatch(event(DELETED, 12)))
    found = until(server, "10", lambda e: e.type == DELETED, clock=FakeClock())
    assert found.object["metadata"]["resourceVersion"] == "12"


class Lister:
    """Lists one object at the next version each time; its watches are the given ones. An error in the place of an
    answer is raised. ``versionless``: its lists have no version."""

    def __init__(
        self,
        *chunks: bytes | DeltawireError,
        refusals: Sequence[DeltawireError] = (),
        versionless: bool = False,
    ) -> None:
        self._chunks = list(chunks)
        self._refusals = list(refusals)
        self._versionless = versionless
        self.lists = 0
        self.watched_at: list[str] = []

    def list_page(self, params: Any) -> bytes:
        if self._refusals:
            raise self._refusals.pop(0)
        self.lists += 1
        item = {"metadata": {"name": "a", "resourceVersion": str(self.lists)}}
        meta = {} if self._versionless else {"resourceVersion": str(self.lists)}
        return json.dumps({"metadata": meta, "items": [item]}).encode()

    def open_watch(self, params: Any) -> "Chunks":
        self.watched_at.append(params["resourceVersion"])
        found = self._chunks.pop(0)
        if isinstance(found, DeltawireError):
            raise found
        return Chunks(found)


class Chunks:
    def __init__(self, *chunks: bytes) -> None:
        self._chunks = list(chunks)

    def read(self) -> bytes:
        return self._chunks.pop(0) if self._chunks else b""

    def close(self) -> None:
        self._chunks = []


def line(type: str, **metadata: Any) -> bytes:
    return json.dumps({"type": type, "object": {"metadata": metadata}}).encode() + b"\n"


@pytest.mark.parametrize("reason", ["InternalError", "Expired", "Forbidden", "Unauthorized"])
def test_until_with_sync_lists_again_after_an_error_event_as_an_informer_does(reason: str) -> None:
    status = f'{{"kind":"Status","status":"Failure","reason":"{reason}","message":"no"}}'
    client = Lister(f'{{"type":"ERROR","object":{status}}}\n'.encode(), b"")
    found = until_with_sync(client, lambda e: e.type == MODIFIED, clock=FastClock())  # type: ignore[arg-type]
    assert found.object["metadata"]["resourceVersion"] == "2"
    assert client.lists == 2


FORBIDDEN = StatusError(403, "Forbidden", "not yet")


def test_until_with_sync_outlives_refusals_of_lists_and_watches_as_an_informer_does() -> None:
    refusals = [FORBIDDEN, StatusError(401, "Unauthorized", "who?"), TransportError("away", reason="refused")]
    client = Lister(FORBIDDEN, b"", refusals=refusals)
    clock = FastClock()
    found = until_with_sync(client, lambda e: e.type == MODIFIED, clock=clock)  # type: ignore[arg-type]
    assert found.object["metadata"]["resourceVersion"] == "2"
    assert clock.slept[:4] == [1, 2, 4, 8], "the delay doubles while nothing comes between"


def test_until_with_sync_says_what_it_met_when_its_time_is_over() -> None:
    client = Lister(refusals=[FORBIDDEN] * 100_000)
    with pytest.raises(WaitError, match="not yet"):
        until_with_sync(client, lambda e: True, timeout_s=0.05)  # type: ignore[arg-type]


def test_until_with_sync_ends_with_a_question_that_the_server_does_not_take() -> None:
    client = Lister(refusals=[StatusError(400, "BadRequest", "no such field")])
    with pytest.raises(StatusError, match="no such field"):
        until_with_sync(client, lambda e: True, clock=FastClock())  # type: ignore[arg-type]


def test_until_with_sync_watches_a_list_without_a_version_from_anywhere_and_tells_nothing_twice() -> None:
    begins_with = line("ADDED", name="a", resourceVersion="1") + line("ADDED", name="b", resourceVersion="5")
    client = Lister(begins_with, line("DELETED", name="b", resourceVersion="9"), versionless=True)
    told: list[tuple[str, str]] = []

    def is_deleted(event: WatchEvent[Any]) -> bool:
        told.append((event.type, event.object["metadata"]["name"]))
        return event.object["metadata"].get("resourceVersion") == "9"

    until_with_sync(client, is_deleted, clock=FastClock())  # type: ignore[arg-type]
    # The second list does not name b, and has another version of a.
    assert told == [(ADDED, "a"), (ADDED, "b"), (DELETED, "b"), (MODIFIED, "a"), (DELETED, "b")]
    assert client.watched_at == ["", ""]


def test_until_with_sync_takes_objects_without_a_version() -> None:
    client = Lister(line("ADDED", name="b") + line("MODIFIED", name="b"))
    found = until_with_sync(client, lambda e: e.type == MODIFIED, clock=FastClock())  # type: ignore[arg-type]
    assert (found.object["metadata"], client.lists) == ({"name": "b"}, 1)


class FastClock(FakeClock):
    """Sleeps take no time; ``slept`` is how long they would have been."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    def sleep(self, seconds: float, stop: threading.Event | None = None) -> bool:
        self.slept.append(seconds)
        return False
