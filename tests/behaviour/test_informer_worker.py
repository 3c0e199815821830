"""The worker's process around its cores, on real sockets: a broker and handlers that a test moves by hand."""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from deltawire.common.clock import SystemClock
from deltawire.common.config.load import load
from deltawire.common.config.plan import Plan
from deltawire.common.errors import ProtocolError, StateError
from deltawire.common.store.reader import ShardReader
from deltawire.common.wire.codec import plain
from deltawire.common.wire.heartbeat import Heartbeat
from deltawire.common.wire.identity import new_identity
from deltawire.common.wire.link import Arrived, Link
from deltawire.common.wire.listener import Listener
from deltawire.common.wire.listener_events import Arrived as FromWorker
from deltawire.common.wire.listener_events import Gone, Hello
from deltawire.informer.groups.events import GAP
from deltawire.informer.main import Worker
from tests.support.messages import said
from tests.support.patience import Patience, wait_until
from tests.support.shard_rig import body_of

PODS = "dev/pods"
NODES = "dev/nodes"


class Broker:
    """The fifo's end of `fifo-out`: hand-made batches."""

    def __init__(self, rig: "Rig") -> None:
        self.rig = rig
        self.listener = Listener(rig.context, rig.plan.endpoint("fifo-out"), clock=rig.clock, silent_s=2.0)
        self.identity = b""
        self.shards: list[tuple[str, int]] = []
        self.heard: list[tuple[str, list[Any]]] = []
        self.number = 0

    def turn(self) -> None:
        self.listener.tick()
        for event in self.listener.receive():
            if isinstance(event, Hello):
                self.identity = event.peer.identity
                self.shards = [tuple(pair) for pair in event.peer.body["shards"]]
                self.listener.welcome(event.peer)
            elif isinstance(event, FromWorker):
                self.heard.append(said(event.message))
            elif isinstance(event, Gone):
                self.identity = b""

    def said(self, kind: str) -> list[list[Any]]:
        return [body for heard, body in self.heard if heard == kind]

    def send(self, kind: str, *body: Any) -> None:
        assert self.listener.send(self.identity, plain(kind, *body))

    def open(self, cluster_id: str = "c1", informer: str = PODS) -> list[Any]:
        """Tell the worker to open, and what it says of its shard."""
        known = len(self.said("shard"))
        self.rig.until(lambda: bool(self.identity), "a hello of the worker")
        self.send("open", informer, cluster_id)
        self.rig.until(lambda: len(self.said("shard")) > known, "the shard's state")
        return self.said("shard")[-1]

    def list(
        self, version: str, *items: tuple[str, str, str], informer: str = PODS, generation: int = 1
    ) -> None:
        self.number += 1
        self.send("begin", informer, 0, "b1", self.number, "*", generation)
        if items:
            self.pop(*(("R", *item) for item in items), informer=informer)
        self.number += 1
        self.send("end", informer, 0, "b1", self.number, "*", generation, len(items), version)

    def pop(self, *deltas: tuple[str, str, str, str], informer: str = PODS) -> None:
        first, rows = self.number + 1, []
        for kind, key, uid, version in deltas:
            self.number += 1
            delta = [self.number, kind, "*", uid, version, int(time.time() * 1e6), body_of(key, uid, version)]
            rows.append([*key.split("/"), [delta]])
        self.send("pop", informer, 0, "b1", first, self.number, rows, [])

    def acked(self) -> int:
        return max((body[3] for body in self.said("ack")), default=0)


