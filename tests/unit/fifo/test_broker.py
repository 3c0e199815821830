"""The broker's decisions: who starts where, who may send, whose turn it is."""

from typing import Any

import pytest

from deltawire.common.limits import BATCH_BYTES_MAX, STREAM_DELTAS_MAX
from deltawire.fifo import broker as broker_module
from deltawire.fifo.actions import Refuse, Reset, Send, Side, Welcome
from deltawire.fifo.broker import Broker
from deltawire.fifo.in_order import InMemoryEngine
from deltawire.fifo.limits import MARK_EVERY_S, STRIKES_MAX
from tests.support.messages import fields_of, kind_of, tell

PODS, NODES = "dev/pods", "dev/nodes"
NOTHING: dict[str, list[Any]] = {}

# Why a reset is sent to who has lost something to a peer that is gone.
TAKEN = "what was taken over from it is free again"


class Desk:
    """A broker with short ways to speak to it; every answer is remembered in ``sent``."""

    def __init__(self, informers: dict[str, list[str]] | None = None, shards: int = 2) -> None:
        self.broker = Broker(informers or {PODS: ["*"]}, shards, boot="b1", engine=InMemoryEngine())
        self.shards = shards
        self.sent: list[Any] = []

    def _note(self, actions: list[Any]) -> list[Any]:
        self.sent += actions
        return actions

    def reflector(self, identity: bytes = b"r.1", *streams: tuple[str, str], cluster: str = "c1") -> None:
        mine = list(streams) or [(name, s) for name, i in self.broker.informers.items() for s in i.streams]
        body = {"streams": [list(stream) for stream in mine]}
        self._note(self.broker.hello(Side.REFLECTORS, identity, "reflector", identity.decode(), body))
        if cluster != "silent":
            self.from_reflector("cluster", "dev", cluster, identity=identity)

    def worker(self, identity: bytes = b"w.1", shards: list[int] | None = None) -> None:
        numbers = range(self.shards) if shards is None else shards
        body = {"shards": [[name, shard] for name in self.broker.informers for shard in numbers]}
        self._note(self.broker.hello(Side.WORKERS, identity, "informer", identity.decode(), body))

    def shard(self, number: int, streams: dict[str, list[Any]] = NOTHING, **said: Any) -> list[Any]:
        informer, identity = said.get("informer", PODS), said.get("identity", b"w.1")
        return self.from_worker(
            "shard",
            informer,
            number,
            said.get("cluster", "c1"),
            said.get("boot", ""),
            said.get("committed", 0),
            streams,
            said.get("address", ""),
            identity=identity,
        )

    def from_reflector(self, kind: str, *body: Any, identity: bytes = b"r.1") -> list[Any]:
        return self._note(tell(self.broker, Side.REFLECTORS, identity, kind, list(body)))

    def from_worker(self, kind: str, *body: Any, identity: bytes = b"w.1") -> list[Any]:
        return self._note(tell(self.broker, Side.WORKERS, identity, kind, list(body)))

    def deltas(self, version: int, count: int = 1, size: int = 2, informer: str = PODS) -> list[Any]:
        rows = [["U", "ns", f"n{i}", f"u{i}", str(version), b"x" * size] for i in range(count)]
        return self.from_reflector("deltas", informer, "*", str(version), 1, rows)

    def pump(self) -> list[Any]:
        return self._note(self.broker.pump())

    def of_kind(self, kind: str) -> list[tuple[Any, ...]]:
        return [fields_of(a.message) for a in self.sent if isinstance(a, Send) and kind_of(a.message) == kind]


def running(shards: int = 1, informers: dict[str, list[str]] | None = None) -> Desk:
    """All streams started at version 10."""
    desk = Desk(informers, shards)
    desk.reflector()
    desk.worker()
    for informer in desk.broker.informers.values():
        for number in range(shards):
            state = {stream: ["10", "10", 1] for stream in informer.streams}
            desk.shard(number, state, informer=informer.name)
    assert len(desk.of_kind("start")) == sum(len(i.streams) for i in desk.broker.informers.values())
    return desk


# Where a stream starts.

