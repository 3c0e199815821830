"""P8 Honest readiness: synced means synced, a dead watch is found, a healthy quiet one is left alone."""

import pytest

from deltawire.common.errors import StatusError
from deltawire.reflector.states import State
from tests.support.reflector_bench import Bench, bookmark
from tests.support.shard_rig import ShardRig

HOUR_S = 3600


def test_a_healthy_quiet_watch_is_never_cut():
    """A bookmark a minute and nothing else, for an hour."""
    bench = Bench()
    bench.watching("10")
    for minute in range(HOUR_S // 60):
        for second in range(0, 60, 5):
            assert bench.later(5, silent_s=second) == []
        bench.batch(bookmark(str(11 + minute)))
    assert bench.machine.state is State.WATCHING
    assert (bench.machine.idle_watches, bench.machine.watches) == (0, 1)


def test_a_watch_that_carries_nothing_any_more_is_opened_again_at_its_version():
    bench = Bench()
    bench.watching("10")
    for version in ("11", "12"):
        bench.later(60)
        bench.batch(bookmark(version))
    assert bench.later(150, silent_s=149) == []
    _, request = bench.later(1, silent_s=150)
    assert request.params["resourceVersion"] == "12"
    assert bench.machine.idle_watches == 1


def test_an_error_is_told_with_its_text_until_it_is_over():
    bench = Bench()
    bench.watching("10")
    bench.failed(StatusError(403, "Forbidden", 'pods is forbidden: User "dev" cannot watch'))
    assert bench.machine.state is State.BACKOFF
    assert "cannot watch" in str(bench.machine.error)
    bench.later(60)
    bench.opened()
    assert bench.machine.error is None


@pytest.fixture
def rig(tmp_path):
    rig = ShardRig(tmp_path / "shard")
    yield rig
    rig.shard.close(clean=False)


def test_synced_is_listed_then_stored_then_handled(rig):
    handler = rig.join()
    group = rig.shard.groups["g"]

    def levels():
        return rig.shard.is_listed, rig.shard.is_stored, group.is_synced

    assert levels() == (False, False, False)
    rig.begin(1)
    rig.pop(("R", "a/k", "u1", "50"), ("R", "a/l", "u2", "51"))
    first, second = handler.take()
    handler.answer(first)
    assert levels() == (False, False, False), "half a list is not a list"
    rig.end("100", 1)
    assert levels() == (True, True, False), "stored is not yet handled"
    handler.answer(second)
    assert levels() == (True, True, True)
    rig.begin(2)
    assert levels() == (True, False, True), "once synced, a later list does not make it unsynced"
