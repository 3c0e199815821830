"""P8 for informers of this process: how old a cache may be is said of what is stored, and unknown is not fresh."""

import time

import pytest

from deltawire.common.clock import SystemClock
from deltawire.common.errors import StatusError
from deltawire.common.meta.resources import find
from deltawire.handlers.freshness import Freshness
from deltawire.local.informer import SharedIndexInformer
from deltawire.local.listers import Lister
from tests.support.informer_rig import PlayedServer, Recorder, running, stored, until

# What the server puts on its way may be for a moment in a socket, or before a thread that is not scheduled yet.
ON_ITS_WAY_S = 0.5


class ShiftedClock(SystemClock):
    """The wall's time can be put forward."""

    def __init__(self):
        self.shift_s = 0.0

    def wall_s(self):
        return super().wall_s() + self.shift_s


@pytest.fixture
def server():
    return PlayedServer()


@pytest.fixture
def clock():
    return ShiftedClock()


@pytest.fixture
def informer(server, clock):
    return SharedIndexInformer("pods", server, random=lambda: 0.0, clock=clock)


def until_fresh(informer, after_s=0.0):
    def found():
        said = informer.freshness()
        return said if said.is_fresh and (said.as_of_s or 0.0) > after_s else None

    return until(found, informer.freshness)


def test_nothing_is_known_before_the_first_list_and_after_the_stop(server, informer):
    assert informer.freshness() == Freshness(why="unknown: the informer was not started")
    server.failures = [StatusError(403, "Forbidden", "no rights")] * 10_000
    informer.start()
    until(lambda: "no rights" in informer.freshness().why, informer.freshness)
    said = informer.freshness()
    assert (said.is_fresh, said.as_of_s, said.proof_age_s) == (False, None, None)
    assert said.why.startswith("unknown: it was not listed yet")
    server.failures.clear()
    until_fresh(informer)
    informer.stop()
    assert informer.join(30)
    assert informer.freshness() == Freshness(why="unknown: the informer has stopped")


def test_all_that_the_server_had_sent_until_as_of_is_stored(server, informer):
    with running(informer):
        for number in range(4):
            server.add(f"p{number}")
            written_s = time.time() + ON_ITS_WAY_S
            said = until_fresh(informer, after_s=written_s)
            assert stored(informer) == server.versions
            assert said.why == ""
            assert said.proof_age_s is not None


def test_an_idle_informer_goes_on_being_fresh(informer):
    with running(informer):
        first = until_fresh(informer)
        until_fresh(informer, after_s=first.as_of_s + 1.5)


@pytest.mark.parametrize("is_history_lost", [False, True])
def test_a_cache_that_is_not_watched_is_not_fresh_and_is_again_only_as_of_a_later_time(
    server, informer, is_history_lost
):
    with running(informer):
        before = until_fresh(informer)
        server.failures = [StatusError(403, "Forbidden", "no rights")] * 10_000
        server.add("late", is_seen=False)
        if is_history_lost:
            server.lose_history()
        else:
            server.cut()
        until(lambda: not informer.freshness().is_fresh, informer.freshness)
        said = informer.freshness()
        assert "it is not watched (" in said.why
        assert said.as_of_s >= before.as_of_s, "what was known is still so"
        withdrawn_s = time.time()
        server.failures.clear()
        after = until_fresh(informer)
        assert after.as_of_s > withdrawn_s
        if is_history_lost:
            assert stored(informer) == server.versions


def test_an_api_server_that_is_not_heard_makes_the_cache_stale(informer, clock):
    with running(informer):
        until_fresh(informer)
        clock.shift_s = 151.0
        said = until(lambda: (f := informer.freshness()).is_fresh or f, informer.freshness)
        assert not said.is_fresh
        assert said.why == f"the API server was last heard {said.proof_age_s:.0f} s ago"
        assert said.proof_age_s > 150


def test_what_waits_for_a_slow_handler_is_not_said_to_be_stored(server, informer):
    slow = Recorder()
    slow.gate.clear()
    informer.add_event_handler(slow, notifications_max=1)
    try:
        with running(informer):
            until_fresh(informer)
            for number in range(5):
                server.add(f"p{number}")
            written_s = time.time() + ON_ITS_WAY_S
            # It stands: as long as not all is stored, no later time is named.
            until(lambda: 1 <= len(stored(informer)) < 5)
            while time.time() < written_s + ON_ITS_WAY_S:
                assert (informer.freshness().as_of_s or 0.0) <= written_s
                time.sleep(0.02)
            assert len(stored(informer)) < 5
            slow.gate.set()
            until_fresh(informer, after_s=written_s)
            assert stored(informer) == server.versions
    finally:
        slow.gate.set()


def test_a_lister_says_what_its_informer_says_and_a_bare_one_knows_nothing(informer):
    pods = find("pods")
    lister = Lister(informer.get_indexer(), pods, freshness=informer.freshness)
    assert lister.freshness() == informer.freshness()
    with running(informer):
        until_fresh(informer)
        assert lister.freshness().is_fresh
    assert Lister(informer.get_indexer(), pods).freshness().why == "unknown: no informer keeps this cache"
