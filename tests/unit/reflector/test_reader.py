"""The reader's thread: one request at a time, bounded, and nothing of a request that is not wanted any more."""

import json
import queue
import threading
import time
from collections import deque

import pytest

from deltawire.common.clock import FakeClock, SystemClock
from deltawire.common.errors import StatusError, TransportError
from deltawire.common.meta.resources import find
from deltawire.reflector.action import List, Watch
from deltawire.reflector.gather import GATHER_S
from deltawire.reflector.identity import ClusterChangedError
from deltawire.reflector.reader import INBOX_BYTES_MAX, WAITED_S, Closed, Failed, Opened, Read, Reader
from deltawire.reflector.split import Counters
from tests.support.patience import Patience, wait_until

WATCH = Watch({"resourceVersion": "1"}, is_list=False)


def event(name, version, size=0):
    metadata = {"name": name, "namespace": "default", "uid": "u", "resourceVersion": str(version)}
    body = {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "data": "x" * size}
    return json.dumps({"type": "ADDED", "object": body}, separators=(",", ":")).encode() + b"\n"


class PlayedStream:
    """Chunks that the test puts in; None ends it, an exception is raised."""

    def __init__(self):
        self.chunks = queue.Queue()
        self.reads = 0
        self.is_closed = False

    def read(self):
        chunk = self.chunks.get()
        self.reads += 1
        if isinstance(chunk, Exception):
            raise chunk
        return chunk or b""

    def is_ready(self):
        return not self.chunks.empty()

    def is_empty(self):
        return self.chunks.empty()

    def set_read_timeout(self, seconds):
        return True

    def close(self):
        self.is_closed = True
        self.chunks.put(None)


class PlayedSource:
    def __init__(self):
        self.calls = []
        self.ended = []
        self.stream = PlayedStream()
        self.answer = b'{"kind":"PodList","metadata":{"resourceVersion":"9"},"items":[]}'
        self.cluster_error = None
        self.gate = threading.Event()
        self.gate.set()

    def resource(self):
        return find("pods")

    def check_cluster(self):
        self.calls.append("check")
        if self.cluster_error:
            raise self.cluster_error

    def connection_ended(self, is_dead):
        self.ended.append(is_dead)

    def list(self, params):
        self.calls.append("list")
        self.gate.wait(10)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def watch(self, params):
        self.calls.append("watch")
        return self.stream


@pytest.fixture
def source():
    return PlayedSource()


@pytest.fixture
def reader(source):
    made = Reader("test", source, trim=None, counters=Counters(), clock=SystemClock(), wake=lambda: None)
    yield made
    source.gate.set()
    made.close()
    assert made.join(5)


def news(reader, seconds=5.0):
    patience = Patience(seconds)
    while (found := reader.take()) is None:
        assert not patience.is_over(), "no news"
        time.sleep(0.001)
    return found


def until(done, seconds=5.0):
    wait_until(done, "the reader", seconds=seconds, every_s=0.001)


def test_a_watch_is_opened_read_and_closed(reader, source):
    reader.submit(WATCH)
    assert isinstance(news(reader), Opened)
    before_us = time.time() * 1e6
    source.stream.chunks.put(event("a", 2))
    found = news(reader)
    assert isinstance(found, Read)
    assert found.part.version == "2"
    assert abs(found.at_us - before_us) < 5e6
    source.stream.chunks.put(None)
    assert isinstance(news(reader), Closed)
    until(lambda: source.stream.is_closed)


def test_a_watch_behind_one_that_was_cut_in_the_middle_of_an_event_finds_nothing_left_to_read(reader, source):
    reader.submit(WATCH)
    news(reader)
    source.stream.chunks.put(event("a", 2)[:-20])
    source.stream.chunks.put(TransportError("cut", reason="reset"))
    assert isinstance(news(reader), Failed)
    source.stream = PlayedStream()
    reader.submit(WATCH)
    assert isinstance(news(reader), Opened)
    until(lambda: reader.reading().is_waiting)


class SteadyStream(PlayedStream):
    """An event each ``every_s`` for ``for_s``, whoever reads them, by a clock of its own."""

    def __init__(self, clock, every_s, for_s):
        super().__init__()
        self.clock = clock
        began_s = clock.now_s()
        self.left = deque((began_s + n * every_s, event(f"p{n}", n + 2)) for n in range(1, int(for_s / every_s)))

    def read(self):
        if not self.left:
            return b""
        at_s, chunk = self.left.popleft()
        self.clock.advance(max(0.0, at_s - self.clock.now_s()))
        return chunk

    def is_ready(self):
        return bool(self.left) and self.left[0][0] <= self.clock.now_s()

    def is_empty(self):
        return not self.is_ready()


