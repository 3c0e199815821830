"""A stream's shell: what its machine decides is done, what its reader brings is published, errors are said."""

import logging

import pytest

from deltawire.common.clock import FakeClock
from deltawire.common.errors import ConfigError, StateError, StatusError, TransportError
from deltawire.common.limits import BATCH_DELTAS_MAX
from deltawire.reflector.action import Watch
from deltawire.reflector.backoff import Backoff
from deltawire.reflector.cluster import LOG_EVERY_S
from deltawire.reflector.driver import StreamDriver, code_of
from deltawire.reflector.identity import ClusterChangedError
from deltawire.reflector.list_plan import ServerTraits
from deltawire.reflector.machine import Machine
from deltawire.reflector.proof import Reading
from deltawire.reflector.reader import Closed, Failed, Opened, Read
from deltawire.reflector.split import Counters
from tests.support.messages import fields_of, kind_of
from tests.support.reflector_bench import EXPIRED, REFUSED, added, bookmark, marker

AT_US = 1_700_000_000_000_000


class PlayedReader:
    reading_since_s = None
    inbox_bytes = 0

    def __init__(self):
        self.news = []
        self.requests = []
        self.cancels = 0
        self.read = Reading()

    def submit(self, request):
        self.requests.append(request)

    def cancel(self, *, is_dead=False):
        self.cancels += 1
        self.news.clear()

    def take(self):
        return self.news.pop(0) if self.news else None

    def reading(self):
        return self.read

    def is_next(self, number):
        return number == len(self.requests) and not self.news

    def oldest_us(self):
        return next((news.at_us for news in self.news if isinstance(news, Read)), None)


class Stage:
    def __init__(self):
        self.clock = FakeClock()
        self.reader = PlayedReader()
        self.sent = []
        self.driver = StreamDriver(
            "dev/pods",
            "*",
            machine=Machine(Backoff(random=lambda: 0.0), ServerTraits(), lambda: 0.5),
            reader=self.reader,
            counters=Counters(),
            clock=self.clock,
            send=lambda message: self.sent.append((kind_of(message), *fields_of(message))) or True,
            before_publishing=lambda: self.sent.append(("cluster",)),
        )

    def start(self, resume="10", deltas=1000, size_bytes=1_000_000):
        self.driver.start(resume, "", 1, deltas, size_bytes)

    def bring(self, *news):
        self.reader.news += [Read(n, AT_US) if hasattr(n, "deltas") else n for n in news]
        return self.driver.turn()

    def kinds(self):
        return [message[0] for message in self.sent]


@pytest.fixture
def stage():
    return Stage()


def test_a_start_asks_for_the_watch(stage):
    stage.start("10")
    [request] = stage.reader.requests
    assert isinstance(request, Watch)
    assert stage.driver.status()["state"] == "opening"
    stage.bring(Opened())
    assert stage.driver.status()["state"] == "watching"


def test_what_is_ready_is_published_together_after_the_clusters_id(stage):
    stage.start()
    stage.bring(Opened(), added("11"), added("12"))
    assert stage.kinds() == ["cluster", "deltas"]
    _, informer, stream, version, at_us, rows = stage.sent[1]
    assert (informer, stream, version, at_us) == ("dev/pods", "*", "12", AT_US)
    assert [row[4] for row in rows] == ["11", "12"]


def test_a_list_is_published_as_begin_items_end(stage):
    stage.start("")
    stage.bring(marker("20", "a"))
    assert stage.kinds() == ["cluster", "begin", "deltas", "end"]


def test_without_credit_news_stay_with_the_reader(stage):
    stage.start(deltas=0, size_bytes=0)
    batches = [added(str(11 + n)) for n in range(2 * BATCH_DELTAS_MAX)]
    assert [stage.bring(*batches), *(stage.driver.turn() for _ in range(20))][-1] is False
    assert len(stage.reader.news) == BATCH_DELTAS_MAX
    assert stage.sent == []
    stage.driver.credit(1000, 1_000_000)
    while stage.driver.turn():
        pass
    assert sum(len(message[5]) for message in stage.sent if message[0] == "deltas") == 2 * BATCH_DELTAS_MAX


def test_a_turn_that_left_something_asks_for_another(stage):
    stage.start()
    assert stage.bring(*(added(str(11 + n)) for n in range(30)))
    assert not stage.driver.turn()


def test_a_lost_session_drops_what_waits_and_ends_the_request(stage):
    stage.start(deltas=0)
    stage.bring(added("11"))
    stage.driver.stop(None)
    stage.driver.credit(10, 1000)
    stage.driver.turn()
    assert stage.sent == []
    assert stage.reader.cancels == 1
    assert stage.driver.status()["state"] == "waiting"


def test_a_close_is_followed_by_a_watch_at_the_last_version(stage):
    stage.start()
    stage.bring(added("11"), bookmark("15"), Closed())
    assert stage.reader.requests[-1].params["resourceVersion"] == "15"


def test_an_error_is_in_the_status_until_it_is_over(stage):
    stage.start()
    stage.bring(Failed(REFUSED))
    status = stage.driver.status()
    assert (status["state"], status["error_code"], status["retry_in_s"]) == ("backoff", "refused", 0.8)
    assert "connection refused" in status["error"]
    stage.clock.advance(1)
    stage.driver.turn()
    stage.bring(Opened())
    assert (stage.driver.status()["error"], stage.driver.status()["error_code"]) == ("", "")


def test_the_same_error_is_logged_once_a_minute(stage, caplog):
    caplog.set_level(logging.WARNING)

    def fail():
        stage.bring(Failed(REFUSED))
        stage.clock.advance(29)
        stage.driver.turn()

    stage.start()
    fail()
    fail()
    assert len(caplog.records) == 1
    stage.clock.advance(LOG_EVERY_S)
    fail()
    assert len(caplog.records) == 2
    stage.bring(Failed(StatusError(403, "Forbidden", "pods is forbidden")))
    assert caplog.records[-1].getMessage() == "stream dev/pods@*: pods is forbidden"


def test_another_cluster_stops_the_stream_and_publishes_nothing_more(stage):
    stage.start(deltas=0)
    stage.bring(added("11"), Failed(ClusterChangedError("dev", "one", "two")))
    stage.driver.credit(10, 1000)
    stage.driver.turn()
    assert stage.sent == []
    assert stage.driver.status()["state"] == "stopped"
    assert "another one now: two, and was one" in stage.driver.status()["error"]


def test_a_stop_says_why(stage):
    stage.start()
    stage.driver.stop(StateError("out of space"))
    assert (stage.driver.status()["state"], stage.driver.status()["error"]) == ("stopped", "out of space")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (EXPIRED, "410"),
        (TransportError("bad certificate", reason="tls"), "tls"),
        (TransportError("no answer"), "transport"),
        (ConfigError("no such resource"), "config"),
    ],
)
def test_errors_have_a_word(error, code):
    assert code_of(error) == code