class Replica:
    """A handler process."""

    def __init__(self, rig: "Rig", group: str, **options: Any) -> None:
        self.heard: list[tuple[str, list[Any]]] = []
        self.hello = {"group": group, "informers": [PODS], "delivery": "latest", "held": []} | options
        identity = new_identity("handler", f"{group}-0")
        self.link = Link(
            rig.context,
            rig.plan.endpoint("worker-0"),
            identity,
            lambda: self.hello,
            clock=rig.clock,
            silent_s=2.0,
        )
        rig.heartbeat.watch(self.link)

    def turn(self) -> None:
        for event in [*self.link.tick(), *self.link.receive()]:
            if isinstance(event, Arrived):
                self.heard.append(said(event.message))

    def said(self, kind: str) -> list[list[Any]]:
        return [body for heard, body in self.heard if heard == kind]

    def events(self) -> list[list[Any]]:
        return [event for body in self.said("events") for event in body[2]]

    def acknowledge(self, *events: list[Any]) -> None:
        rows = [[event[1], event[0], event[7], 0, 0, ""] for event in events]
        assert self.link.send(plain("acks", PODS, 0, rows))


class Rig:
    """One config, one worker in a thread. ``more``: further parts of the config."""

    def __init__(self, folder: Path, **more: Any) -> None:
        self.clock = SystemClock()
        # Unix socket paths are short, pytest's folders are not.
        self.runtime_dir = Path(tempfile.mkdtemp(prefix="dw-"))
        self.config = folder / "config.json"
        self.config.write_bytes(
            msgspec.json.encode(
                {
                    "version": 1,
                    "clusters": {"dev": {}},
                    "store": {"dir": str(folder / "state"), "shards": 1},
                    "runtime": {
                        "dir": str(self.runtime_dir),
                        "workers": 1,
                        "heartbeat": 0.5,
                        "drain_deadline": 1,
                    },
                    "informers": [{"resource": "pods"}, {"resource": "nodes"}],
                    **more,
                }
            )
        )
        self.plan = Plan(load(self.config))
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.heartbeat = Heartbeat(self.context, 0.5)
        self.heartbeat.start()
        self.turning: list[Any] = []
        self.worker: Worker | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.codes: list[int] = []

    def start(self) -> Worker:
        worker = self.worker = Worker(self.plan, 0, "worker-0")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: self.codes.append(worker.run(self._stop)))
        self._thread.start()
        return worker

    def stop(self) -> None:
        if self._thread is not None:
            self._stop.set()
            patience = Patience(10)
            while self._thread.is_alive() and not patience.is_over():
                self.turn()
            self._thread.join(5)
            assert not self._thread.is_alive()
            self._thread = None

    def broker(self) -> Broker:
        broker = Broker(self)
        self.turning.append(broker)
        return broker

    def replica(self, group: str = "g", **options: Any) -> Replica:
        replica = Replica(self, group, **options)
        self.turning.append(replica)
        return replica

    def turn(self) -> None:
        for one in self.turning:
            one.turn()
        time.sleep(0.002)

    def until(self, done: Callable[[], Any], what: str, seconds: float = 10.0) -> None:
        wait_until(done, what, seconds=seconds, turn=self.turn)

    def close(self) -> None:
        self.stop()
        self.heartbeat.stop()
        for one in self.turning:
            (one.listener if isinstance(one, Broker) else one.link).close()
        self.context.destroy(linger=0)
        shutil.rmtree(self.runtime_dir)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.close()


def test_a_replica_whose_acks_may_be_late_is_asked_when_a_change_waits_for_one(rig: Rig) -> None:
    rig.start()
    broker = rig.broker()
    late, other = rig.replica("late", late=True, delivery="every"), rig.replica("other", delivery="every")
    broker.open()
    broker.list("100", ("a/k", "u1", "50"), ("a/l", "u2", "51"))
    rig.until(lambda: len(late.events()) == len(other.events()) == 2, "the events")
    assert late.said("acks-wanted") == []
    broker.pop(("U", "a/k", "u1", "101"))
    rig.until(lambda: late.said("acks-wanted"), "the question")
    assert late.said("acks-wanted") == [[PODS, ["a/k"]]]
    for replica in (late, other):
        replica.acknowledge(replica.events()[0])
        rig.until(lambda: len(replica.events()) == 3, "the change")  # noqa: B023
    assert other.said("acks-wanted") == []


