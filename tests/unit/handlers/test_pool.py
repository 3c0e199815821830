"""The threads that call: each call once, whoever sleeps is woken, the loop only where it must be."""

import random
import select
import threading
from collections import Counter

import pytest

from deltawire.common.clock import SystemClock
from deltawire.handlers.dispatch import DONE, Call, Lane, Ticket
from deltawire.handlers.events import Delivery
from deltawire.handlers.executor import Results
from deltawire.handlers.late_acks import ACKS_MAX
from deltawire.handlers.pool import Pool
from tests.support.patience import wait_until

PODS = "dev/pods"


class Program:
    """Stands for `calls.Program`. A key named in ``gates`` waits for its event."""

    def __init__(self):
        self.gates = {}
        self.ran = Counter()
        self.closed = False

    def run(self, call):
        self.ran[call.key] += 1
        if call.key in self.gates:
            assert self.gates[call.key].wait(20)
        return DONE

    def close(self, timeout_s=1.0):
        self.closed = True


def call_of(key, *, hot=False):
    ticket = Ticket(Delivery(0, PODS, 0, 1, key, "A", "u", "1", 0, 1, 1, 0, b"{}", None, "", hot))
    return Call(Lane((PODS, key)), [ticket], None)


@pytest.fixture
def program():
    return Program()


def made(program, workers):
    results = Results()
    return Pool(program, workers, results, clock=SystemClock()), results


def is_rung(results):
    return bool(select.select([results.fileno()], [], [], 0)[0])


def test_a_batch_of_calls_goes_to_as_many_threads_as_there_are(program):
    program.gates = {key: threading.Event() for key in "abc"}
    pool, results = made(program, 3)
    try:
        pool.submit([call_of(key) for key in "abc"])
        wait_until(lambda: set(program.ran) == set("abc"), "all three in their calls", seconds=20)
    finally:
        for gate in program.gates.values():
            gate.set()
        assert pool.close(20)
    assert len(results.take()) == 3
    results.close()


@pytest.mark.parametrize("seed", range(5))
def test_each_call_is_made_once_however_batches_and_threads_meet(program, seed):
    chance = random.Random(seed)
    pool, results = made(program, chance.randint(1, 6))
    ended = []
    keys = iter(range(10_000))
    submitted = 0
    for _ in range(200):
        batch = [call_of(str(next(keys))) for _ in range(chance.randint(1, 5))]
        submitted += len(batch)
        pool.submit(batch)
        if chance.random() < 0.5:
            wait_until(
                lambda: ended.extend(results.take()) or len(ended) == submitted,  # noqa: B023
                "all submitted calls to end",
                seconds=20,
            )
    assert pool.close(20), "all threads end, the queue first"
    ended += results.take()
    assert len(ended) == submitted
    assert set(program.ran.values()) == {1}
    assert program.closed
    results.close()


def test_a_call_that_was_taken_back_is_not_made(program):
    program.gates = {"a": threading.Event()}
    pool, results = made(program, 1)
    taken = call_of("b")
    pool.submit([call_of("a"), taken])
    assert taken.begin()
    program.gates["a"].set()
    assert pool.close(20)
    assert set(program.ran) == {"a"}
    results.close()


@pytest.mark.parametrize(
    "hot, awaited, count, rings",
    [
        (False, False, 1, False),
        (False, True, 1, True),
        (True, False, 1, True),
        (False, False, ACKS_MAX, True),
    ],
)
def test_the_loop_is_woken_for_a_hot_key_a_full_batch_or_where_it_waits(program, hot, awaited, count, rings):
    pool, results = made(program, 1)
    results.are_awaited = awaited
    pool.submit([call_of(str(number), hot=hot) for number in range(count)])
    assert pool.close(20)
    assert is_rung(results) is rings
    assert len(results.take()) == count
    results.close()


def test_the_ack_of_a_hot_key_does_not_wait_for_other_calls_where_the_loop_looks_late(program):
    program.gates = {"b": threading.Event()}
    pool, results = made(program, 1)
    results.are_awaited, results.looks_late = False, True
    pool.submit([call_of("a", hot=True), call_of("b")])
    try:
        wait_until(lambda: is_rung(results), "the loop to be woken while the second call goes on", seconds=20)
    finally:
        program.gates["b"].set()
        assert pool.close(20)
    results.close()


def test_the_ack_of_a_hot_key_waits_for_what_the_thread_has_still_to_do(program):
    program.gates = {"b": threading.Event()}
    pool, results = made(program, 1)
    results.are_awaited = False
    pool.submit([call_of("a", hot=True), call_of("b")])
    wait_until(lambda: program.ran["b"], "the second call", seconds=20)
    try:
        assert not is_rung(results)
    finally:
        program.gates["b"].set()
        assert pool.close(20)
    assert is_rung(results), "the last call of a batch wakes for all of it"
    results.close()
