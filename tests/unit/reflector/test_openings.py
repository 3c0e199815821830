"""What a reflector with many streams asks for first is spread, and its open files are counted."""

import random
import resource

import pytest

from deltawire.common.clock import FakeClock
from deltawire.reflector.descriptors import needed, raise_limit
from deltawire.reflector.openings import OPENINGS_AT_ONCE, OPENINGS_PER_S, Openings
from tests.unit.reflector.test_driver import Stage


def test_few_streams_begin_at_once_and_many_at_a_bounded_rate():
    seed = random.randrange(2**32)
    print("seed", seed)
    openings = Openings(random.Random(seed).random)
    turns = sorted(openings.reserve(100.0) for _ in range(500))
    assert turns[OPENINGS_AT_ONCE - 1] == pytest.approx(100.0)
    for second in range(10):
        begun = [turn for turn in turns if 100 + second < turn <= 101 + second]
        assert len(begun) <= OPENINGS_PER_S + 1
    assert turns[-1] == pytest.approx(100 + (500 - OPENINGS_AT_ONCE) / OPENINGS_PER_S, abs=0.1)


def test_after_quiet_as_many_may_begin_at_once_again():
    openings = Openings(lambda: 0.0)
    for _ in range(100):
        openings.reserve(0.0)
    again = [openings.reserve(60.0) for _ in range(OPENINGS_AT_ONCE)]
    assert again == pytest.approx([60.0] * OPENINGS_AT_ONCE)


def test_a_stream_that_waits_for_its_turn_asks_when_it_comes_and_not_once_it_is_stopped():
    stage = Stage()
    clock: FakeClock = stage.clock
    stage.driver._turn_at_s = lambda now_s: now_s + 2
    stage.start("10")
    stage.driver.turn()
    assert stage.reader.requests == []
    clock.advance(2)
    stage.driver.turn()
    assert len(stage.reader.requests) == 1
    stage.start("10")
    stage.driver.stop(None)
    clock.advance(5)
    stage.driver.turn()
    assert len(stage.reader.requests) == 1


def test_the_limit_of_open_files_is_raised_as_far_as_it_may_be(monkeypatch):
    limits = [(1024, 4096)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: limits.append(both))
    assert raise_limit(needed(10)) == 1024
    assert raise_limit(needed(1000)) == 4096
    assert limits[-1] == (4096, 4096)


def test_a_limit_without_end_is_raised_as_far_as_is_needed(monkeypatch):
    limits = [(1024, resource.RLIM_INFINITY)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, both: limits.append(both))
    assert raise_limit(needed(1000)) == needed(1000)
    assert limits[-1] == (needed(1000), resource.RLIM_INFINITY)
    limits.append((resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert raise_limit(needed(1000)) == needed(1000)