def test_a_replica_that_is_full_of_large_objects_is_asked_for_the_acks_of_all(rig: Rig) -> None:
    rig.start()
    broker, replica = rig.broker(), rig.replica(late=True, window_bytes=1)
    broker.open()
    broker.list("100", ("a/k", "u1", "50"), ("a/l", "u2", "51"))
    rig.until(lambda: replica.said("acks-wanted"), "the question")
    assert len(replica.events()) == 1
    replica.acknowledge(*replica.events())
    rig.until(lambda: len(replica.events()) == 2, "the other event")
    assert replica.said("acks-wanted") == [[PODS, []]]


def test_what_is_popped_is_stored_acknowledged_and_told(rig: Rig) -> None:
    rig.start()
    broker, replica = rig.broker(), rig.replica()
    assert broker.open() == [PODS, 0, "c1", "", 0, {"*": ["", "", 0]}, ""]
    broker.list("100", ("a/k", "u1", "50"))
    rig.until(lambda: replica.said("events"), "the event")
    (event,) = replica.events()
    assert event[1:5] == ["a/k", "A", "u1", "50"]
    rig.until(lambda: broker.acked() >= 2, "the ack, which may be late")
    replica.acknowledge(event)
    rig.until(lambda: replica.said("synced"), "the end of the initial list")
    rig.stop()
    assert rig.codes == [0]
    reader = ShardReader(Path(replica.said("opened")[0][3]))
    assert reader.get("a/k") is not None
    reader.close()


def test_a_restarted_worker_says_how_far_it_is_and_sends_nothing_twice(rig: Rig) -> None:
    rig.start()
    broker, replica = rig.broker(), rig.replica()
    broker.open()
    broker.list("100", ("a/k", "u1", "50"))
    rig.until(replica.events, "the event")
    replica.acknowledge(*replica.events())
    rig.until(lambda: replica.said("synced"), "the end of the initial list")
    rig.stop()
    rig.until(lambda: not broker.identity, "the worker to be gone")
    rig.start()
    assert broker.open() == [PODS, 0, "c1", "b1", 3, {"*": ["100", "100", 1]}, ""]
    broker.pop(("U", "a/k", "u1", "101"))
    rig.until(lambda: len(replica.events()) > 1, "the update")
    assert [event[2:5] for event in replica.events()[1:]] == [["U", "u1", "101"]]


def test_a_worker_waits_for_no_ack_of_a_replica_that_has_left(rig: Rig) -> None:
    rig.start()
    broker, replica = rig.broker(), rig.replica()
    broker.open()
    broker.list("100", ("a/k", "u1", "50"))
    rig.until(replica.events, "the event")
    # It went before it saw the event.
    replica.link.send(plain("bye"))
    rig.turning.remove(replica)
    rig.stop()
    assert rig.codes == [0]


def test_another_cluster_is_refused_and_nothing_is_swept(rig: Rig) -> None:
    worker = rig.start()
    broker = rig.broker()
    broker.open("c1")
    broker.list("100", ("a/k", "u1", "50"))
    rig.until(lambda: broker.acked() == 3, "the list to be stored")
    broker.send("open", PODS, "c2")
    rig.until(lambda: broker.said("failed"), "a refusal")
    assert "cluster c1" in broker.said("failed")[0][2]
    assert worker.status()["informers"][PODS]["shards"]["0"]["objects"] == 1


def test_the_last_known_cluster_is_opened_while_the_api_server_is_away(rig: Rig) -> None:
    rig.start()
    broker = rig.broker()
    broker.open("c1")
    rig.stop()
    rig.until(lambda: not broker.identity, "the worker to be gone")
    rig.start()
    assert broker.open("")[2] == "c1"


