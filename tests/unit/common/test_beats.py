"""What a process says of its main loop, and how rarely."""

import os
from collections.abc import Iterator

import pytest

from deltawire.common import beats
from deltawire.common.beats import BEAT_EVERY_S, Beats
from deltawire.common.clock import FakeClock


class Pipe:
    def __init__(self) -> None:
        self.heard, self.fd = os.pipe()
        os.set_blocking(self.heard, False)

    def lines(self) -> list[str]:
        try:
            return os.read(self.heard, 1 << 20).decode().splitlines()
        except BlockingIOError:
            return []


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    made = Pipe()
    yield made
    os.close(made.heard)
    os.close(made.fd)


def test_a_busy_loop_beats_as_rarely_as_an_idle_one(pipe: Pipe) -> None:
    clock = FakeClock()
    said = Beats(pipe.fd, clock)
    for _ in range(1000):
        said.turn()
    assert pipe.lines() == ["turn"]
    clock.advance(BEAT_EVERY_S)
    said.turn()
    assert pipe.lines() == ["turn"]


def test_the_first_turn_after_the_terms_is_said_at_once(pipe: Pipe) -> None:
    """Until then silence has the deadline of a start, which is long."""
    said = Beats(pipe.fd, FakeClock())
    said.terms(2.0, 20.0)
    said.turn()
    said.turn()
    assert pipe.lines() == ["terms 2 20", "turn"]


def test_a_call_and_its_end_are_said_at_once(pipe: Pipe) -> None:
    said = Beats(pipe.fd, FakeClock())
    said.turn()
    said.enter_call("reconcile of a/b\nand more")
    said.turn()
    said.turn()
    assert pipe.lines() == ["turn", "call reconcile of a/b and more", "turn"]


def test_a_watcher_that_does_not_read_or_is_gone_holds_nobody_up(pipe: Pipe) -> None:
    clock = FakeClock()
    said = Beats(pipe.fd, clock)
    for _ in range(100_000):
        clock.advance(BEAT_EVERY_S)
        said.turn()
    assert pipe.lines()
    os.close(pipe.heard)
    clock.advance(BEAT_EVERY_S)
    said.turn()
    pipe.heard = os.open("/dev/null", os.O_RDONLY)


def test_a_process_takes_the_variable_away_so_that_its_children_do_not_beat_for_it(
    pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beats, "_of_process", [])
    monkeypatch.setenv(beats.VARIABLE, str(pipe.fd))
    os.set_inheritable(pipe.fd, True)
    beats.of_process().terms(30, 20)
    beats.of_process().terms(31, 20)
    assert beats.VARIABLE not in os.environ
    assert not os.get_inheritable(pipe.fd)
    assert pipe.lines() == ["terms 30 20", "terms 31 20"]


@pytest.mark.parametrize("text", ["", "x", "-1", "99999"])
def test_without_a_watcher_nothing_is_said(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beats, "_of_process", [])
    monkeypatch.setenv(beats.VARIABLE, text)
    said = beats.of_process()
    said.terms(30, 20)
    said.turn()
    said.enter_call("something")
    said.progress("something")
