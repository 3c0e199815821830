"""P8 on the model itself: who falls silent, stops or fails withdraws each claim that needs it, in every face of it."""

from collections.abc import Callable
from typing import Any

import pytest

from deltawire.cli.supervisor.metrics import exposition
from deltawire.cli.supervisor.readyz import core, readyz
from deltawire.cli.supervisor.shape import GroupShape, Shape
from deltawire.cli.supervisor.status_types import ProcessStatus, Snapshot
from deltawire.cli.view import lines, status, summary
from tests.support.reports import (
    BOUND_US,
    GROUP,
    INFORMER,
    SHAPE,
    SILENT_S,
    Watched,
    fifo,
    handler,
    healthy,
    reflector,
    us,
    worker,
)

Fault = Callable[[Watched], None]


def killed(name: str) -> Fault:
    """Its end is seen."""
    return lambda made: made.gone(name)


def silent(name: str) -> Fault:
    """Stopped, or its loop stands while its beats go on: no report comes, and the others' do."""

    def fault(made: Watched) -> None:
        for _ in range(int(SILENT_S) + 1):
            made.later(1.0)
            made.all_say(but=(name,))

    return fault


def reports(name: str, make: Callable[[float], dict[str, Any]]) -> Fault:
    return lambda made: made.say(name, make(made.now_s))


def of_worker(**changes: Any) -> Fault:
    return reports("worker-1", lambda now_s: worker(1, now_s, **changes))


def forgets(now_s: float) -> dict[str, Any]:
    """A worker whose shards are not open."""
    return worker(1, now_s) | {"informers": {INFORMER: {}}}


def loses_the_broker(now_s: float) -> dict[str, Any]:
    return worker(1, now_s) | {"broker": {"open": False}}


def stuck(now_s: float) -> dict[str, Any]:
    """A broker whose queue on NATS takes nothing."""
    return fifo(now_s) | {"nats": {"problem": FULL, "stuck": {INFORMER: FULL}}}


FULL = "dev/pods is not published: maximum bytes exceeded"
def standby(now_s: float, **said: Any) -> dict[str, Any]:
    """A worker that waits for a place of another host."""
    return {"role": "informer", "pid": 1, "at": us(now_s), "standby": {"host": "3f2a9c01aa", "node": "n2"} | said}


PIPELINE_FAULTS = {
    **{f"{name} killed": killed(name) for name in ("reflector-0", "fifo", "worker-0", "worker-1")},
    **{f"{name} silent": silent(name) for name in ("reflector-0", "fifo", "worker-0", "worker-1")},
    "a stream backs off": reports("reflector-0", lambda s: reflector(s, state="backoff", watching=False)),
    "a watch is refused": reports("reflector-0", lambda s: reflector(s, watching=False, error="403")),
    "another cluster": reports("reflector-0", lambda s: reflector(s, state="stopped", watching=False)),
    "a stream is unknown": reports("reflector-0", lambda s: reflector(s) | {"streams": {}}),
    "a shard is not connected": reports("fifo", lambda s: fifo(s, shards_open=1)),
    "its queue on NATS is full": reports("fifo", stuck),
    "another host has its shards": reports("worker-1", standby),
    "a cache is not open": reports("worker-1", forgets),
    "max_bytes": of_worker(informer={"error": "dev/pods holds too many bytes", "as_of": 0}),
    "the disk is full": of_worker(informer={"error": "No space left on device"}),
    "the list goes on": of_worker(shards={"stored": False}),
    "never listed": of_worker(shards={"listed": False}),
    "the worker has lost the broker": reports("worker-1", loses_the_broker),
    "nothing proven after a start": of_worker(pid=2, as_of_s=-1.0),
}
GROUP_FAULTS = {
    "the replica killed": killed(f"{GROUP}-0"),
    "the replica silent": silent(f"{GROUP}-0"),
    "a worker has no session with it": of_worker(replicas=[]),
    "it has not seen everything": of_worker(synced=False),
}


def faces(snapshot: Snapshot) -> dict[str, bool]:
    """Each face's word: is it ready?"""
    metrics = exposition(snapshot).decode()
    return {
        "readyz": readyz(snapshot)[0] == 200,
        "cluster": readyz(snapshot, "cluster=dev")[0] == 200,
        "json": snapshot.as_plain()["ready"],
        "text": "not ready" not in status.render(snapshot)[0],
        "line": "not ready" not in lines.render(snapshot),
        "metrics": "\ndeltawire_ready 1.0\n" in metrics,
        "handler's metric": f'deltawire_handler_ready{{handler="{GROUP}"}} 1.0' in metrics,
        "summary": summary.as_json(snapshot)["ready"],
    }