def test_an_informer_that_fails_leaves_the_others_running(rig: Rig, tmp_path: Path) -> None:
    # Where the nodes' cache should be, there is a file.
    (tmp_path / "state" / "c1").mkdir(parents=True)
    (tmp_path / "state" / "deltawire.json").write_bytes(msgspec.json.encode({"schema": 1, "shards": 1}))
    (tmp_path / "state" / "c1" / "nodes").write_text("not a folder")
    worker = rig.start()
    broker = rig.broker()
    rig.until(lambda: bool(broker.identity), "a hello")
    broker.send("open", NODES, "c1")
    rig.until(lambda: broker.said("failed"), "the failure to be told")
    broker.open()
    broker.list("100", ("a/k", "u1", "50"))
    rig.until(lambda: broker.acked() == 3, "the list to be stored")
    status = worker.status()["informers"]
    assert status[NODES]["error"]
    assert not status[PODS]["error"]


def test_a_lister_that_cannot_read_the_files_asks(rig: Rig) -> None:
    rig.start()
    broker, replica = rig.broker(), rig.replica()
    broker.open()
    broker.list("100", ("a/k", "u1", "50"), ("a/l", "u2", "51"))
    rig.until(replica.events, "the events")
    replica.link.send(plain("query", 1, PODS, 0, "get", ["a/k"]))
    replica.link.send(plain("query", 2, PODS, 0, "list", ["a/", "", 1]))
    replica.link.send(plain("query", 3, PODS, 0, "index", ["namespace", "a", "a/k", 10]))
    replica.link.send(plain("query", 4, PODS, 0, "index", ["by-colour", "red", "", 10]))
    replica.link.send(plain("query", 5, PODS, 7, "get", ["a/k"]))
    rig.until(lambda: len(replica.said("rows")) == 3 and len(replica.said("problem")) == 2, "the answers")
    answers = {body[0]: body for body in replica.said("rows")}
    assert [row[0] for row in answers[1][1]] == ["a/k"]
    assert ([row[0] for row in answers[2][1]], answers[2][2]) == (["a/k"], "a/k")
    assert [row[0] for row in answers[3][1]] == ["a/l"]
    assert "by-colour" in replica.said("problem")[0][1]


def test_a_malformed_message_ends_its_session_only(rig: Rig) -> None:
    worker = rig.start()
    broker, rogue, replica = rig.broker(), rig.replica("rogue"), rig.replica("g")
    broker.open()
    rig.until(lambda: rogue.said("opened") and replica.said("opened"), "both groups")
    rogue.link.send(plain("acks", PODS, 0, [["a/k", "not a number"]]))
    rogue_opened = len(rogue.said("opened"))
    rig.until(lambda: len(rogue.said("opened")) > rogue_opened, "the rogue to come back with a new session")
    broker.list("100", ("a/k", "u1", "50"))
    rig.until(replica.events, "events for the other group")
    assert worker.status()["malformed"] >= 1


def test_a_hello_for_what_is_not_configured_is_refused(rig: Rig) -> None:
    worker = rig.start()
    broker, replica = rig.broker(), rig.replica("g", informers=["dev/secrets"])
    broker.open()
    for _ in range(50):
        rig.turn()
    assert not replica.link.is_open
    assert worker.status()["groups"] == {}


def test_a_second_worker_on_the_same_state_is_refused(rig: Rig) -> None:
    rig.start()
    with pytest.raises(StateError, match="in use"):
        Worker(rig.plan, 0, "worker-0")


def test_dead_letters_can_be_listed_shown_retried_and_dropped(rig: Rig) -> None:
    worker = rig.start()
    broker, replica = rig.broker(), rig.replica()
    broker.open()
    broker.list("100", ("a/k", "u1", "50"))
    rig.until(replica.events, "the event")
    (event,) = replica.events()
    replica.link.send(plain("acks", PODS, 0, [[event[1], event[0], event[7], 2, 0, "no use"]]))
    rig.until(lambda: worker.status()["groups"]["g"][PODS]["dead"] == 1, "the dead letter")
    assert worker.status()["groups"]["g"][PODS]["pending"] == 0


