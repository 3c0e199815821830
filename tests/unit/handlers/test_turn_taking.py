"""One thread makes all calls: it does the loop's turns between them; the own one does while a call takes long."""

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from deltawire.common.clock import SystemClock
from deltawire.common.shared_loop import SharedLoop
from deltawire.handlers import turn_taking
from deltawire.handlers.turn_taking import TurnTaking
from tests.unit.common.test_loop import Failed, Turns

LONG_S = 60.0


class Pair:
    """A loop with its own thread, and a thread that makes the calls that are put into ``calls``."""

    def __init__(self) -> None:
        self.counted = Turns()
        self.loop = SharedLoop(SystemClock(), self.counted, idle_s=LONG_S)
        self.calls: list[Callable[[], object]] = []
        self.stop = threading.Event()
        self.error: BaseException | None = None
        self.roused = threading.Event()
        self.turns = TurnTaking(self.loop, self.counted, rouse=self.roused.set, idle_s=LONG_S)
        self.own = threading.Thread(target=self._run, name="own")
        self.caller = threading.Thread(target=self._call, name="caller")
        self.caller.start()
        self.own.start()

    def _run(self) -> None:
        try:
            self.turns.run(self.stop, lambda: None, until=lambda: False)
        except Failed as error:
            self.error = error

    def _call(self) -> None:
        self.roused.wait(LONG_S)
        while self.turns.turn(has_calls=bool(self.calls)):
            while self.calls:
                self.turns.begins()
                self.calls.pop()()

    def who_does(self, action: Callable[[], object] = lambda: None) -> threading.Thread:
        """The thread in which the loop does ``action``, which a timer of now asks for."""
        done, found = threading.Event(), []

        def act() -> None:
            found.append(threading.current_thread())
            action()
            done.set()

        timer = self.loop.timer(act)
        self.loop.visit(lambda: timer.set(time.monotonic()))
        assert done.wait(LONG_S)
        return found[0]

    def begin_call(self) -> threading.Event:
        """Have a call begun that ends when the event is set."""
        begun, gate = threading.Event(), threading.Event()

        def call() -> None:
            begun.set()
            gate.wait(LONG_S)

        self.who_does(lambda: self.calls.append(call))
        assert begun.wait(LONG_S)
        return gate

    def close(self) -> None:
        self.stop.set()
        self.turns.hurry()
        self.loop.wake()
        self.own.join(LONG_S)
        self.caller.join(LONG_S)
        assert not self.own.is_alive() and not self.caller.is_alive()
        self.turns.close()
        self.loop.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()


def test_the_thread_that_makes_calls_does_the_turns_between_them(pair):
    # The other one may have begun, before this one was awake.
    while pair.who_does() is not pair.caller:
        pass
    assert {pair.who_does() for _ in range(20)} == {pair.caller}


def test_the_loops_own_thread_does_the_turns_while_a_call_takes_long_and_gives_them_back(pair):
    gate = pair.begin_call()
    assert pair.who_does() is pair.own
    gate.set()
    deadline_s = time.monotonic() + LONG_S
    while pair.who_does() is not pair.caller:
        assert time.monotonic() < deadline_s


def test_who_hurries_within_a_call_waits_for_no_look(monkeypatch, pair):
    monkeypatch.setattr(turn_taking, "LOOK_S", LONG_S)
    while pair.who_does() is not pair.caller:
        pass
    answered = threading.Event()

    def ask() -> None:
        timer = pair.loop.timer(answered.set)
        pair.loop.visit(lambda: timer.set(time.monotonic()))
        pair.turns.hurry()
        assert answered.wait(LONG_S / 2)

    pair.who_does(lambda: pair.calls.append(ask))
    assert answered.wait(LONG_S / 2)


def test_what_a_turn_raises_ends_the_run_whoever_did_it(pair):
    def fail() -> None:
        raise Failed

    timer = pair.loop.timer(fail)
    pair.loop.visit(lambda: timer.set(time.monotonic()))
    pair.own.join(LONG_S)
    assert isinstance(pair.error, Failed)


def test_a_loop_turns_from_the_start_also_where_the_thread_of_the_calls_was_not_roused(monkeypatch):
    monkeypatch.setattr(turn_taking, "IDLE_S", LONG_S)
    counted, stop, done = Turns(), threading.Event(), threading.Event()
    loop = SharedLoop(SystemClock(), counted, idle_s=LONG_S)
    turns = TurnTaking(loop, counted, rouse=lambda: None, idle_s=LONG_S)
    loop.timer(done.set).set(time.monotonic())
    own = threading.Thread(target=turns.run, args=(stop, lambda: None), kwargs={"until": lambda: False})
    own.start()
    try:
        assert done.wait(LONG_S / 2)
    finally:
        stop.set()
        turns.hurry()
        own.join(2 * LONG_S)
        turns.close()
        loop.close()


def test_the_loops_own_thread_looks_no_more_when_no_call_begins(pair):
    pair.begin_call().set()
    deadline_s = time.monotonic() + LONG_S
    while pair.turns._is_watched:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    gate = pair.begin_call()
    assert pair.turns._is_watched
    gate.set()
