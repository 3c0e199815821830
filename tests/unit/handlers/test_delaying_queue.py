"""Delayed and rate limited adds (delaying_queue_test.go)."""

import threading
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deltawire.common.clock import FakeClock
from deltawire.common.errors import CapacityError
from deltawire.handlers.rate_limiters import ItemExponential
from deltawire.handlers.workqueue import DelayingQueue, NoMetrics, QueueShutDown, RateLimitingQueue
from tests.support.patience import comes_true as eventually


class Tally(NoMetrics):
    """Counts retries and discarded items."""

    def __init__(self) -> None:
        self.retries = 0
        self.given_up = 0
        self.waits_s: list[float] = []

    def retried(self) -> None:
        self.retries += 1

    def discarded(self, items: int) -> None:
        self.given_up += items

    def waited(self, seconds: float) -> None:
        self.waits_s.append(seconds)


def test_an_item_is_queued_when_its_delay_is_over() -> None:  # TestSimpleQueue
    clock = FakeClock()
    queue: DelayingQueue[str] = DelayingQueue(clock=clock)
    queue.add_after("foo", 0.05)
    assert (len(queue), queue.waiting()) == (0, 1)
    clock.advance(0.06)
    assert (len(queue), queue.waiting()) == (1, 0)
    queue.done(queue.get(1))
    clock.advance(10)
    assert len(queue) == 0


@pytest.mark.parametrize("delay_s", [0, -1])
def test_without_a_delay_it_is_queued_at_once(delay_s: float) -> None:
    queue: DelayingQueue[str] = DelayingQueue(clock=FakeClock())
    queue.add_after("foo", delay_s)
    assert (len(queue), queue.waiting()) == (1, 0)


@pytest.mark.parametrize("delays_s", [(0.05, 0.07), (0.07, 0.05)])
def test_of_several_delays_the_earliest_counts_once(delays_s: tuple[float, float]) -> None:  # TestDeduping
    clock = FakeClock()
    queue: DelayingQueue[str] = DelayingQueue(clock=clock)
    for delay_s in delays_s:
        queue.add_after("foo", delay_s)
    assert queue.waiting() == 1
    clock.advance(0.06)
    queue.done(queue.get(1))
    clock.advance(0.02)
    assert len(queue) == 0


def test_a_delay_that_was_shortened_does_not_fire_for_a_later_one() -> None:
    clock = FakeClock()
    queue: DelayingQueue[str] = DelayingQueue(clock=clock)
    queue.add_after("foo", 5)
    queue.add_after("foo", 1)
    clock.advance(1)
    queue.done(queue.get(1))
    queue.add_after("foo", 9)
    clock.advance(5)  # past the first delay, which is given up
    assert (len(queue), queue.waiting()) == (0, 1)
    clock.advance(4)
    assert len(queue) == 1


def test_delayed_items_come_in_the_order_of_their_times() -> None:  # TestAddTwoFireEarly, TestCopyShifting
    clock = FakeClock()
    queue: DelayingQueue[str] = DelayingQueue(clock=clock)
    queue.add_after("first", 1)
    queue.add_after("third", 0.5)
    queue.add_after("second", 0.75)
    queue.add_after("second too", 0.75)
    clock.advance(2)
    assert [queue.get(1) for _ in range(4)] == ["third", "second", "second too", "first"]


def test_what_came_due_earlier_stands_before_a_later_add() -> None:
    clock = FakeClock()
    queue: DelayingQueue[str] = DelayingQueue(clock=clock)
    queue.add_after("due", 1)
    clock.advance(5)
    queue.add("new")
    assert [queue.get(1), queue.get(1)] == ["due", "new"]


def test_an_add_meanwhile_is_worked_on_now_and_the_delayed_one_still_comes() -> None:
    clock = FakeClock()
    queue: DelayingQueue[str] = DelayingQueue(clock=clock)
    queue.add_after("foo", 1)
    queue.add("foo")
    queue.done(queue.get(1))
    clock.advance(1)
    assert queue.get(1) == "foo"


def test_an_item_that_comes_due_during_its_work_is_queued_after_it() -> None:
    clock = FakeClock()
    queue: DelayingQueue[str] = DelayingQueue(clock=clock)
    queue.add("foo")
    queue.get(1)
    queue.add_after("foo", 1)
    clock.advance(1)
    assert len(queue) == 0
    queue.done("foo")
    assert len(queue) == 1


def test_a_worker_that_waits_gets_the_item_at_its_time_and_not_before() -> None:
    clock = FakeClock()
    queue: DelayingQueue[str] = DelayingQueue(clock=clock)
    found: list[str] = []
    worker = threading.Thread(target=lambda: found.append(queue.get()), daemon=True)
    worker.start()
    queue.add_after("late", 10)
    queue.add_after("soon", 3)  # the worker has to look again earlier
    assert eventually(lambda: clock.waiters() == 1)
    clock.advance(2.9)
    worker.join(0.05)
    assert worker.is_alive()
    assert eventually(lambda: clock.waiters() == 1)
    clock.advance(0.1)
    worker.join(5)
    assert found == ["soon"]


