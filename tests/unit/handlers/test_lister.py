"""Reading caches: keys go to their shard, pages are followed, objects are decoded when looked into."""

import threading
from types import SimpleNamespace

import pytest

from deltawire.common.clock import FakeClock, SystemClock
from deltawire.common.errors import CapacityError, TransportError
from deltawire.common.meta.keys import shard_of
from deltawire.common.wire.messages.group import Problem, Rows, StoredRow
from deltawire.handlers import queries as queries_module
from deltawire.handlers.freshness import Freshness
from deltawire.handlers.lister import CachedObject, Lister
from deltawire.handlers.queries import Queries, RemoteShard


def row(key, labels=None, version="1"):
    import msgspec

    return SimpleNamespace(
        key=key, version=version, object=msgspec.json.encode({"metadata": {"labels": labels}})
    )


class Shards:
    """Four shards with pages of two rows."""

    shards = 4

    def __init__(self, *rows):
        self.rows = {r.key: r for r in rows}

    def source(self, shard):
        return _Shard([r for k, r in sorted(self.rows.items()) if shard_of(k, self.shards) == shard])


class _Shard:
    def __init__(self, rows):
        self.rows = rows

    def get(self, key):
        return next((r for r in self.rows if r.key == key), None)

    def page(self, prefix, after, limit):
        found = [r for r in self.rows if r.key.startswith(prefix) and r.key > after]
        return found[:2], found[1].key if len(found) > 2 else ""

    def index_page(self, name, value, after, limit):
        assert (name, value) == ("by-x", "x")
        return self.page("", after, limit)


@pytest.fixture
def lister():
    rows = [row(f"ns{n % 3}/pod-{n}", {"app": "web" if n % 2 else "db"}) for n in range(30)]
    return Lister(Shards(*rows, row("/node-1")), freshness=Freshness)


def test_get_asks_the_shard_of_the_key(lister):
    for n in range(30):
        assert lister.get(f"ns{n % 3}", f"pod-{n}").key == f"ns{n % 3}/pod-{n}"
    assert lister.get("ns0", "pod-1") is None


def test_cluster_scoped_objects_are_found_by_their_bare_name(lister):
    assert lister.get_key("node-1").name == "node-1"
    assert lister.get("", "node-1").key == "node-1"
    assert lister.keys("") == ["node-1"]


def test_lists_follow_all_pages_of_all_shards(lister):
    assert len(lister.list()) == 31
    assert len(lister.list("ns1")) == 10
    assert len(lister.keys()) == 31
    assert len(lister.by_index("by-x", "x")) == 31


def test_a_namespace_is_not_a_prefix_of_another():
    lister = Lister(Shards(row("ns/a"), row("ns-2/a")), freshness=Freshness)
    assert lister.keys("ns") == ["ns/a"]


def test_label_selectors_select(lister):
    assert len(lister.list("ns1", "app=web")) == 5
    assert len(lister.list(label_selector="app!=web")) == 16, "what lacks the label does not have this value"


def test_objects_are_decoded_only_when_looked_into():
    broken = CachedObject("ns/a", "7", b"{")
    assert (broken.key, broken.namespace, broken.name, broken.resource_version) == ("ns/a", "ns", "a", "7")
    with pytest.raises(ValueError):
        _ = broken["metadata"]


def test_a_cached_object_reads_like_the_object():
    obj = CachedObject("ns/a", "7", b'{"spec":{"x":1}}')
    assert (obj["spec"], dict(obj), len(obj), obj.get("status")) == ({"x": 1}, {"spec": {"x": 1}}, 1, None)
    assert obj.raw == b'{"spec":{"x":1}}'


def answering(queries, answers):
    """Plays the runner's loop: answers each question that is sent."""
    stop = threading.Event()

    def run():
        while not stop.wait(0.002):
            for question in queries.outgoing():
                queries.answered(answers(question))

    thread = threading.Thread(target=run)
    thread.start()
    return lambda: (stop.set(), thread.join())


def test_a_remote_shard_asks_its_worker():
    asked = []

    def answers(question):
        asked.append(question[1:])
        return Rows(question.id, [StoredRow("ns/a", "7", b"{}")], "ns/a" if question.verb == "list" else "")

    queries = Queries(lambda: None, clock=SystemClock())
    finish = answering(queries, answers)
    shard = RemoteShard(queries, 1, "dev/pods", 3)
    assert shard.get("ns/a").version == "7"
    assert shard.page("ns/", "", 10)[1] == "ns/a"
    assert [r.key for r in shard.index_page("by-x", "x", "", 10)[0]] == ["ns/a"]
    finish()
    assert asked == [
        (1, "dev/pods", 3, "get", ("ns/a",)),
        (1, "dev/pods", 3, "list", ("ns/", "", 10)),
        (1, "dev/pods", 3, "index", ("by-x", "x", "", 10)),
    ]


def test_what_a_worker_cannot_answer_is_an_error_with_its_reason():
    queries = Queries(lambda: None, clock=SystemClock())
    finish = answering(queries, lambda q: Problem(q.id, "no index by-x"))
    with pytest.raises(TransportError, match="worker 0 cannot read shard 2 of dev/pods: no index by-x"):
        RemoteShard(queries, 0, "dev/pods", 2).get("ns/a")
    finish()


def test_an_answer_that_does_not_come_is_an_error_after_a_while():
    clock = FakeClock()
    queries = Queries(lambda: None, clock=clock, timeout_s=5)
    errors = []

    def ask():
        try:
            queries.ask(0, "dev/pods", 0, "get", "ns/a")
        except TransportError as error:
            errors.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    while not clock.waiters():
        pass
    clock.advance(5.1)
    thread.join(10)
    assert errors[0].reason == "timeout"
    assert queries.outgoing() == [], "nobody waits for it any more"


def test_a_lost_session_sends_its_questions_again():
    queries = Queries(lambda: None, clock=SystemClock())
    results = []
    thread = threading.Thread(target=lambda: results.append(queries.ask(1, "dev/pods", 0, "get", "ns/a")))
    thread.start()
    while not (sent := queries.outgoing()):
        pass
    queries.lost(0)
    assert queries.outgoing() == []
    queries.lost(1)
    assert queries.outgoing() == sent
    queries.answered(Rows(sent[0].id, [], ""))
    thread.join(10)
    assert results[0].rows == []


def test_open_questions_are_bounded(monkeypatch):
    monkeypatch.setattr(queries_module, "QUERIES_MAX", 0)
    with pytest.raises(CapacityError):
        Queries(lambda: None, clock=SystemClock()).ask(0, "dev/pods", 0, "get", "ns/a")
