"""The work queue keeps client-go's contract (docs/contracts.md, work queue; client-go's tests: queue_test.go)."""

import gc
import threading
import time
import weakref
from collections.abc import Callable

import pytest

from deltawire.common.clock import FakeClock
from deltawire.common.errors import CapacityError
from deltawire.handlers.workqueue import QueueShutDown, WorkQueue
from tests.support.patience import comes_true as eventually


def in_thread(call: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("shut_down", [WorkQueue.shut_down, WorkQueue.shut_down_with_drain])
def test_every_item_is_worked_on_and_never_by_two_at_once(
    shut_down: Callable[[WorkQueue[int]], None],
) -> None:  # TestBasic
    queue: WorkQueue[int] = WorkQueue()
    lock = threading.Lock()
    at_work: set[int] = set()
    overlaps: list[int] = []
    worked: list[int] = []

    def work() -> None:
        while True:
            try:
                item = queue.get()
            except QueueShutDown:
                return
            with lock:
                if item in at_work:
                    overlaps.append(item)
                at_work.add(item)
            time.sleep(0.0005)
            with lock:
                at_work.discard(item)
                worked.append(item)
            queue.done(item)

    def produce() -> None:
        for number in range(200):
            queue.add(number % 20)

    workers = [in_thread(work) for _ in range(5)]
    producers = [in_thread(produce) for _ in range(4)]
    for producer in producers:
        producer.join(5)
    shut_down(queue)
    queue.add(99)  # too late
    for worker in workers:
        worker.join(5)
    assert not any(worker.is_alive() for worker in workers)
    assert overlaps == []
    assert set(worked) == set(range(20))
    assert len(queue) == 0


def test_items_come_in_the_order_of_their_first_add() -> None:  # TestCollapse
    queue: WorkQueue[str] = WorkQueue()
    for item in ("b", "a", "b", "c", "a"):
        queue.add(item)
    assert len(queue) == 3
    assert [queue.get(1) for _ in range(3)] == ["b", "a", "c"]


def test_an_item_added_during_its_work_is_worked_on_once_more() -> (
    None
):  # TestReinsert, TestAddWhileProcessing
    queue: WorkQueue[str] = WorkQueue()
    queue.add("foo")
    item = queue.get(1)
    queue.add("foo")
    queue.add("foo")  # TestCollapseWhileProcessing
    assert len(queue) == 0  # not while a worker has it
    queue.add("bar")
    queue.done(item)
    assert [queue.get(1), queue.get(1)] == ["bar", "foo"]  # behind what waited by then
    queue.done("foo")
    assert len(queue) == 0


def test_the_length_counts_the_queued_items_only() -> None:  # TestLen
    queue: WorkQueue[str] = WorkQueue()
    queue.add("foo")
    assert len(queue) == 1
    queue.add("bar")
    assert len(queue) == 2
    queue.add("foo")
    assert len(queue) == 2
    queue.get(1)
    assert len(queue) == 1


def test_done_of_an_item_that_nobody_works_on_does_nothing() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("foo")
    queue.done("foo")
    queue.done("bar")
    assert len(queue) == 1


def test_get_waits_for_an_item() -> None:
    queue: WorkQueue[str] = WorkQueue()
    found: list[str] = []
    worker = in_thread(lambda: found.append(queue.get(5)))
    queue.add("foo")
    worker.join(5)
    assert found == ["foo"]


def test_get_gives_up_when_its_time_is_over() -> None:
    with pytest.raises(TimeoutError):
        WorkQueue[str]().get(0.01)


def test_after_a_shut_down_the_queued_items_are_handed_out_then_every_get_ends() -> None:
    queue: WorkQueue[str] = WorkQueue()
    ended: list[bool] = []

    def work() -> None:
        with pytest.raises(QueueShutDown):
            queue.get()
        ended.append(True)

    queue.add("foo")
    assert queue.get(1) == "foo"
    queue.add("bar")
    queue.shut_down()
    assert queue.is_shutting_down
    assert queue.get(1) == "bar"
    workers = [in_thread(work) for _ in range(3)]
    for worker in workers:
        worker.join(5)
    assert ended == [True] * 3


def test_a_shut_down_wakes_workers_that_wait() -> None:
    queue: WorkQueue[str] = WorkQueue()
    ended = threading.Event()

    def work() -> None:
        with pytest.raises(QueueShutDown):
            queue.get()
        ended.set()

    in_thread(work)
    queue.shut_down()
    assert ended.wait(5)


def test_a_plain_shut_down_does_not_wait_for_the_work() -> None:  # TestNoQueueDrainageUsingShutDown
    queue: WorkQueue[str] = WorkQueue()
    queue.add("foo")
    queue.get(1)
    closer = in_thread(queue.shut_down)
    closer.join(5)
    assert not closer.is_alive()


def test_a_drain_waits_until_no_worker_has_an_item() -> None:  # TestQueueDrainageUsingShutDownWithDrain
    queue: WorkQueue[str] = WorkQueue()
    queue.add("foo")
    queue.add("bar")
    first, second = queue.get(1), queue.get(1)
    closer = in_thread(queue.shut_down_with_drain)
    assert eventually(lambda: queue.is_shutting_down)
    queue.done(first)
    closer.join(0.05)
    assert closer.is_alive()
    queue.done(second)
    closer.join(5)
    assert not closer.is_alive()


def test_a_drain_hands_out_again_what_was_added_during_its_work() -> None:  # ...WithDrainWithDirtyItem
    queue: WorkQueue[str] = WorkQueue()
    queue.add("foo")
    item = queue.get(1)
    queue.add("foo")
    closer = in_thread(queue.shut_down_with_drain)
    assert eventually(lambda: queue.is_shutting_down)
    queue.done(item)
    again = queue.get(1)
    queue.done(again)
    closer.join(5)
    assert not closer.is_alive()
    with pytest.raises(QueueShutDown):
        queue.get()


def test_a_drain_does_not_wait_for_what_is_only_queued() -> None:
    queue: WorkQueue[str] = WorkQueue()
    queue.add("foo")
    queue.shut_down_with_drain()
    assert queue.get(1) == "foo"


def test_a_shut_down_ends_a_drain_that_waits() -> None:  # TestForceQueueShutdownUsingShutDown
    queue: WorkQueue[str] = WorkQueue()
    queue.add("foo")
    queue.get(1)
    closer = in_thread(queue.shut_down_with_drain)
    assert eventually(lambda: queue.is_shutting_down)
    queue.shut_down()
    closer.join(5)
    assert not closer.is_alive()


class Thing:
    """Hashed by identity, can be weakly referenced."""


def test_the_queue_keeps_no_item_that_is_done() -> None:  # TestGarbageCollection
    queue: WorkQueue[Thing] = WorkQueue()
    thing = Thing()
    gone = weakref.ref(thing)
    queue.add(thing)
    queue.done(queue.get(1))
    del thing
    gc.collect()
    assert gone() is None


def test_at_its_bound_an_add_raises_and_a_repeated_one_does_not() -> None:
    queue: WorkQueue[int] = WorkQueue(items_max=2)
    queue.add(1)
    queue.add(2)
    queue.add(1)
    with pytest.raises(CapacityError, match="holds 2 items"):
        queue.add(3)
    queue.done(queue.get(1))
    queue.add(3)
    assert len(queue) == 2


class LatestFirst:
    """An order of its own: last in or last touched, first out."""

    def __init__(self) -> None:
        self.items: list[str] = []

    def push(self, item: str) -> None:
        self.items.append(item)

    def touch(self, item: str) -> None:
        self.items.remove(item)
        self.items.append(item)

    def pop(self) -> str:
        return self.items.pop()

    def __len__(self) -> int:
        return len(self.items)


def test_another_order_may_be_plugged_in_and_is_told_of_repeated_adds() -> None:
    queue: WorkQueue[str] = WorkQueue(order=LatestFirst())
    for item in ("a", "b", "c", "a"):
        queue.add(item)
    assert [queue.get(1) for _ in range(3)] == ["a", "c", "b"]
    queue.add("a")  # in work, not in the order: no touch
    queue.add("a")
    queue.done("a")
    assert queue.get(1) == "a"


class Recorded:
    """Metrics as a list of calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, float]] = []

    def depth(self, items: int) -> None:
        self.calls.append(("depth", items))

    def added(self) -> None:
        self.calls.append(("added", 1))

    def waited(self, seconds: float) -> None:
        self.calls.append(("waited", seconds))

    def worked(self, seconds: float) -> None:
        self.calls.append(("worked", seconds))

    def retried(self) -> None:
        self.calls.append(("retried", 1))

    def discarded(self, items: int) -> None:
        self.calls.append(("discarded", items))


def test_metrics_follow_an_item_through_the_queue() -> None:  # TestMetrics
    clock, metrics = FakeClock(), Recorded()
    queue: WorkQueue[str] = WorkQueue(clock=clock, metrics=metrics)
    queue.add("foo")
    clock.advance(0.05)
    queue.add("foo")  # collapsed: the wait goes on from the first add
    queue.get(1)
    clock.advance(0.025)
    queue.add("foo")  # needs work again from here on
    clock.advance(0.025)
    queue.done("foo")
    queue.get(1)
    queue.shut_down()
    queue.add("bar")
    assert metrics.calls == [
        ("added", 1),
        ("depth", 1),
        ("waited", pytest.approx(0.05)),
        ("depth", 0),
        ("added", 1),
        ("depth", 1),
        ("worked", pytest.approx(0.05)),
        ("waited", pytest.approx(0.025)),
        ("depth", 0),
        ("discarded", 1),
    ]


def test_the_work_under_way_is_reckoned_when_asked() -> None:
    clock = FakeClock()
    queue: WorkQueue[str] = WorkQueue(clock=clock)
    assert queue.running().longest_s == 0
    queue.add("foo")
    queue.add("bar")
    queue.get(1)
    clock.advance(2)
    queue.get(1)
    clock.advance(1)
    running = queue.running()
    assert (running.items, running.unfinished_s, running.longest_s) == (2, 4, 3)
