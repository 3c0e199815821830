"""Deltas on their way through a real broker on real sockets, and what it does when peers fail."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deltawire.common.limits import SHARD_DELTAS_MAX, STREAM_DELTAS_MAX
from deltawire.common.wire.codec import plain
from tests.support.fifo_rig import FakeReflector, FakeWorker, Rig

LISTED = ["begin:1", "R:a@10", "R:b@10", "end:1"]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.close()


def started(rig: Rig) -> tuple[FakeReflector, FakeWorker]:
    """A reflector and a worker that have taken a list of two objects at version 10."""
    reflector, worker = rig.reflector(), rig.worker()
    rig.wait(lambda: reflector.of_kind("start"), "a start")
    reflector.send_list(["a", "b"], "10", 1)
    rig.wait(lambda: worker.names() == LISTED, "the list")
    worker.store["dev/pods", 0].streams = {"*": ["10", "10", 1]}
    return reflector, worker


def test_a_list_and_a_watch_arrive_in_the_order_they_were_sent(rig: Rig) -> None:
    with rig.broker():
        reflector, worker = started(rig)
        assert reflector.of_kind("start")[0][:5] == ["dev/pods", "*", "", "", 1]
        reflector.deltas(["U", "a", "11"], ["D", "b", "12"], ["A", "b", "13"])
        rig.wait(lambda: len(worker.applied) == 7, "three changes")
        assert worker.names() == [*LISTED, "U:a@11", "D:b@12", "A:b@13"]


def test_a_mark_reaches_a_shard_that_has_nothing_else_to_do(rig: Rig) -> None:
    with rig.broker():
        reflector, worker = started(rig)
        reflector.link.send(plain("mark", "dev/pods", "*", "99"))
        rig.wait(lambda: any(pop[6] == [["*", "99"]] for pop in worker.of_kind("pop")), "the mark")


def test_what_a_dead_worker_had_not_committed_comes_again_in_order(rig: Rig) -> None:
    with rig.broker():
        reflector, worker = started(rig)
        worker.acks = False
        reflector.deltas(["U", "a", "11"], ["U", "b", "12"])
        rig.wait(lambda: len(worker.applied) == 6, "the first batch")
        # It will have committed this batch, and died before the ack. A pop of marks alone has no last delta.
        boot, last = max(((pop[2], pop[4]) for pop in worker.of_kind("pop")), key=lambda found: found[1])
        reflector.deltas(["U", "a", "13"])
        rig.wait(lambda: len(worker.applied) == 7, "the second batch")
        worker.commit("dev/pods", 0, boot, last)
        worker.vanish()
        successor = rig.worker()
        successor.store = worker.store
        rig.wait(lambda: successor.applied, "the redelivery")
        rig.settle()
        assert successor.names() == ["U:a@13"]
        assert len(reflector.of_kind("start")) == 1, "the watch was not touched"


def test_a_superseded_workers_late_ack_is_ignored_and_counted(rig: Rig) -> None:
    with rig.broker() as role:
        reflector, old = started(rig)
        old.acks = False
        reflector.deltas(["U", "a", "11"])
        rig.wait(lambda: old.names()[-1] == "U:a@11", "the change")
        old.freeze()
        new = rig.worker()
        new.store = old.store
        new.acks = False
        rig.wait(lambda: new.names() == ["U:a@11"], "the change at the successor")
        # The old one wakes up and acknowledges what it held.
        boot, number = old.of_kind("pop")[-1][2:5:2]
        old.link.send(plain("ack", "dev/pods", 0, boot, number))
        old.thaw()
        rig.settle()
        assert role.status()["informers"]["dev/pods"]["leased"] == 1
        rig.wait(lambda: old.refused, "a refusal")
        assert "taken over" in old.refused[0]
        assert role.status()["workers"] == ["worker-0"]


def test_a_stream_without_credit_stops_and_the_others_go_on(rig: Rig) -> None:
    with rig.broker() as role:
        both = ("dev/pods", "dev/nodes")
        reflector, worker = rig.reflector(informers=both), rig.worker(informers=both)
        rig.wait(lambda: len(reflector.of_kind("start")) == 2, "both starts")
        reflector.send_list([], "1", 1)
        reflector.send_list([], "1", 1, informer="dev/nodes")
        rig.wait(lambda: len(worker.applied) == 4, "both lists")
        worker.acks = False
        version = 1
        for _ in range(STREAM_DELTAS_MAX // 64):
            version += 64
            reflector.deltas(*(["U", f"p{i}", str(version)] for i in range(64)))
        rig.wait(
            lambda: role.status()["informers"]["dev/pods"]["blocked_streams"] == ["*"],
            "a stream without credit",
        )
        rig.settle()
        assert role.status()["informers"]["dev/pods"]["leased"] <= SHARD_DELTAS_MAX + 64
        assert not reflector.of_kind("credit")
        worker.acks = True
        reflector.deltas(["A", "node", "7"], informer="dev/nodes")
        rig.wait(lambda: "A:node@7" in worker.names(), "the other informer's change")
        assert role.status()["informers"]["dev/pods"]["blocked_streams"] == ["*"]
        # The worker catches up: the credit comes back.
        pops = [body for body in worker.of_kind("pop") if body[0] == "dev/pods" and body[4]]
        worker.link.send(plain("ack", "dev/pods", 0, pops[-1][2], pops[-1][4]))
        rig.wait(
            lambda: sum(credit[2] for credit in reflector.of_kind("credit")) >= STREAM_DELTAS_MAX * 7 // 8
        )


def test_a_worker_that_vanished_is_noticed_and_its_deltas_wait(rig: Rig) -> None:
    """A ROUTER drops silently what it cannot deliver; with ROUTER_MANDATORY it says so."""
    with rig.broker() as role:
        reflector, worker = started(rig)
        worker.vanish()
        for version in range(11, 61):
            reflector.deltas(["U", "a", str(version)])
            rig.turn()
        rig.wait(lambda: role.status()["shards_waiting"], "the loss")
        successor = rig.worker()
        successor.store = worker.store
        rig.wait(lambda: len(successor.applied) == 50, "fifty changes")
        assert successor.names() == [f"U:a@{version}" for version in range(11, 61)]


def test_a_frozen_worker_is_gone_after_three_silent_intervals(rig: Rig) -> None:
    with rig.broker() as role:
        _, worker = started(rig)
        worker.freeze()
        rig.wait(lambda: "dev/pods#0" in role.status()["shards_waiting"], "the silence")
        worker.thaw()
        rig.wait(lambda: worker.opened == 2, "a new session")
        rig.wait(lambda: "dev/pods#0" not in role.status()["shards_waiting"], "the shard")


def test_a_new_reflector_goes_on_at_the_version_that_was_accepted(rig: Rig) -> None:
    with rig.broker():
        reflector, worker = started(rig)
        worker.acks = False
        reflector.deltas(["U", "a", "11"])
        rig.wait(lambda: worker.names()[-1] == "U:a@11", "the change")
        reflector.vanish()
        successor = rig.reflector()
        rig.wait(lambda: successor.of_kind("start"), "a start")
        assert successor.of_kind("start")[0][2:5] == ["11", "11", 2]


def test_a_new_reflector_begins_a_cut_list_again(rig: Rig) -> None:
    with rig.broker():
        reflector, worker = started(rig)
        reflector.link.send(plain("begin", "dev/pods", "*", 2))
        rig.wait(lambda: worker.names()[-1] == "begin:2", "the begin")
        reflector.vanish()
        successor = rig.reflector()
        rig.wait(lambda: successor.of_kind("start"), "a start")
        assert successor.of_kind("start")[0][2:5] == ["", "10", 3]


def test_an_older_reflector_of_a_stream_is_told_to_stop(rig: Rig) -> None:
    with rig.broker() as role:
        old, worker = started(rig)
        new = rig.reflector("reflector-1")
        rig.wait(lambda: new.of_kind("start") and old.of_kind("stop"), "the change of hands")
        old.deltas(["U", "a", "666"])
        new.deltas(["U", "a", "11"])
        rig.wait(lambda: worker.names()[-1] == "U:a@11", "the new one's change")
        rig.settle()
        assert "U:a@666" not in worker.names()
        assert role.status()["late"] >= 1


def test_another_cluster_stops_the_streams_and_sweeps_nothing(rig: Rig) -> None:
    with rig.broker():
        reflector, worker = started(rig)
        reflector.link.send(plain("cluster", "dev", "another"))
        rig.wait(lambda: reflector.of_kind("stop"), "a stop")
        assert "another" in reflector.of_kind("stop")[0][2]
        reflector.send_list([], "5", 2)
        rig.settle()
        assert worker.names() == LISTED


def test_a_shard_of_another_cluster_gets_nothing(rig: Rig) -> None:
    with rig.broker():
        reflector, worker = rig.reflector(), rig.worker()
        worker.store["dev/pods", 0].cluster_id = "another"
        rig.wait(lambda: reflector.of_kind("stop"), "a stop")
        assert "belongs to cluster another" in reflector.of_kind("stop")[0][2]
        assert not reflector.of_kind("start")


FORGED = [
    ("deltas", ["dev/pods"]),
    ("deltas", ["dev/pods", "*", "11", 1, [["U", "ns", "n", "u", "11", "text"]]]),
    ("deltas", ["dev/pods", "*", "11", 1, [["X", "ns", "n", "u", "11", b""]]]),
    ("deltas", ["dev/pods", "*", "", 1, [["R", "ns", "n", "u", "11", b""]]]),
    ("deltas", ["dev/secrets", "*", "11", 1, []]),
    ("mark", ["dev/pods", "kube-system", "11"]),
    ("begin", ["dev/pods", "*", 1]),
    ("end", ["dev/pods", "*", 9, 0, "11"]),
    ("cluster", ["prod", "c1"]),
    ("ack", ["dev/pods", 0, "", 1]),
    ("launch", []),
]


@pytest.mark.parametrize(("kind", "body"), FORGED, ids=lambda value: str(value)[:40])
def test_a_forged_message_ends_its_senders_session_and_nothing_else(
    rig: Rig, kind: str, body: list[object]
) -> None:
    with rig.broker() as role:
        reflector, worker = started(rig)
        reflector.link.send(plain(kind, *body))
        rig.wait(lambda: reflector.opened == 2 and len(reflector.of_kind("start")) == 2, "a new session")
        assert role.status()["malformed"] == 1
        assert reflector.of_kind("start")[1][2] == "10"
        reflector.deltas(["U", "a", "11"])
        rig.wait(lambda: worker.names() == [*LISTED, "U:a@11"], "the next change")


def test_an_ack_of_what_was_not_sent_frees_nothing(rig: Rig) -> None:
    with rig.broker() as role:
        reflector, worker = started(rig)
        worker.acks = False
        reflector.deltas(["U", "a", "11"])
        rig.wait(lambda: worker.names()[-1] == "U:a@11", "the change")
        boot = worker.of_kind("pop")[-1][2]
        worker.link.send(plain("ack", "dev/pods", 0, boot, 10_000))
        rig.wait(lambda: worker.opened == 2, "a new session")
        rig.wait(lambda: worker.names()[-2:] == ["U:a@11", "U:a@11"], "the redelivery")
        assert role.status()["malformed"] == 1


def test_a_killed_broker_is_rebuilt_from_hellos(rig: Rig) -> None:
    rig.start_process()
    reflector, worker = started(rig)
    worker.acks = False
    reflector.deltas(["U", "a", "11"], ["U", "b", "12"])
    rig.wait(lambda: worker.names()[-1] == "U:b@12", "the changes")
    old_boot = worker.of_kind("pop")[-1][2]
    # Committed up to 11; 12 died with the broker.
    worker.commit("dev/pods", 0, old_boot, 4)
    worker.store["dev/pods", 0].streams = {"*": ["11", "12", 1]}
    rig.kill_process()
    rig.start_process()
    rig.wait(lambda: len(reflector.of_kind("start")) == 2, "a start by the new broker")
    assert reflector.lost and worker.lost
    assert reflector.of_kind("start")[1][:5] == ["dev/pods", "*", "11", "12", 2]
    worker.acks = True
    reflector.deltas(["U", "b", "12"])
    rig.wait(lambda: len(worker.applied) == 7, "the change again")
    assert worker.of_kind("pop")[-1][2] != old_boot
    assert worker.of_kind("pop")[-1][3] == 1, "numbers begin anew"


def test_a_broker_that_is_asked_to_leave_waits_for_the_acks_under_way(rig: Rig) -> None:
    rig.start_process()
    reflector, worker = started(rig)
    worker.acks = False
    reflector.deltas(["U", "a", "11"])
    rig.wait(lambda: worker.names()[-1] == "U:a@11", "the change")
    process = rig.start_draining()
    rig.settle()
    assert process.poll() is None
    boot, number = worker.of_kind("pop")[-1][2:5:2]
    worker.link.send(plain("ack", "dev/pods", 0, boot, number))
    rig.wait(lambda: process.poll() is not None, "its end")
    assert process.returncode == 0


def test_a_broker_leaves_after_its_deadline_also_without_acks(rig: Rig) -> None:
    rig.start_process()
    reflector, worker = started(rig)
    worker.acks = False
    reflector.deltas(["U", "a", "11"])
    rig.wait(lambda: worker.names()[-1] == "U:a@11", "the change")
    process = rig.start_draining()
    rig.wait(lambda: process.poll() is not None, "its end")
    assert process.returncode == 4