def test_a_healthy_pipeline_is_ready_in_every_face() -> None:
    found = healthy().snapshot()
    assert all(faces(found).values()), faces(found)
    assert found.groups[GROUP].pending == 0
    assert found.as_of == us(3.0) - 1
    assert (found.unready, found.core_faults) == ([], [])


@pytest.mark.parametrize("name", [*PIPELINE_FAULTS, *GROUP_FAULTS])
def test_a_part_that_is_not_well_withdraws_readiness_in_every_face(name: str) -> None:
    made = healthy()
    (PIPELINE_FAULTS | GROUP_FAULTS)[name](made)
    found = made.snapshot()
    assert not any(faces(found).values()), faces(found)
    assert found.unready
    if name in PIPELINE_FAULTS:
        assert not found.informers[INFORMER].synced
        assert not found.informers[INFORMER].fresh
    else:
        assert found.informers[INFORMER].synced, "a handler's trouble is not its cache's"


@pytest.mark.parametrize("name", [*PIPELINE_FAULTS, *GROUP_FAULTS])
def test_readiness_comes_back_only_with_what_is_proven_after_the_trouble(name: str) -> None:
    made = healthy()
    (PIPELINE_FAULTS | GROUP_FAULTS)[name](made)
    made.later(0.5)
    trouble_s = made.now_s
    made.later(0.5)
    made.say("reflector-0", reflector(made.now_s))
    made.say("fifo", fifo(made.now_s))
    made.say(f"{GROUP}-0", handler(made.now_s))
    for shard in (0, 1):
        made.say(f"worker-{shard}", worker(shard, made.now_s, as_of_s=1.0))
    assert not made.snapshot().ready, "all are back, what they have proven is old"
    made.later(0.1)
    for shard in (0, 1):
        made.say(f"worker-{shard}", worker(shard, made.now_s))
    found = made.snapshot()
    assert found.ready, found.unready
    assert (found.as_of or 0) > us(trouble_s)


@pytest.mark.parametrize(
    "name",
    ["fifo killed", "fifo silent", "worker-1 killed", "worker-1 silent", "max_bytes", "a cache is not open"],
)
def test_pending_is_unknown_where_one_who_counts_is_not_heard(name: str) -> None:
    made = healthy()
    PIPELINE_FAULTS[name](made)
    found = made.snapshot()
    assert found.groups[GROUP].pending is None
    assert "deltawire_handler_pending{" not in exposition(found).decode()
    assert f"{GROUP} 0/0 pending ? dead ?" in lines.render(found)
    assert "pending unknown" in readyz(found, "verbose")[1]
    assert found.as_plain()["groups"][GROUP]["pending"] is None


def test_nothing_pending_is_claimed_only_as_of_a_time_that_is_proven() -> None:
    made = healthy()
    made.say("worker-1", worker(1, made.now_s, as_of_s=-1.0, pending=0))
    assert made.snapshot().groups[GROUP].pending is None
    made.say("worker-1", worker(1, made.now_s, as_of_s=-1.0, pending=7))
    assert made.snapshot().groups[GROUP].pending == 7


def test_reports_that_waited_while_the_supervisor_stood_still_are_as_old_as_they_are() -> None:
    made = healthy()
    made.later(60.0)
    assert not made.snapshot().ready
    # They were made a minute ago, and all arrive now.
    for name, report in {
        "reflector-0": reflector(4.0),
        "fifo": fifo(4.0),
        f"{GROUP}-0": handler(4.0),
    }.items():
        made.say(name, report)
    for shard in (0, 1):
        made.say(f"worker-{shard}", worker(shard, 4.0))
    assert not made.snapshot().ready
    assert made.snapshot().groups[GROUP].pending is None


def test_a_group_without_replicas_is_off_and_not_unready() -> None:
    off = Shape(SHAPE.informers, SHAPE.workers, {GROUP: GroupShape([INFORMER], is_off=True)})
    made = Watched(off)
    for _ in range(3):
        made.later(1.0)
        made.all_say(but=(f"{GROUP}-0",))
    found = made.snapshot()
    assert found.ready
    assert found.groups[GROUP].off
    assert "off" in readyz(found, "verbose")[1]
    assert "deltawire_handler_ready{" not in exposition(found).decode()


def test_one_replica_that_is_heard_is_enough() -> None:
    made = healthy()
    both = [f"{GROUP}-0", f"{GROUP}-1"]
    made.say(f"{GROUP}-1", handler(made.now_s))
    for shard in (0, 1):
        made.say(f"worker-{shard}", worker(shard, made.now_s, replicas=both))
    made.gone(f"{GROUP}-0")
    assert made.snapshot().ready