def test_a_held_call_that_ends_before_its_shard_opens_is_over(rig: Rig) -> None:
    rig.start()
    broker, replica = rig.broker(), rig.replica()
    broker.open()
    broker.list("100", ("a/k", "u1", "50"))
    rig.until(replica.events, "the event")
    (event,) = replica.events()
    replica.hello["held"] = [[PODS, 0, "a/k", event[0], event[7]]]
    rig.stop()
    rig.until(lambda: not (broker.identity or replica.link.is_open), "the worker to be gone")

    worker = rig.start()
    rig.until(lambda: replica.link.is_open and broker.identity, "a session before the shard is open")
    replica.acknowledge(event)
    replica.link.send(plain("query", 1, PODS, 0, "get", ["a/k"]))
    rig.until(lambda: replica.said("problem"), "the worker to have read the ack, and no shard to be there")
    broker.open()

    def group() -> dict[str, Any]:
        found: dict[str, Any] = worker.status()["groups"].get("g", {}).get(PODS, {})
        return found

    rig.until(lambda: group().get("replicas"), "the replica to have joined")
    # `pending` is exact at rest: once the shard was scanned for the replica.
    rig.until(lambda: (group()["in_flight"], group()["pending"]) == (0, 0), "nothing of it to be pending")
    broker.pop(("U", "a/k", "u1", "101"))
    rig.until(lambda: len(replica.events()) > 1, "the next event of the key")


def test_a_replica_that_must_say_hello_again_lives_and_what_it_held_has_not_failed(rig: Rig) -> None:
    worker = rig.start()
    broker, replica = rig.broker(), rig.replica()
    broker.open()
    broker.list("100", ("a/k", "u1", "50"))
    rig.until(replica.events, "the event")
    replica.link.send(plain("acks", "no list of acks"))
    rig.until(lambda: worker.status()["malformed"] == 1, "the malformed message to be found")
    rig.until(lambda: worker.status()["groups"]["g"][PODS]["failed"] == 0, "no failure")
    rig.until(lambda: len(replica.events()) > 1, "the event to come again")
    assert worker.status()["groups"]["g"][PODS]["failed"] == 0


def informer_of(worker: Worker) -> dict[str, Any]:
    return dict(worker.status()["informers"][PODS])


def test_what_is_proven_is_claimed_once_all_before_it_is_stored_and_handlers_hear_of_it(rig: Rig) -> None:
    worker = rig.start()
    broker, replica = rig.broker(), rig.replica()
    broker.open()
    assert informer_of(worker)["as_of"] == 0, "not known after a start"
    broker.list("100", ("a/k", "u1", "50"))
    rig.until(replica.events, "the event")
    now_us = int(time.time() * 1e6)
    broker.send("proof", [[PODS, "*", [now_us, now_us - 5, 150_000_000], [0]]])
    rig.until(lambda: informer_of(worker)["as_of"] == now_us, "the claim")
    assert broker.acked() >= 2
    assert informer_of(worker)["stale_at"] == now_us - 5 + 150_000_000
    rig.until(
        lambda: any([PODS, [now_us, now_us - 5, 150_000_000]] in rows for (rows,) in replica.said("proof")),
        "the handler's message",
    )
    group = worker.status()["groups"]["g"][PODS]
    assert (group["as_of"], group["pending"]) == (0, 1), "stored, and not handled yet"
    replica.acknowledge(*replica.events())
    rig.until(
        lambda: worker.status()["groups"]["g"][PODS]["as_of"] == now_us, "what was stored then is handled"
    )


