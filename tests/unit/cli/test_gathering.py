"""The loop of supervisor and hub: what comes together is one turn, and other threads look between turns."""

import os
import threading
from collections.abc import Iterator

import pytest

from deltawire.cli.supervisor.gathering import GatheringLoop, NoBeats
from deltawire.common.clock import SystemClock
from tests.support.patience import Patience


class Gathered:
    """A loop that reads a pipe, with all that it did in order."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.loop = GatheringLoop(SystemClock(), NoBeats(), lambda: self.did.append("before"))
        self.reader, self.writer = os.pipe()
        self.loop.reads(self.reader, self._read)

    def _read(self) -> None:
        self.did.append(os.read(self.reader, 100).decode())

    def close(self) -> None:
        os.close(self.reader)
        os.close(self.writer)


@pytest.fixture
def made() -> Iterator[Gathered]:
    made = Gathered()
    yield made
    made.close()


def test_who_has_ended_is_found_before_what_has_come_is_believed(made: Gathered) -> None:
    os.write(made.writer, b"report")
    made.loop.turn(lambda: made.did.append("after"))
    assert made.did == ["before", "report", "after"]


def test_what_comes_soon_after_something_came_is_dealt_with_in_the_same_turn(
    made: Gathered, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sleep(_: SystemClock, seconds: float) -> None:
        os.write(made.writer, b"+two")

    monkeypatch.setattr(SystemClock, "sleep", sleep)
    os.write(made.writer, b"one")
    made.loop.turn()
    assert made.did == ["before", "one+two"]


def test_a_turn_waits_for_a_thread_that_looks_at_what_the_loop_owns(made: Gathered) -> None:
    turned = threading.Thread(target=made.loop.turn, kwargs={"wait_s_max": 0.0})
    with made.loop.between_turns() as is_held:
        assert is_held
        turned.start()
        turned.join(0.05)
        assert made.did == []
    turned.join(60)
    assert made.did == ["before"]


def test_a_thread_is_told_when_a_turn_does_not_end_in_time(made: Gathered, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deltawire.cli.supervisor.gathering.LOCK_TIMEOUT_S", 0.01)
    ends = threading.Event()
    turn = threading.Thread(target=made.loop.turn, args=(lambda: ends.wait(60),), kwargs={"wait_s_max": 0.0})
    turn.start()
    patience = Patience(60.0)
    try:
        while not made.did:
            assert not patience.is_over()
        with made.loop.between_turns() as is_held:
            assert not is_held
    finally:
        ends.set()
        turn.join(60)