STARTS = [
    # what the shards say of the stream: [resume, floor, generation]; resume, floor, generation of the start
    ([["10", "10", 3], ["7", "12", 2]], ("7", "12", 4)),
    ([["10", "10", 3], ["", "12", 2]], ("", "12", 4)),
    ([["", "", 0], ["", "", 0]], ("", "", 1)),
    ([["9", "9", 1], ["10", "10", 1]], ("9", "10", 2)),  # as numbers
    ([["a", "a", 1], ["a", "a", 1]], ("a", "a", 2)),
    ([["a", "a", 1], ["b", "b", 1]], ("", "b", 2)),  # not decimal and not equal: a list
]


@pytest.mark.parametrize(("said", "expected"), STARTS)
def test_a_new_broker_starts_a_stream_at_the_lowest_resume_version_of_all_shards(
    said: list[list[Any]], expected: tuple[str, str, int]
) -> None:
    desk = Desk()
    desk.reflector()
    desk.worker()
    desk.shard(0, {"*": said[0]})
    assert not desk.of_kind("start"), "not before all shards have spoken"
    desk.shard(1, {"*": said[1]})
    assert [body[:5] for body in desk.of_kind("start")] == [(PODS, "*", *expected)]


def test_a_stream_that_a_shard_does_not_know_must_list() -> None:
    desk = Desk({PODS: ["a", "b"]}, shards=1)
    desk.reflector()
    desk.worker()
    desk.shard(0, {"a": ["10", "10", 1]})
    assert [body[1:3] for body in desk.of_kind("start")] == [("a", "10"), ("b", "")]


def test_a_living_broker_resumes_at_what_it_has_accepted_though_no_shard_is_there() -> None:
    desk = running()
    desk.deltas(15)
    desk.broker.gone(Side.WORKERS, b"w.1")
    desk.broker.gone(Side.REFLECTORS, b"r.1")
    desk.reflector(b"r.2")
    assert desk.of_kind("start")[-1][2:5] == ("15", "15", 3)


def test_a_list_that_was_cut_with_its_reflector_must_be_begun_again() -> None:
    desk = running()
    desk.from_reflector("begin", PODS, "*", 2)
    desk.broker.gone(Side.REFLECTORS, b"r.1")
    desk.reflector(b"r.2")
    assert desk.of_kind("start")[-1][2:5] == ("", "10", 3)


def test_a_list_of_one_namespace_leaves_the_other_stream_alone() -> None:
    desk = running(informers={PODS: ["a", "b"]})
    desk.from_reflector("begin", PODS, "b", 2)
    desk.from_reflector("mark", PODS, "a", "5000")
    desk.broker.gone(Side.REFLECTORS, b"r.1")
    desk.reflector(b"r.2")
    assert [body[1:3] for body in desk.of_kind("start")[-2:]] == [("a", "5000"), ("b", "")]


def test_a_list_below_the_floor_lowers_it() -> None:
    desk = running()
    desk.from_reflector("begin", PODS, "*", 2)
    desk.from_reflector("end", PODS, "*", 2, 0, "3")
    desk.broker.gone(Side.REFLECTORS, b"r.1")
    desk.reflector(b"r.2")
    assert desk.of_kind("start")[-1][2:4] == ("3", "3")


def test_opening_credit_is_what_the_queues_do_not_hold() -> None:
    desk = running()
    desk.deltas(11, count=100, size=5)
    desk.broker.gone(Side.REFLECTORS, b"r.1")
    desk.reflector(b"r.2")
    assert desk.of_kind("start")[-1][5] == STREAM_DELTAS_MAX - 100


# A shard that lacks what was acknowledged.


@pytest.mark.parametrize(
    ("said", "must_list"),
    [
        ({"boot": "b1", "number": 1, "streams": {"*": ["11", "11", 1]}}, False),
        ({"boot": "b1", "number": 0, "streams": {"*": ["10", "10", 1]}}, True),
        ({"boot": "b1", "number": 1, "streams": {}}, True),  # as after a change of the scope
        ({"boot": "b0", "number": 9, "streams": {"*": ["10", "10", 1]}}, True),
        ({"boot": "", "number": 0, "streams": {}}, True),
    ],
)
def test_a_shard_that_lacks_what_was_acknowledged_costs_a_list(said: dict[str, Any], must_list: bool) -> None:
    desk = running()
    desk.deltas(11)
    desk.pump()
    desk.from_worker("ack", PODS, 0, "b1", 1)
    desk.broker.gone(Side.WORKERS, b"w.1")
    desk.worker(b"w.2")
    desk.shard(0, said["streams"], boot=said["boot"], committed=said["number"], identity=b"w.2")
    assert [body[2] for body in desk.of_kind("start")] == (["10", ""] if must_list else ["10"])