def test_a_group_that_lags_is_known_to_be_done_up_to_an_earlier_time(rig: Rig) -> None:
    worker = rig.start()
    broker, replica = rig.broker(), rig.replica()
    broker.open()
    broker.list("100", ("a/k", "u1", "50"))
    rig.until(replica.events, "the first event")
    times = [1_000_000, 2_000_000, 3_000_000]
    for i, at_us in enumerate(times):
        broker.send("proof", [[PODS, "*", [at_us, at_us, 150_000_000], [0]]])
        rig.until(lambda: informer_of(worker)["as_of"] == at_us, "stored up to here")  # noqa: B023  # at once
        broker.pop(("A", f"a/n{i}", f"n{i}", f"10{i + 1}"))
    rig.until(lambda: len(replica.events()) == 4, "the events")
    replica.acknowledge(*[e for e in replica.events() if e[1] == "a/k"])
    rig.until(lambda: worker.status()["groups"]["g"][PODS]["as_of"] == times[0], "done up to the first")
    replica.acknowledge(*[e for e in replica.events() if e[1] != "a/k"])
    broker.send("proof", [[PODS, "*", [4_000_000, 4_000_000, 150_000_000], [0]]])
    rig.until(lambda: worker.status()["groups"]["g"][PODS]["as_of"] == 4_000_000, "done up to now")


def test_an_informer_that_stands_still_claims_nothing(rig: Rig) -> None:
    worker = rig.start()
    broker, _ = rig.broker(), rig.replica()
    broker.open()
    broker.list("100")
    broker.send("proof", [[PODS, "*", [1_000_000, 1_000_000, 150_000_000], [0]]])
    rig.until(lambda: informer_of(worker)["as_of"] == 1_000_000, "the claim")
    # Numbers that cannot follow: the store may be another one, so the informer stops.
    broker.send("pop", PODS, 0, "b1", 900, 900, [["a", "x", [[900, "A", "*", "u", "x", 1, b"{"]]]], [])
    broker.send("begin", PODS, 0, "b1", 902, "nowhere", 7)
    rig.until(lambda: informer_of(worker)["error"], "the error")
    assert (informer_of(worker)["as_of"], worker.status()["groups"]["g"][PODS]["as_of"]) == (0, 0)


def test_a_proof_for_what_is_not_ours_stops_the_worker_as_any_such_message(rig: Rig) -> None:
    rig.start()
    broker = rig.broker()
    broker.open()
    rig.until(lambda: rig.worker is not None, "the worker")
    assert rig.worker is not None
    link = rig.worker._broker
    with pytest.raises(ProtocolError):
        link.take(Arrived(plain("proof", [[PODS, "*", [1, 1, 1], [7]]])))
    with pytest.raises(ProtocolError):
        link.take(Arrived(plain("proof", [[PODS, "*", [1, 1], [0]]])))


def test_a_relist_is_told_to_an_every_group_until_it_is_seen(rig: Rig) -> None:
    worker = rig.start()
    broker, first = rig.broker(), rig.replica(delivery="every")
    broker.open()
    broker.list("100", ("a/k", "u1", "50"))
    rig.until(first.events, "the add")
    first.acknowledge(*first.events())
    broker.list("200", ("a/k", "u1", "150"), generation=2)
    rig.until(lambda: first.said("gap"), "the notice")
    (gap,) = first.said("gap")
    assert [gap[0], gap[1], *gap[3:8]] == [PODS, 0, "relist", "*", 2, "100", "200"]
    rig.until(lambda: len(first.events()) == 2, "the update")
    assert first.events()[1][8] & GAP
    assert worker.status()["groups"]["g"][PODS]["gaps"] == 2  # the event and the notice
    first.acknowledge(first.events()[1])
    first.link.send(plain("bye"))
    rig.turning.remove(first)
    second = rig.replica(delivery="every")
    rig.until(lambda: second.said("gap"), "the notice, which nobody has seen")
    assert gap[-1] == 1, "nobody was told before"
    assert second.said("gap") == [[*gap[:-1], 2]]
    second.link.send(plain("gap-seen", *gap[:3]))
    rig.until(lambda: not worker.informers[PODS].shards[0].groups["g"].gaps.waiting, "it to be seen")
    first.link.close()
