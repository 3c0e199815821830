import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from deltawire.client.tools.events import recorder as recorder_module
from deltawire.client.tools.events.event import Event
from deltawire.client.tools.events.recorder import EventBroadcaster, FakeRecorder
from deltawire.client.tools.events.sink import RETRY_S, TRIES_MAX, SinkWriter
from deltawire.common.clock import FakeClock
from deltawire.common.errors import DeltawireError, StatusError, TransportError
from tests.support.servers import eventually

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-0", "namespace": "ns", "uid": "u"}}
CUT = TransportError("refused", reason="refused")


class Sink:
    """Keeps what it is given; raises the given errors first, one a call."""

    def __init__(self, *errors: DeltawireError) -> None:
        self.errors = list(errors)
        self.calls: list[tuple[str, Event]] = []

    def _write(self, verb: str, event: Event) -> dict[str, Any]:
        self.calls.append((verb, event))
        if self.errors:
            raise self.errors.pop(0)
        return {"metadata": {"name": event.name, "resourceVersion": str(len(self.calls))}}

    def create(self, event: Event) -> dict[str, Any]:
        return self._write("create", event)

    def patch(self, event: Event) -> dict[str, Any]:
        return self._write("patch", event)

    @property
    def verbs(self) -> list[str]:
        return [verb for verb, _ in self.calls]


@pytest.fixture
def broadcaster() -> Iterator[EventBroadcaster]:
    found = EventBroadcaster(clock=FakeClock(), random=lambda: 0.5)
    yield found
    assert found.shutdown()


def events_of(broadcaster: EventBroadcaster, count: int = 1) -> list[Event]:
    """What a listener gets for ``count`` equal calls."""
    seen: list[Event] = []
    broadcaster.start_watcher(seen.append)
    for _ in range(count):
        broadcaster.new_recorder("ctl", "host").event(POD, "Normal", "Made", "made it")
    eventually(lambda: len(seen) == count, "all events arrive")
    return seen


