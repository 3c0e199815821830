"""The health file: fresh only while the loop turns and nothing is missing."""

from pathlib import Path

import pytest

from deltawire.common.clock import FakeClock
from deltawire.common.health import HealthFile


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def test_a_turn_makes_the_file_and_the_next_ones_renew_it_once_a_second(
    tmp_path: Path, clock: FakeClock
) -> None:
    path = tmp_path / "health"
    health = HealthFile(path, clock=clock)
    health.turn(1, [])
    assert path.read_text() == "1 turns\n"
    health.turn(2, [])
    assert path.read_text() == "1 turns\n"
    clock.advance(1.0)
    health.turn(3, [])
    assert path.read_text() == "3 turns\n"


def test_a_missing_session_removes_the_file_at_once_and_its_return_brings_it_back_at_once(
    tmp_path: Path, clock: FakeClock
) -> None:
    path = tmp_path / "health"
    health = HealthFile(path, clock=clock)
    health.turn(1, [])
    health.turn(2, ["ipc:///somewhere/fifo-in"])
    assert not path.exists()
    health.turn(3, [])
    assert path.exists()


def test_the_file_of_an_earlier_life_is_removed_at_the_start(tmp_path: Path, clock: FakeClock) -> None:
    path = tmp_path / "health"
    path.write_text("9 turns\n")
    HealthFile(path, clock=clock)
    assert not path.exists()


def test_a_file_that_cannot_be_written_is_told_once_and_stops_nothing(
    tmp_path: Path, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    health = HealthFile(tmp_path / "no such folder" / "health", clock=clock)
    for turn in range(3):
        health.turn(turn, [])
        clock.advance(2.0)
    assert len([r for r in caplog.records if "cannot be written" in r.getMessage()]) == 1