def test_an_informer_is_fresh_until_its_slowest_proof_is_too_old() -> None:
    made = healthy()
    old = {"proof_at": us(0.0), "stale_at": us(0.0) + BOUND_US}
    while made.now_s < BOUND_US / 1e6 - 1:
        made.later(1.0)
        made.all_say()
        made.say("worker-1", worker(1, made.now_s, informer=old))
    assert made.snapshot().ready
    made.later(1.0)
    made.all_say()
    made.say("worker-1", worker(1, made.now_s, informer=old))
    found = made.snapshot()
    assert found.informers[INFORMER].synced
    assert not found.informers[INFORMER].fresh
    assert not found.ready
    assert found.unready == [f"{INFORMER}: the API server was last heard 150 s ago"]


def test_a_clock_that_is_set_back_withdraws_nothing_for_as_long() -> None:
    made = healthy()
    made.gone("worker-1")
    hour = 3_600_000_000
    model, now_s = made.model, made.now_s
    for second in (1.0, 2.0):
        wall_us = us(now_s + second) - hour
        model.tick(now_s + second, wall_us)
        for name, report in {"reflector-0": reflector(0), "fifo": fifo(0), f"{GROUP}-0": handler(0)}.items():
            model.on_status(name, report | {"at": wall_us}, now_s + second, wall_us)
        for shard in (0, 1):
            said = worker(shard, now_s + second - hour / 1e6)
            model.on_status(f"worker-{shard}", said, now_s + second, wall_us)
    found = model.snapshot(up_s=1.0, wall_us=us(now_s + 2.0) - hour, processes={}, kills={})
    assert found.ready, found.unready


def test_the_core_is_the_processes_and_their_caches_whatever_the_api_server_and_handlers_do() -> None:
    made = healthy()
    for fault in (PIPELINE_FAULTS["a stream backs off"], GROUP_FAULTS["the replica killed"]):
        fault(made)
    assert core(made.snapshot())[0] == 200
    for name in ("reflector-0 killed", "fifo silent", "worker-1 killed", "max_bytes"):
        made = healthy()
        PIPELINE_FAULTS[name](made)
        code, body = core(made.snapshot())
        assert code == 503, name
        assert "not ready" in body


def test_readyz_answers_for_one_cluster_and_knows_no_other() -> None:
    two = Shape(
        {INFORMER: {"*": "reflector-0"}, "far/pods": {"*": "reflector-1"}}, SHAPE.workers, dict(SHAPE.groups)
    )
    made = Watched(two)
    for _ in range(3):
        made.later(1.0)
        made.all_say()
    found = made.snapshot()
    assert readyz(found)[0] == 503
    assert readyz(found, "cluster=dev") == (200, "ready\n")
    assert readyz(found, "cluster=far")[0] == 503
    assert readyz(found, "cluster=near")[0] == 404


@pytest.mark.parametrize("knows", ["no cache of it yet", "its cache"])
def test_a_group_over_two_clusters_is_ready_in_the_one_that_is_well(knows: str) -> None:
    """The other was never reached, so that workers have no cache of it, or it is away now."""
    far = "far/pods"
    two = Shape(
        {INFORMER: {"*": "reflector-0"}, far: {"*": "reflector-1"}},
        SHAPE.workers,
        {GROUP: GroupShape([INFORMER, far])},
    )
    made = Watched(two)
    for _ in range(3):
        made.later(1.0)
        made.all_say()
        made.say("reflector-1", reflector(made.now_s, state="backoff", watching=False))
        if knows == "its cache":
            for shard in (0, 1):
                said = worker(shard, made.now_s)
                said["informers"][far] = said["informers"][INFORMER]
                said["groups"][GROUP][far] = said["groups"][GROUP][INFORMER]
                made.say(f"worker-{shard}", said)
    found = made.snapshot()
    group = found.groups[GROUP]
    assert not group.ready
    assert group.why == f"{far} is not synced"
    assert (group.clusters["dev"].ready, group.clusters["dev"].why) == (True, "")
    assert (group.clusters["far"].ready, group.clusters["far"].why) == (False, f"{far} is not synced")
    assert readyz(found, "cluster=dev") == (200, "ready\n")
    code, body = readyz(found, "cluster=far")
    assert code == 503
    assert f"[-] handler {GROUP} in far: synced no, {far} is not synced" in body
    assert readyz(found)[0] == 503