def test_an_event_reaches_each_listener(broadcaster: EventBroadcaster, caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO")
    sink = Sink()
    writer = broadcaster.start_recording_to_sink(sink)
    broadcaster.start_logging()
    [event] = events_of(broadcaster)
    assert (event.reference.name, event.namespace, event.source.component) == ("web-0", "ns", "ctl")
    eventually(lambda: writer.written == 1, "the sink has it")
    eventually(lambda: "Normal Made Pod/web-0: made it" in caplog.text, "the log has it")


def test_each_event_has_a_name_of_its_own(broadcaster: EventBroadcaster):
    assert len({event.name for event in events_of(broadcaster, 50)}) == 50


@pytest.mark.parametrize(("obj", "type"), [({}, "Normal"), (POD, "Error")])
def test_an_event_that_makes_no_sense_is_refused_and_never_raised(
    broadcaster: EventBroadcaster, caplog: pytest.LogCaptureFixture, obj: Any, type: str
):
    broadcaster.new_recorder("ctl").event(obj, type, "Made", "x")
    assert broadcaster.refused == 1
    assert "not recorded" in caplog.text


def test_a_listener_that_is_slow_blocks_nobody_and_loses_the_newest(
    broadcaster: EventBroadcaster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(recorder_module, "QUEUE_EVENTS_MAX", 3)
    go_on, busy = threading.Event(), threading.Event()
    seen: list[str] = []

    def slow(event: Event) -> None:
        busy.set()
        assert go_on.wait(10)
        seen.append(event.message)

    broadcaster.start_watcher(slow)
    recorder = broadcaster.new_recorder("ctl")
    recorder.event(POD, "Normal", "Made", "0")
    assert busy.wait(10)
    for i in range(1, 7):
        recorder.event(POD, "Normal", "Made", str(i))
    assert broadcaster.dropped == 3
    assert caplog.text.count("events are dropped") == 1
    go_on.set()
    eventually(lambda: seen == ["0", "1", "2", "3"], "the oldest arrive in order")


def test_a_listener_that_fails_gets_the_next_event(
    broadcaster: EventBroadcaster, caplog: pytest.LogCaptureFixture
):
    def broken(event: Event) -> None:
        raise ValueError("mine")

    broadcaster.start_watcher(broken)
    events_of(broadcaster, 2)
    eventually(lambda: caplog.text.count("a listener for events failed") == 2, "both failures are logged")


def test_at_shutdown_what_is_queued_is_delivered_and_later_events_are_dropped():
    broadcaster = EventBroadcaster(clock=FakeClock())
    sink = Sink()
    broadcaster.start_recording_to_sink(sink)
    recorder = broadcaster.new_recorder("ctl")
    for i in range(5):
        recorder.event(POD, "Normal", "Made", str(i))
    assert broadcaster.shutdown()
    assert len(sink.calls) == 5
    recorder.event(POD, "Normal", "Made", "late")
    assert broadcaster.dropped == 1


@pytest.fixture
def event() -> Event:
    broadcaster = EventBroadcaster(clock=FakeClock())
    [found] = events_of(broadcaster)
    broadcaster.shutdown()
    return found


def writer_on(sink: Sink, clock: FakeClock) -> SinkWriter:
    return SinkWriter(sink, clock=clock, stop=threading.Event(), random=lambda: 0.5)


def test_the_first_is_created_and_the_next_patched(event: Event):
    sink = Sink()
    writer = writer_on(sink, FakeClock())
    writer.write(event)
    writer.write(event)
    assert sink.verbs == ["create", "patch"]
    assert sink.calls[1][1].count == 2
    assert writer.written == 2


def test_an_event_that_the_server_forgot_is_made_again_with_its_count(event: Event):
    sink = Sink()
    writer = writer_on(sink, FakeClock())
    writer.write(event)
    sink.errors = [StatusError(404, "NotFound", "gone")]
    writer.write(event)
    assert sink.verbs == ["create", "patch", "create"]
    assert sink.calls[2][1].count == 2
    assert "resourceVersion" not in sink.calls[2][1].body()["metadata"]


def test_a_server_that_is_away_is_tried_again_after_a_random_first_wait(event: Event):
    sink, clock = Sink(CUT, CUT), FakeClock()
    writer = writer_on(sink, clock)
    writer.write(event)
    assert len(sink.calls) == 3
    assert clock.now_s() == RETRY_S * 0.5 + RETRY_S
    assert (writer.written, writer.failed) == (1, 0)


def test_after_twelve_tries_an_event_is_lost_and_said(event: Event, caplog: pytest.LogCaptureFixture):
    sink = Sink(*[CUT] * 50)
    writer = writer_on(sink, FakeClock())
    writer.write(event)
    assert len(sink.calls) == TRIES_MAX
    assert writer.failed == 1
    assert "is lost" in caplog.text


@pytest.mark.parametrize("code", [403, 409, 422, 500])
def test_what_the_server_refuses_is_not_tried_again(event: Event, code: int):
    sink = Sink(StatusError(code, "X", "no"))
    writer = writer_on(sink, FakeClock())
    writer.write(event)
    assert len(sink.calls) == 1
    assert writer.failed == 1


def test_a_stop_ends_the_tries(event: Event):
    sink, stop = Sink(*[CUT] * 50), threading.Event()
    stop.set()
    SinkWriter(sink, clock=FakeClock(), stop=stop).write(event)
    assert len(sink.calls) == 1


def test_a_fake_recorder_keeps_lines():
    fake = FakeRecorder()
    fake.event(POD, "Warning", "Failed", "no image")
    assert fake.events == ["Warning Failed no image"]


def test_the_name_that_the_server_chose_is_used_for_the_patch(event: Event):
    sink = Sink()
    writer = writer_on(sink, FakeClock())
    writer.write(event)
    writer.write(replace(event, name="another"))
    assert sink.calls[1][1].name == event.name