def test_messages_from_before_a_second_start_are_dropped_until_the_list_begins() -> None:
    desk = running()
    desk.deltas(11)
    desk.pump()
    desk.from_worker("ack", PODS, 0, "b1", 1)
    desk.shard(0, {})
    assert desk.of_kind("start")[-1][2] == ""
    assert desk.deltas(12) == []
    desk.from_reflector("mark", PODS, "*", "13")
    assert desk.broker.counters.late == 2
    desk.from_reflector("begin", PODS, "*", 3)
    desk.from_reflector("end", PODS, "*", 3, 0, "14")
    assert [kind_of(action.message) for action in desk.pump()] == ["begin", "end"]


def test_a_shard_that_failed_stops_the_streams_until_it_is_back() -> None:
    desk = running()
    desk.from_worker("failed", PODS, 0, "no space left")
    assert "no space left" in desk.of_kind("stop")[0][2]
    desk.shard(0, {"*": ["10", "10", 1]})
    assert desk.of_kind("start")[-1][2] == "", "old messages may be under way: a list tells them apart"


# Clusters.


def test_workers_open_nothing_before_a_reflector_has_spoken_of_the_cluster() -> None:
    desk = Desk()
    desk.worker()
    desk.reflector(cluster="silent")
    assert desk.of_kind("open") == []
    desk.from_reflector("cluster", "dev", "c1")
    assert desk.of_kind("open") == [(PODS, "c1", "")]


def test_without_an_answer_of_the_cluster_the_last_known_state_is_opened_and_its_id_told_before_streams_start() -> (
    None
):
    desk = Desk(shards=1)
    desk.reflector(cluster="")
    desk.worker()
    assert desk.of_kind("open") == [(PODS, "", "")]
    assert desk.of_kind("start") == []
    told = desk.shard(0, {"*": ["10", "10", 1]}, address="a-1")
    assert [(kind_of(a.message), fields_of(a.message)[:3]) for a in told] == [
        ("cluster", ("dev", "c1", "a-1")),
        ("start", (PODS, "*", "10")),
    ]


def test_a_reflector_that_joins_is_told_what_is_known_of_its_clusters() -> None:
    desk = running()
    desk.sent.clear()
    desk.reflector(b"r.2", cluster="silent")
    assert desk.of_kind("cluster") == [("dev", "c1", "")]


def test_a_uid_takes_the_place_of_the_address_it_was_read_at_and_no_stream_is_touched() -> None:
    desk = Desk(shards=1)
    desk.reflector(cluster="silent")
    desk.from_reflector("cluster", "dev", "a-1", "a-1")
    desk.worker()
    desk.shard(0, {"*": ["10", "10", 1]}, cluster="a-1", address="a-1")
    desk.sent.clear()
    desk.from_reflector("cluster", "dev", "c1", "a-1")
    assert desk.of_kind("open") == [(PODS, "c1", "a-1")]
    desk.shard(0, {"*": ["10", "10", 1]}, cluster="c1", address="a-1")
    assert (desk.of_kind("stop"), desk.of_kind("start")) == ([], [])
    desk.deltas(11)
    assert [kind_of(a.message) for a in desk.pump()] == ["pop"]


def test_an_address_stands_for_the_uid_that_was_read_at_it() -> None:
    desk = Desk(shards=1)
    desk.reflector(cluster="")
    desk.worker()
    desk.shard(0, {"*": ["10", "10", 1]}, address="a-1")
    desk.sent.clear()
    desk.from_reflector("cluster", "dev", "a-1", "a-1")
    assert desk.of_kind("stop") == []
    assert desk.of_kind("cluster") == [("dev", "c1", "a-1")]
    desk.from_reflector("cluster", "dev", "a-2", "a-2")
    assert len(desk.of_kind("stop")) == 1


def test_a_worker_that_knows_no_cluster_waits_for_its_id() -> None:
    desk = Desk(shards=1)
    desk.reflector(cluster="")
    desk.worker()
    desk.shard(0, cluster="")
    desk.from_reflector("cluster", "dev", "c1")
    assert desk.of_kind("open") == [(PODS, "", ""), (PODS, "c1", "")]