def test_a_get_with_a_time_limit_ends_before_a_later_item() -> None:
    clock = FakeClock()
    queue: DelayingQueue[str] = DelayingQueue(clock=clock)
    queue.add_after("foo", 10)
    ended = threading.Event()

    def work() -> None:
        with pytest.raises(TimeoutError):
            queue.get(4)
        ended.set()

    threading.Thread(target=work, daemon=True).start()
    assert eventually(lambda: clock.waiters() == 1)
    clock.advance(4)
    assert ended.wait(5)


@pytest.mark.parametrize("shut_down", [DelayingQueue.shut_down, DelayingQueue.shut_down_with_drain])
def test_a_shut_down_gives_up_what_waits_and_keeps_what_is_due(
    shut_down: Callable[[DelayingQueue[str]], None],
) -> None:
    clock, tally = FakeClock(), Tally()
    queue: DelayingQueue[str] = DelayingQueue(clock=clock, metrics=tally)
    queue.add_after("due", 1)
    queue.add_after("later", 5)
    queue.add_after("much later", 50)
    clock.advance(2)
    shut_down(queue)
    queue.add_after("too late", 1)
    assert tally.given_up == 3
    assert queue.get(1) == "due"
    clock.advance(100)
    with pytest.raises(QueueShutDown):
        queue.get()


def test_every_delayed_add_counts_as_a_retry_and_waits_from_its_due_time() -> None:
    clock, tally = FakeClock(), Tally()
    queue: DelayingQueue[str] = DelayingQueue(clock=clock, metrics=tally)
    queue.add_after("foo", 1)
    queue.add_after("foo", 2)
    queue.add_after("bar", 0)
    queue.add("baz")
    assert tally.retries == 3
    clock.advance(4)
    for _ in range(3):
        queue.get(1)
    assert tally.waits_s == [4, 4, 3]  # bar and baz at once, foo since it was due


def test_delayed_items_count_against_the_bound() -> None:
    clock = FakeClock()
    queue: DelayingQueue[int] = DelayingQueue(clock=clock, items_max=2)
    queue.add(1)
    queue.add_after(2, 1)
    queue.add_after(2, 0.5)
    with pytest.raises(CapacityError):
        queue.add(3)
    with pytest.raises(CapacityError):
        queue.add_after(3, 1)
    clock.advance(1)
    assert len(queue) == 2


def test_ever_earlier_delays_of_one_item_take_no_memory() -> None:
    queue: DelayingQueue[str] = DelayingQueue(clock=FakeClock())
    for number in range(10_000):
        queue.add_after("foo", 20_000 - number)
    assert len(queue._heap) < 200  # the bound is of the inside: nothing outside shows it


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("after"), st.sampled_from("abc"), st.integers(0, 5)),
            st.tuples(st.sampled_from(["add", "work", "tick"]), st.sampled_from("abc"), st.integers(0, 3)),
        ),
        max_size=40,
    )
)
def test_any_history_hands_out_what_a_plain_model_says(steps: list[tuple[str, str, int]]) -> None:
    """The model moves time in steps of one second and looks at every item in each."""
    clock = FakeClock()
    queue: DelayingQueue[str] = DelayingQueue(clock=clock)
    now = 0
    line: list[str] = []
    due: dict[str, tuple[int, int]] = {}
    for number, (verb, item, amount) in enumerate(steps):
        if verb == "add" or (verb == "after" and amount == 0):
            queue.add(item) if verb == "add" else queue.add_after(item, 0)
            line += [item] if item not in line else []
        elif verb == "after":
            queue.add_after(item, amount)
            if item not in due or due[item][0] > now + amount:
                due[item] = (now + amount, number)
        elif verb == "tick":
            clock.advance(amount)
            now += amount
            for ready, _, name in sorted((ready, order, name) for name, (ready, order) in due.items()):
                if ready <= now:
                    del due[name]
                    line += [name] if name not in line else []
        elif line:
            got = queue.get(1)
            assert got == line.pop(0)
            queue.done(got)
        assert (len(queue), queue.waiting()) == (len(line), len(due))


def test_rate_limited_adds_wait_longer_each_time_until_forgotten() -> None:  # TestRateLimitingQueue
    clock = FakeClock()
    queue: RateLimitingQueue[str] = RateLimitingQueue(ItemExponential(1, 100), clock=clock)

    def fail_and_wait() -> int:
        """The seconds until an item that failed comes again."""
        queue.add_rate_limited("one")
        seconds = 0
        while not len(queue):
            clock.advance(1)
            seconds += 1
        queue.done(queue.get(1))
        return seconds

    assert [fail_and_wait() for _ in range(3)] == [1, 2, 4]
    assert queue.num_requeues("one") == 3
    queue.forget("one")
    assert [fail_and_wait() for _ in range(2)] == [1, 2]


def test_forgetting_clears_the_limiter_and_leaves_the_queue_alone() -> None:
    queue: RateLimitingQueue[str] = RateLimitingQueue(clock=FakeClock())
    queue.add_rate_limited("one")
    queue.forget("one")
    assert queue.num_requeues("one") == 0
    assert queue.waiting() == 1


def test_without_a_limiter_it_is_a_controllers_default() -> None:
    clock = FakeClock()
    queue: RateLimitingQueue[str] = RateLimitingQueue(clock=clock)
    queue.add_rate_limited("one")
    clock.advance(0.0049)
    assert len(queue) == 0
    clock.advance(0.0002)
    assert len(queue) == 1