@pytest.mark.parametrize("gather_s", [0.0, GATHER_S])
@pytest.mark.parametrize("every_s", [WAITED_S / 40, WAITED_S / 4, 0.9 * WAITED_S, 5 * WAITED_S])
def test_it_is_known_how_far_a_stream_is_read_that_makes_no_pause(source, every_s, gather_s):
    clock, behind_us = FakeClock(), []

    def pass_on(number, batch, at_us):
        behind_us.append(at_us - made.reading().drained_us)
        return True

    made = Reader("steady", source, trim=None, counters=Counters(), clock=clock, wake=lambda: None, gather_s=gather_s)
    made.pass_on = pass_on
    source.stream = SteadyStream(clock, every_s, for_s=0.5)
    made.submit(WATCH)
    assert isinstance(news(made), Opened)
    assert isinstance(news(made), Closed)
    made.close()
    assert made.join(5)
    assert max(behind_us[len(behind_us) // 2 :]) < 0.1 * 1e6


@pytest.mark.parametrize("end", [b"}", b"}\n", b"},\n"])
def test_a_part_of_an_event_that_looks_like_an_end_is_none(reader, source, end):
    reader.submit(WATCH)
    news(reader)
    source.stream.chunks.put(b'{"type":"ADDED","object":\n{"kind":"Pod","x":{"y":{' + end)
    until(lambda: source.stream.reads == 1 and reader.reading_since_s is not None)
    time.sleep(2 * WAITED_S)
    assert not reader.reading().is_waiting
    assert reader.reading().drained_us == 0


def test_a_cut_watch_is_a_failure(reader, source):
    reader.submit(WATCH)
    news(reader)
    source.stream.chunks.put(TransportError("cut", reason="reset"))
    assert isinstance(news(reader), Failed)


def test_the_clusters_identity_is_asked_before_a_list_and_before_a_watch_that_wants_it(reader, source):
    reader.submit(List({}, is_first=True))
    news(reader)
    reader.submit(List({"continue": "t"}, is_first=False))
    news(reader)
    reader.submit(Watch({}, is_list=True))
    news(reader)
    assert source.calls == ["check", "list", "list", "check", "watch"]


def test_nothing_is_listed_from_another_cluster(reader, source):
    source.cluster_error = ClusterChangedError("dev", "one", "two")
    reader.submit(List({}, is_first=True))
    found = news(reader)
    assert isinstance(found, Failed)
    assert found.error is source.cluster_error
    assert source.calls == ["check"]


def test_a_failed_list_is_a_failure(reader, source):
    source.answer = StatusError(403, "Forbidden", "no")
    reader.submit(List({}, is_first=True))
    assert news(reader).error is source.answer


def test_an_error_event_ends_the_connection(reader, source):
    reader.submit(WATCH)
    news(reader)
    source.stream.chunks.put(b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n')
    assert news(reader).part.error.is_expired
    until(lambda: source.stream.is_closed)
    assert reader.take() is None


def test_what_a_cancelled_request_still_brings_is_dropped(reader, source):
    source.gate.clear()
    reader.submit(List({}, is_first=True))
    until(lambda: "list" in source.calls)
    reader.cancel()
    source.gate.set()
    reader.submit(WATCH)
    assert isinstance(news(reader), Opened)


def test_a_cancel_closes_the_connection_that_the_thread_waits_on(reader, source):
    reader.submit(WATCH)
    news(reader)
    until(lambda: reader.reading_since_s is not None)
    reader.cancel()
    until(lambda: source.stream.is_closed)
    source.stream = PlayedStream()
    reader.submit(WATCH)
    assert isinstance(news(reader), Opened)


def test_a_full_inbox_stops_the_reading_until_something_is_taken(reader, source):
    reader.submit(WATCH)
    news(reader)
    for n in range(40):
        source.stream.chunks.put(event("a", n, size=100_000))
    until(lambda: reader.inbox_bytes >= INBOX_BYTES_MAX)
    until(lambda: source.stream.reads == 12)
    time.sleep(0.05)
    assert source.stream.reads == 12  # eleven fill it, one more waits in the thread's hands
    assert reader.reading_since_s is None
    for _ in range(40):
        news(reader)
    assert source.stream.reads == 40


def test_a_cancel_frees_a_thread_that_waits_for_room(reader, source):
    reader.submit(WATCH)
    news(reader)
    for n in range(20):
        source.stream.chunks.put(event("a", n, size=100_000))
    until(lambda: reader.inbox_bytes >= INBOX_BYTES_MAX)
    reader.cancel()
    assert reader.inbox_bytes == 0
    source.stream = PlayedStream()
    reader.submit(WATCH)
    assert isinstance(news(reader), Opened)


def test_a_bug_is_reported_as_a_failure_of_the_stream(reader, source, caplog):
    source.answer = None
    reader.submit(List({}, is_first=True))
    assert "bug" in str(news(reader).error)


def test_nothing_counts_as_read_before_it_was_passed_on(source):
    """A proof of that moment would say of an event under way that it was sent."""
    seen = queue.Queue()

    def pass_on(number, batch, at_us):
        seen.put((at_us, made.reading()))
        return True

    made = Reader(
        "test",
        source,
        trim=None,
        counters=Counters(),
        clock=SystemClock(),
        wake=lambda: None,
        pass_on=pass_on,
    )
    made.submit(WATCH)
    assert isinstance(news(made), Opened)
    until(lambda: made.reading().is_waiting)
    source.stream.chunks.put(event("a", 2))
    at_us, reading = seen.get(timeout=5)
    assert reading.drained_us < at_us
    assert not reading.is_waiting
    until(lambda: made.reading().drained_us == at_us)
    assert made.take() is None
    made.close()
    assert made.join(5)


def test_what_was_read_together_has_the_time_of_its_first_bytes(source):
    clock = FakeClock()
    began_us = int(clock.wall_s() * 1_000_000)
    for version, name in enumerate("abc", 2):
        source.stream.chunks.put(event(name, version))
    reader = Reader("test", source, trim=None, counters=Counters(), clock=clock, wake=lambda: None, gather_s=0.5)
    reader.submit(WATCH)
    assert isinstance(news(reader), Opened)
    found = [news(reader), news(reader)]
    assert [([d.name for d in read.part.deltas], read.at_us) for read in found] == [
        (["a"], began_us),
        (["b", "c"], began_us),
    ]
    assert clock.now_s() == 0.5
    reader.close()
    assert reader.join(5)