def test_another_cluster_than_the_stored_one_stops_the_streams_and_lets_nothing_through() -> None:
    desk = Desk(shards=1)
    desk.reflector(cluster="")
    desk.worker()
    desk.shard(0, {"*": ["10", "10", 1]}, cluster="c1")
    desk.from_reflector("cluster", "dev", "c2")
    assert len(desk.of_kind("stop")) == 1
    desk.from_reflector("begin", PODS, "*", 5)
    desk.from_reflector("end", PODS, "*", 5, 0, "1")
    assert desk.pump() == []
    # It was started for the stored cluster: which one answers is looked at before anything is asked.
    assert len(desk.of_kind("start")) == 1


# Turns, windows, marks.


def test_a_full_informer_leaves_the_others_their_turns() -> None:
    desk = running(informers={PODS: ["*"], NODES: ["*"]})
    for version in range(11, 15):
        desk.deltas(version, count=8, size=BATCH_BYTES_MAX // 4)
    desk.deltas(11, informer=NODES)
    names = [action.message.informer for action in desk.pump()]
    assert names.count(NODES) == 1
    assert names.index(NODES) < 4, "after one slice of the other"
    while desk.broker.has_work:
        desk.pump()
    assert sum(len(body[5]) for body in desk.of_kind("pop") if body[0] == PODS) == 32


def test_a_shard_is_sent_no_more_than_its_window() -> None:
    desk = running()
    for version in range(11, 41):
        desk.deltas(version, count=64)
    while desk.broker.has_work:
        desk.pump()
    assert desk.broker.leased == 1024
    last = desk.of_kind("pop")[-1][4]
    desk.from_worker("ack", PODS, 0, "b1", last)
    while desk.broker.has_work:
        desk.pump()
    assert desk.of_kind("pop")[-1][4] == 30 * 64
    assert sum(body[2] for body in desk.of_kind("credit")) == 1024


def test_marks_alone_are_sent_at_most_each_interval() -> None:
    desk = running()
    desk.broker.tick(0.0)
    sent = []
    for turn in range(100):
        now_s = 1.0 + turn * 0.01
        desk.from_reflector("mark", PODS, "*", str(100 + turn))
        sent += desk.broker.tick(now_s)
    assert len(sent) == round(1.0 / MARK_EVERY_S)
    assert fields_of(sent[0].message)[3:] == (0, 0, [], [("*", "100")])


def test_a_mark_behind_an_end_is_not_forgotten() -> None:
    desk = running()
    desk.from_reflector("begin", PODS, "*", 2)
    desk.from_reflector("end", PODS, "*", 2, 0, "20")
    desk.from_reflector("mark", PODS, "*", "30")
    desk.broker.tick(0.0)
    while desk.broker.has_work:
        desk.pump()
    assert desk.broker.due_s == MARK_EVERY_S
    [mark] = desk.broker.tick(MARK_EVERY_S)
    assert mark.message.marks == [("*", "30")]


def test_a_mark_that_was_lost_with_its_worker_is_sent_to_the_next() -> None:
    desk = running()
    desk.from_reflector("mark", PODS, "*", "99")
    assert len(desk.broker.tick(1.0)) == 1
    desk.broker.gone(Side.WORKERS, b"w.1")
    desk.worker(b"w.2")
    desk.shard(0, {"*": ["10", "10", 1]}, identity=b"w.2")
    [mark] = desk.broker.tick(2.0)
    assert (mark.identity, mark.message.marks) == (b"w.2", [("*", "99")])


def test_lists_that_are_cut_for_ever_are_stopped_at_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deltawire.fifo.shards.BARRIERS_MAX", 6)
    desk = running()
    desk.broker.gone(Side.WORKERS, b"w.1")
    for generation in range(2, 12):
        desk.from_reflector("begin", PODS, "*", generation)
        desk.from_reflector("end", PODS, "*", generation, 0, "20")
    assert len(desk.of_kind("stop")) == 1
    assert desk.broker.informers[PODS].shards[0].queue.barriers == 6


# Hellos and forged messages.

HELLOS = [
    (Side.REFLECTORS, "reflector", {"streams": [["dev/secrets", "*"]]}),
    (Side.REFLECTORS, "reflector", {"streams": [[PODS, "kube-system"]]}),
    (Side.REFLECTORS, "reflector", {"streams": PODS}),
    (Side.REFLECTORS, "reflector", {}),
    (Side.REFLECTORS, "handler", {"streams": []}),
    (Side.WORKERS, "informer", {"shards": [[PODS, 2]]}),
    (Side.WORKERS, "informer", {"shards": [[PODS, -1]]}),
    (Side.WORKERS, "informer", {"shards": [[PODS, "0"]]}),
    (Side.WORKERS, "reflector", {"shards": []}),
]


@pytest.mark.parametrize(("side", "role", "body"), HELLOS)
def test_a_hello_that_names_what_is_not_configured_is_refused(
    side: Side, role: str, body: dict[str, Any]
) -> None:
    desk = Desk()
    [answer] = desk.broker.hello(side, b"x.1", role, "x", body)
    assert isinstance(answer, Refuse)
    assert desk.broker.reflectors.names == desk.broker.workers.names == []


FORGED: list[tuple[Side, str, list[Any]]] = [
    (Side.REFLECTORS, "deltas", [PODS, "*", "11", 1]),
    (Side.REFLECTORS, "deltas", [PODS, "*", "11", 1, [["U", "ns", "n", "u", "11"]]]),
    (Side.REFLECTORS, "deltas", [PODS, "*", "11", 1, [["U", "ns", "", "u", "11", b""]]]),
    (Side.REFLECTORS, "deltas", [PODS, "*", "11", -1, []]),
    (Side.REFLECTORS, "deltas", [PODS, "*", "", 1, [["R", "ns", "n", "u", "11", b""]]]),
    (Side.REFLECTORS, "mark", [PODS, "*", ""]),
    (Side.REFLECTORS, "begin", [PODS, "*", 1]),
    (Side.REFLECTORS, "begin", [PODS, "*", 2**63]),
    (Side.REFLECTORS, "end", [PODS, "*", 2, 0, "11"]),
    (Side.REFLECTORS, "ack", [PODS, 0, "b1", 1]),
    (Side.REFLECTORS, "cluster", ["prod", "c1"]),
    (Side.WORKERS, "ack", [PODS, 0, "b1", 99]),
    (Side.WORKERS, "ack", [PODS, 7, "b1", 1]),
    (Side.WORKERS, "shard", [PODS, 0, "c1", "b1", 99, {}]),
    (Side.WORKERS, "shard", [PODS, 0, "c1", "", 0, {"*": ["1"]}]),
    (Side.WORKERS, "pop", []),
]


@pytest.mark.parametrize(("side", "kind", "body"), FORGED)
def test_a_forged_message_is_taken_for_nothing_and_resets_its_sender(
    side: Side, kind: str, body: list[Any]
) -> None:
    desk = running()
    identity = b"r.1" if side is Side.REFLECTORS else b"w.1"
    answers = tell(desk.broker, side, identity, kind, body)
    assert [type(answer) for answer in answers] == [Reset]
    assert desk.broker.counters.malformed == 1
    assert desk.pump() == []
    assert tell(desk.broker, side, identity, kind, body) == []
    assert desk.broker.counters.late == 1


def test_one_bad_delta_spoils_its_whole_message() -> None:
    desk = running()
    rows = [["U", "ns", "good", "u", "11", b""], ["U", "ns", "bad", "u", "11", None]]
    desk.from_reflector("deltas", PODS, "*", "11", 1, rows)
    assert desk.broker.informers[PODS].shards[0].queue.depth == 0


def test_a_list_with_a_missing_item_does_not_sweep() -> None:
    desk = running()
    desk.from_reflector("begin", PODS, "*", 2)
    desk.from_reflector("deltas", PODS, "*", "", 1, [["R", "ns", "a", "u", "5", b""]])
    [answer] = desk.from_reflector("end", PODS, "*", 2, 2, "20")
    assert isinstance(answer, Reset)
    desk.pump()
    assert desk.of_kind("end") == []


def test_a_delta_of_another_namespace_than_its_stream_is_refused() -> None:
    desk = running(informers={PODS: ["a"]})
    [answer] = desk.from_reflector("deltas", PODS, "a", "11", 1, [["U", "b", "n", "u", "11", b""]])
    assert isinstance(answer, Reset)


def test_who_goes_on_sending_malformed_messages_is_refused() -> None:
    desk = Desk()
    for _ in range(STRIKES_MAX):
        desk.reflector()
        desk.from_reflector("nonsense")
    desk.reflector(cluster="silent")
    assert isinstance(desk.sent[-1], Refuse)
    desk.sent.clear()
    desk.reflector(cluster="silent")
    assert isinstance(desk.sent[0], Welcome)


def test_an_ack_of_another_brokers_life_is_late() -> None:
    desk = running()
    desk.deltas(11)
    desk.pump()
    desk.from_worker("ack", PODS, 0, "b0", 1)
    assert desk.broker.leased == 1
    assert desk.broker.counters.late == 1


def test_a_draining_broker_takes_nothing_and_sends_nothing_but_counts_acks() -> None:
    desk = running()
    desk.deltas(11)
    desk.pump()
    desk.broker.drain()
    desk.deltas(12)
    assert desk.pump() == []
    desk.from_worker("ack", PODS, 0, "b1", 1)
    assert desk.broker.leased == 0
    desk.worker(b"w.2")
    assert isinstance(desk.sent[-1], Refuse)


def test_the_list_of_those_with_strikes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_module, "STRIKERS_MAX", 2)
    desk = Desk()
    for number in range(5):
        identity = f"r.{number}".encode()
        desk.reflector(identity)
        desk.from_reflector("nonsense", identity=identity)
    assert len(desk.broker._strikes) == 2


