"""Reports of roles become one status: sums over workers, counters that survive restarts, what is missing is zero."""

from typing import Any

import pytest

from deltawire.cli.supervisor.counters import Rate
from deltawire.cli.supervisor.status_model import StatusModel
from deltawire.cli.supervisor.status_types import Snapshot

NAME = "dev/pods"


def model() -> StatusModel:
    return StatusModel([NAME], {"printer": [NAME]}, shards=2, started_us=1_000_000)


def snapshot(made: StatusModel) -> Snapshot:
    return made.snapshot(state="running", up_s=5.0, wall_us=10_000_000, processes={}, kills={})


def reflector(pid: int = 1, **stream: Any) -> dict[str, Any]:
    return {"role": "reflector", "pid": pid, "streams": {f"{NAME}@*": {"state": "watching", **stream}}}


def worker(shard: int, pid: int = 1, **group: Any) -> dict[str, Any]:
    shards = {str(shard): {"objects": 10, "bytes": 100, "listed": True, "stored": True}}
    return {
        "role": "informer",
        "pid": pid,
        "informers": {NAME: {"shards": shards, "applied": 7, "lag_ms": float(shard)}},
        "groups": {"printer": {NAME: {"synced": True, "replicas": ["printer-0"], **group}}},
    }


def test_workers_add_up() -> None:
    made = model()
    made.on_status("worker-0", worker(0, delivered=5, acknowledged=4, pending=1), 1.0)
    made.on_status("worker-1", worker(1, delivered=3, acknowledged=3), 1.0)
    found = snapshot(made)
    informer, group = found.informers[NAME], found.groups["printer"]
    assert (informer.objects, informer.bytes, informer.applied, informer.lag_ms) == (20, 200, 14, 1.0)
    assert (group.delivered, group.acknowledged, group.pending, group.replicas) == (8, 7, 1, 1)
    assert found.synced


def test_an_informer_is_synced_only_when_every_shard_was_heard_of() -> None:
    made = model()
    made.on_status("worker-0", worker(0), 1.0)
    assert not snapshot(made).informers[NAME].synced
    assert made.not_synced() == [f"{NAME}: not synced"]


def test_counters_go_on_over_a_restart() -> None:
    made = model()
    made.on_status("reflector-0", reflector(1, lists=1, watches=2, events=100), 1.0)
    made.on_status("reflector-0", reflector(1, lists=1, watches=3, events=150), 2.0)
    made.on_status("reflector-0", reflector(2, lists=0, watches=1, events=10), 3.0)
    stream = snapshot(made).streams[f"{NAME}@*"]
    assert (stream.lists, stream.watches, stream.events) == (1, 4, 160)


def test_gauges_are_those_of_the_present_life() -> None:
    made = model()
    made.on_status("worker-0", worker(0, pid=1, delivered=5, pending=9), 1.0)
    made.on_status("worker-0", worker(0, pid=2, delivered=1, pending=2), 2.0)
    group = snapshot(made).groups["printer"]
    assert (group.delivered, group.pending) == (6, 2)


def test_what_a_role_does_not_tell_counts_as_zero() -> None:
    made = model()
    made.on_status("worker-0", {"role": "informer", "informers": {NAME: {}}}, 1.0)
    made.on_status("fifo", {"role": "fifo"}, 1.0)
    made.on_status("reflector-0", {"role": "reflector", "streams": {f"{NAME}@*": {}}}, 1.0)
    found = snapshot(made)
    assert found.totals.published == found.totals.acknowledged == 0
    assert not found.synced


def test_queues_are_empty_when_nothing_waits_and_nothing_is_pending() -> None:
    made = model()
    made.on_status("fifo", {"role": "fifo", "informers": {NAME: {"depth": 0, "leased": 2}}}, 1.0)
    made.on_status("worker-0", worker(0), 1.0)
    assert not made.are_queues_empty()
    made.on_status("fifo", {"role": "fifo", "informers": {NAME: {"depth": 0, "leased": 0}}}, 2.0)
    assert made.are_queues_empty()
    made.on_status("worker-0", worker(0, pending=1), 2.0)
    assert not made.are_queues_empty()


def test_pending_and_dead_are_unfinished() -> None:
    made = model()
    made.on_status("worker-0", worker(0, pending=1), 1.0)
    made.on_status("worker-1", worker(1, dead=2), 1.0)
    assert made.unfinished() == [("printer", 1, 2)]


def test_a_report_counts_only_when_all_of_the_role_have_made_one() -> None:
    made = model()
    assert not made.reported_since(0.0, "informer")
    made.on_status("worker-0", worker(0), 1.0)
    made.on_status("worker-1", worker(1), 3.0)
    assert made.reported_since(0.5, "informer")
    assert not made.reported_since(2.0, "informer")


def test_the_first_event_is_when_the_first_handler_call_ended() -> None:
    made = model()
    assert snapshot(made).first_event_s is None
    made.on_status("printer-0", {"role": "handler", "group": "printer", "first_ended_at": 3_500_000}, 3.0)
    made.on_status("other-0", {"role": "handler", "group": "other", "first_ended_at": 2_200_000}, 4.0)
    assert snapshot(made).first_event_s == 1.2


def test_a_call_of_an_earlier_run_is_not_the_first_event() -> None:
    made = model()
    made.on_status("printer-0", {"role": "handler", "group": "printer", "first_ended_at": 0}, 3.0)
    assert snapshot(made).first_event_s is None


def test_the_groups_lag_is_the_weighted_median_and_the_worst_p99() -> None:
    made = model()
    for name, p50, p99, count in (("printer-0", 1.0, 9.0, 10), ("printer-1", 5.0, 30.0, 100)):
        lag = {"p50": p50, "p99": p99, "count": count}
        made.on_status(name, {"role": "handler", "group": "printer", "lag_ms": lag}, 1.0)
    group = snapshot(made).groups["printer"]
    assert (group.lag_p50_ms, group.lag_p99_ms) == (5.0, 30.0)


def test_an_error_of_a_stream_is_an_error_of_the_pipeline() -> None:
    made = model()
    made.on_status("reflector-0", reflector(error="refused", error_code="refused", retry_in_s=0.8), 1.0)
    assert snapshot(made).errors == [f"{NAME}@*: refused"]


def test_progress_is_told_as_an_age() -> None:
    made = model()
    made.on_status("reflector-0", reflector(last_progress_at=7_500_000), 1.0)
    found = snapshot(made)
    assert found.streams[f"{NAME}@*"].progress_s_ago == 2.5
    assert found.informers[NAME].progress_s_ago == 2.5


def test_a_rate_is_taken_over_the_last_seconds() -> None:
    rate = Rate()
    for second in range(10):
        rate.take(float(second), second * second)
    assert rate.per_s() == pytest.approx((81 - 36) / 3)


def test_a_rate_of_one_sample_is_zero() -> None:
    rate = Rate()
    rate.take(0.0, 100)
    assert rate.per_s() == 0.0


def test_a_process_that_pins_a_cache_is_a_warning_while_it_does() -> None:
    made = model()
    report = worker(0)
    report["informers"][NAME]["shards"]["0"]["pinned_by"] = [4711]
    made.on_status("worker-0", report, 1.0)
    assert (
        snapshot(made).informers[NAME].warning == "process 4711 holds an old state of the cache, which grows"
    )
    made.on_status("worker-0", worker(0), 2.0)
    assert snapshot(made).informers[NAME].warning == ""
