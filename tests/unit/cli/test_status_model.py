"""Reports of roles become one status: sums over workers, counters that survive restarts, what is missing is zero."""

import pytest

from deltawire.cli.supervisor.counters import Rate
from tests.support.reports import GROUP, INFORMER, Watched, fifo, handler, healthy, reflector, us, worker

STREAM = f"{INFORMER}@*"


def test_workers_add_up() -> None:
    made = healthy()
    made.say(
        "worker-0",
        worker(0, 3.0, delivered=5, acknowledged=4, pending=1, informer={"applied": 7, "lag_ms": 0.0}),
    )
    made.say("worker-1", worker(1, 3.0, delivered=3, acknowledged=3, informer={"applied": 7, "lag_ms": 1.0}))
    found = made.snapshot()
    informer, group = found.informers[INFORMER], found.groups[GROUP]
    assert (informer.objects, informer.bytes, informer.applied, informer.lag_ms) == (20, 200, 14, 1.0)
    assert (group.delivered, group.acknowledged, group.pending, group.replicas) == (8, 7, 1, 1)
    assert found.synced


def test_pending_counts_what_waits_in_the_broker_too() -> None:
    made = healthy()
    made.say("fifo", fifo(3.0, depth=500, leased=4))
    made.say("worker-0", worker(0, 3.0, pending=2))
    assert made.snapshot().groups[GROUP].pending == 506


def test_counters_go_on_over_a_restart() -> None:
    made = Watched()
    made.say("reflector-0", reflector(1.0, 1, lists=1, watches=2, events=100))
    made.say("reflector-0", reflector(2.0, 1, lists=1, watches=3, events=150))
    made.say("reflector-0", reflector(3.0, 2, lists=0, watches=1, events=10))
    stream = made.snapshot().streams[STREAM]
    assert (stream.lists, stream.watches, stream.events) == (1, 4, 160)


def test_gauges_are_those_of_the_present_life() -> None:
    made = healthy()
    made.say("worker-0", worker(0, 3.0, pid=1, delivered=5, pending=9))
    made.say("worker-0", worker(0, 3.0, pid=2, delivered=1, pending=2))
    group = made.snapshot().groups[GROUP]
    assert (group.delivered, group.pending) == (6, 2)


def test_what_a_role_does_not_tell_counts_as_zero() -> None:
    made = Watched()
    made.say("worker-0", {"role": "informer", "informers": {INFORMER: {}}})
    made.say("fifo", {"role": "fifo"})
    made.say("reflector-0", {"role": "reflector", "streams": {STREAM: {}}})
    found = made.snapshot()
    assert found.totals.published == found.totals.acknowledged == 0
    assert not found.synced


def test_queues_are_empty_when_nothing_waits_and_nothing_is_pending() -> None:
    made = healthy()
    made.say("fifo", fifo(3.0, leased=2))
    assert not made.model.are_queues_empty()
    made.say("fifo", fifo(3.0))
    assert made.model.are_queues_empty()
    made.say("worker-0", worker(0, 3.0, pending=1))
    assert not made.model.are_queues_empty()
    made.say("worker-0", worker(0, 3.0))
    made.gone("fifo")
    assert not made.model.are_queues_empty(), "not known is not empty"


def test_pending_dead_and_unknown_are_unfinished() -> None:
    made = healthy()
    assert made.model.unfinished() == []
    made.say("worker-0", worker(0, 3.0, pending=1))
    made.say("worker-1", worker(1, 3.0, dead=2))
    assert made.model.unfinished() == [(GROUP, 1, 2)]
    made.gone("worker-0")
    assert made.model.unfinished() == [(GROUP, None, None)]


def test_a_report_counts_only_when_all_of_the_role_have_made_one() -> None:
    made = Watched()
    assert not made.model.reported_since(0.0, "informer")
    made.later(1.0)
    made.say("worker-0", worker(0, 1.0))
    made.later(2.0)
    made.say("worker-1", worker(1, 3.0))
    assert made.model.reported_since(0.5, "informer")
    assert not made.model.reported_since(2.0, "informer")


def test_the_first_event_is_when_the_first_handler_call_ended() -> None:
    made = Watched()
    assert made.snapshot().first_event_s is None
    made.say("printer-0", handler(3.0, first_ended_at=us(2.5)))
    made.say("other-0", handler(4.0, "other", first_ended_at=us(1.2)))
    assert made.snapshot().first_event_s == 1.2


def test_a_call_of_an_earlier_run_is_not_the_first_event() -> None:
    made = Watched()
    made.say("printer-0", handler(3.0, first_ended_at=0))
    assert made.snapshot().first_event_s is None


def test_the_groups_lag_is_the_weighted_median_and_the_worst_p99() -> None:
    made = Watched()
    for name, p50, p99, count in (("printer-0", 1.0, 9.0, 10), ("printer-1", 5.0, 30.0, 100)):
        made.say(name, handler(1.0, lag_ms={"p50": p50, "p99": p99, "count": count}))
    group = made.snapshot().groups[GROUP]
    assert (group.lag_p50_ms, group.lag_p99_ms) == (5.0, 30.0)


def test_an_error_of_a_stream_is_an_error_of_the_pipeline() -> None:
    made = Watched()
    made.say("reflector-0", reflector(0.0, error="refused", error_code="refused", retry_in_s=0.8))
    assert made.snapshot().errors == [f"{STREAM}: refused"]


def test_progress_is_told_as_an_age() -> None:
    made = Watched()
    made.later(10.0)
    made.say("reflector-0", reflector(10.0, last_progress_at=us(7.5)))
    found = made.snapshot()
    assert found.streams[STREAM].progress_s_ago == 2.5
    assert found.informers[INFORMER].progress_s_ago == 2.5


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
    made = healthy()
    made.say("worker-0", worker(0, 3.0, shards={"pinned_by": [4711]}))
    held = "process 4711 holds an old state of the cache, which grows"
    assert made.snapshot().informers[INFORMER].warning == held
    made.say("worker-0", worker(0, 3.0))
    assert made.snapshot().informers[INFORMER].warning == ""