def test_two_names_of_one_cluster_stop_the_second_with_both_names() -> None:
    desk = Desk({PODS: ["*"], "prod/pods": ["*"]}, shards=1)
    desk.reflector()
    desk.from_reflector("cluster", "prod", "c1")
    desk.worker()
    desk.shard(0)
    assert [body[0] for body in desk.of_kind("open")] == [PODS], "one cache has one writer"
    assert [body[0] for body in desk.of_kind("start")] == [PODS]
    ((informer, _, reason),) = desk.of_kind("stop")
    assert informer == "prod/pods"
    assert "clusters dev and prod of the config are one cluster (c1)" in reason


def test_what_was_taken_over_comes_back_when_the_winner_leaves() -> None:
    desk = running(shards=2)
    desk.worker(b"w.2", shards=[0])
    desk.reflector(b"r.2")
    assert desk.broker.gone(Side.WORKERS, b"w.2") == [Reset(Side.WORKERS, b"w.1", TAKEN)]
    assert desk.broker.gone(Side.REFLECTORS, b"r.2") == [Reset(Side.REFLECTORS, b"r.1", TAKEN)]
    # Each says hello again, as a reset asks for, and has everything as before.
    desk.sent.clear()
    for side, identity in ((Side.WORKERS, b"w.1"), (Side.REFLECTORS, b"r.1")):
        desk.broker.gone(side, identity)
    desk.reflector()
    desk.worker()
    for number in range(2):
        desk.shard(number, {"*": ["10", "10", 1]})
    assert [body[:3] for body in desk.of_kind("start")] == [(PODS, "*", "10")]


