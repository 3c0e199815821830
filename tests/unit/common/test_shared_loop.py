"""A loop that other threads visit: one is inside at a time, nothing that arrives is missed, no error is lost."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import zmq

from deltawire.common.clock import SystemClock
from deltawire.common.shared_loop import SharedLoop
from tests.unit.common.test_loop import Failed, Turns

LONG_S = 60.0


@pytest.fixture
def loop() -> Iterator[SharedLoop]:
    made = SharedLoop(SystemClock(), Turns(), idle_s=3600)
    made.turn(wait_s_max=0)
    yield made
    made.close()


def in_thread(job: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=job)
    thread.start()
    return thread


def test_a_visitor_works_in_its_own_thread_and_to_the_end_of_what_it_put_off(loop):
    said = []

    def visit() -> None:
        loop.at_end(lambda: said.append(threading.current_thread()))

    thread = in_thread(lambda: loop.visit(visit))
    thread.join()
    assert said == [thread]


def test_a_loop_that_sleeps_wakes_for_an_earlier_time_that_a_visitor_set(loop):
    called = []
    timer = loop.timer(lambda: called.append(1))
    thread = in_thread(lambda: loop.visit(lambda: timer.set(time.monotonic())))
    before_s = time.monotonic()
    while not called:
        loop.turn(wait_s_max=LONG_S)
    assert time.monotonic() - before_s < LONG_S
    thread.join()


def test_visitors_and_turns_are_never_inside_at_once(loop):
    inside, most = [], []

    def work() -> None:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0)
        inside.pop()

    threads = [in_thread(lambda: [loop.visit(work) for _ in range(200)]) for _ in range(3)]
    while any(thread.is_alive() for thread in threads):
        loop.turn(work, wait_s_max=0)
    assert max(most) == 1
    assert len(most) >= 600


def test_what_a_visitors_work_raises_ends_the_loop_and_not_the_visitor(loop):
    def fail() -> None:
        raise Failed

    loop.visit(fail)
    with pytest.raises(Failed):
        loop.turn(wait_s_max=LONG_S)


def test_who_is_inside_already_has_it_done_at_the_end(loop):
    said = []
    loop.turn(lambda: (loop.visit(lambda: said.append("visit")), said.append("turn")), wait_s_max=0)
    loop.visit(lambda: (loop.visit(lambda: said.append("inner")), said.append("outer")))
    assert said == ["turn", "visit", "outer", "inner"]


def test_nothing_is_done_for_who_visits_after_the_end(loop):
    loop.end_visits()
    called = []
    loop.visit(lambda: called.append(1))
    loop.close()
    loop.visit(lambda: called.append(1))
    assert called == []


def test_no_message_is_missed_while_visitors_send_over_the_same_socket(loop):
    """Sending takes note of what has arrived: the socket's file says nothing of it any more."""
    count = 2000
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    near, far = context.socket(zmq.PAIR), context.socket(zmq.PAIR)
    near.bind("inproc://shared-loop")
    far.connect("inproc://shared-loop")
    read = []

    def take() -> None:
        # One a turn: the rest is to be offered again.
        read.append(near.recv(zmq.NOBLOCK))

    def echo() -> None:
        for _ in range(count):
            far.send(far.recv())

    def send() -> None:
        for number in range(count):
            loop.visit(lambda number=number: near.send(str(number).encode()))

    loop.reads(near, take)
    threads = [in_thread(echo), in_thread(send)]
    deadline_s = time.monotonic() + LONG_S
    while len(read) < count and time.monotonic() < deadline_s:
        loop.turn(wait_s_max=LONG_S)
    for thread in threads:
        thread.join()
    loop.forgets(near)
    near.close(linger=0)
    far.close(linger=0)
    context.term()
    assert read == [str(number).encode() for number in range(count)]


def test_a_visit_that_leaves_nothing_to_do_wakes_no_loop(loop):
    timer, rung = loop.timer(lambda: None), []
    timer.set(time.monotonic() + LONG_S)

    def visit() -> None:
        while loop._sleeps_until_s == float("-inf"):
            time.sleep(0.001)
        loop.visit(lambda: timer.hurry(time.monotonic() + 2 * LONG_S))
        rung.append(loop._visited._is_rung)
        loop.visit(loop.soon)
        rung.append(loop._visited._is_rung)

    thread = in_thread(visit)
    while len(rung) < 2:
        loop.turn(wait_s_max=LONG_S)
    thread.join()
    assert rung == [False, True]