def test_a_group_of_one_cluster_has_no_claims_by_cluster() -> None:
    assert healthy().snapshot().groups[GROUP].clusters == {}


def test_a_group_over_two_clusters_without_a_replica_is_ready_in_none() -> None:
    two = Shape(
        {INFORMER: {"*": "reflector-0"}, "far/pods": {"*": "reflector-0"}},
        SHAPE.workers,
        {GROUP: GroupShape([INFORMER, "far/pods"])},
    )
    made = Watched(two)
    for _ in range(3):
        made.later(1.0)
        made.all_say()
    made.gone(f"{GROUP}-0")
    found = made.snapshot()
    assert found.groups[GROUP].clusters["dev"].why == "no replica of it is heard"
    assert readyz(found, "cluster=dev")[0] == 503


def test_readyz_says_a_line_for_each_part_where_it_is_asked_to() -> None:
    code, body = readyz(healthy().snapshot(), "verbose")
    assert code == 200
    assert f"[+] informer {INFORMER}: synced yes, fresh yes" in body
    assert f"[+] handler {GROUP}: synced yes, pending 0" in body


def test_a_process_whose_beats_go_on_and_that_does_not_report_is_silent() -> None:
    made = healthy()
    silent("worker-1")(made)
    processes = {"worker-1": ProcessStatus(role="informer", state="ready")}
    assert made.snapshot(**processes).processes["worker-1"].state == "silent"
    made.all_say()
    assert made.snapshot(**processes).processes["worker-1"].state == "ready"


def test_who_is_not_heard_is_named_before_what_follows_from_it() -> None:
    made = healthy()
    silent("worker-1")(made)
    made.say("fifo", fifo(made.now_s, shards_open=1))
    assert made.snapshot().unready == [f"{name}: worker-1 is not heard" for name in (INFORMER, GROUP)]


def test_nats_is_named_by_readyz_where_it_is_the_cause() -> None:
    made = healthy()
    made.say("reflector-0", reflector(made.now_s, state="waiting", watching=False))
    made.say("fifo", stuck(made.now_s))
    found = made.snapshot(fifo=ProcessStatus(role="fifo", state="ready"))
    assert f"its queue on NATS stands still: {FULL}" in readyz(found)[1]
    assert f"[-] fifo: {FULL}" in readyz(found, "verbose")[1]
    # Who restarts processes for it mends nothing.
    assert core(found)[0] == 200


READY = {"worker-1": ProcessStatus(role="informer", state="ready")}


def test_a_standby_says_who_has_its_shards_and_is_no_fault_of_the_core() -> None:
    made = healthy()
    made.say("worker-1", standby(made.now_s))
    found = made.snapshot(**READY)
    owner = "host n2 (3f2a9c01) has its shards"
    assert (found.processes["worker-1"].state, found.processes["worker-1"].standby) == ("standby", owner)
    assert f"{INFORMER}: worker-1 is a standby here, {owner}" in found.unready
    assert core(found) == (200, f"worker-1 is a standby: {owner}\nready\n")
    assert f"[+] worker-1 is a standby: {owner}" in readyz(found, "verbose")[1]
    assert f"STANDBY worker-1: {owner}" in status.render(found)
    assert 'deltawire_process_ready{process="worker-1",role="informer"} 1.0' in exposition(found).decode()
    assert "is not heard" not in readyz(found, "verbose")[1]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"host": "", "node": ""}, "no host has its shards"),
        ({"problem": "the connection is lost"}, "it is not known which host has its shards: the connection is lost"),
        (
            {"host": "", "waits_for": "n1 (aa)", "left_s": 590},
            "its archive is new: host n1 (aa), which had its shards last, is waited for (590 s more;"
            " `deltawire shards move --anew` begins without it)",
        ),
    ],
)
def test_a_standby_whose_shards_no_other_host_is_known_to_have_is_a_fault_of_the_core(
    said: dict[str, Any], why: str
) -> None:
    made = healthy()
    made.say("worker-1", standby(made.now_s, **said))
    found = made.snapshot(**READY)
    assert found.core_faults == [f"worker-1 waits: {why}"]
    assert core(found)[0] == 503


def test_a_standby_that_is_not_heard_is_silent() -> None:
    made = healthy()
    made.say("worker-1", standby(made.now_s))
    for _ in range(int(SILENT_S) + 1):
        made.later(1.0)
        made.all_say(but=("worker-1",))
    found = made.snapshot(**READY)
    assert (found.processes["worker-1"].state, found.processes["worker-1"].standby) == ("silent", "")
    assert "worker-1 is not heard" in found.core_faults