def test_a_loser_that_has_left_is_not_called_back() -> None:
    desk = running()
    desk.worker(b"w.2")
    desk.broker.gone(Side.WORKERS, b"w.1")
    assert desk.broker.gone(Side.WORKERS, b"w.2") == []


def test_a_list_without_a_version_is_taken_and_the_next_start_lists_again() -> None:
    desk = running()
    desk.from_reflector("begin", PODS, "*", 2)
    desk.from_reflector("deltas", PODS, "*", "", 1, [["R", "ns", "n", "u", "", b"{}"]])
    desk.from_reflector("end", PODS, "*", 2, 1, "")
    desk.from_reflector("deltas", PODS, "*", "", 1, [["U", "ns", "n", "u", "", b"{2}"]])
    desk.pump()
    assert [body[-1] for body in desk.of_kind("end")] == [""]
    assert desk.of_kind("reset") == []
    last = desk.of_kind("pop")[-1]
    desk.from_worker("ack", PODS, 0, "b1", last[4])
    # A worker that comes back has all that it acknowledged: nothing is listed for it.
    desk.worker(b"w.2")
    desk.shard(0, {"*": ["", "10", 2]}, identity=b"w.2", boot="b1", committed=last[4])
    assert len(desk.of_kind("start")) == 1
    desk.reflector(b"r.2")
    assert desk.of_kind("start")[-1][2] == ""
