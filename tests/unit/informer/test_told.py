"""P8 over hosts: what a worker tells other hosts of itself, as ages of its own clock."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from deltawire.common.clock import FakeClock
from deltawire.common.wire.messages.proofs import Proof
from deltawire.informer.claims import Claims
from deltawire.informer.told import Told
from deltawire.jetstream.states import InformerState, WorkerState

BOUND_US = 150_000_000


class Rig:
    """A worker with one informer of two shards, whose parts a test sets."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.is_connected = True
        self.proof: Proof | None = None
        self.handled_us = 0
        self.replica = SimpleNamespace(known=SimpleNamespace(name="web-0"))
        self.shards = {number: self.shard() for number in (0, 1)}
        self.informer = SimpleNamespace(name="dev/pods", error="", numbers=[0, 1], shards=self.shards)
        self.told = Told(
            cast(Any, {"dev/pods": self.informer}),
            cast(Claims, SimpleNamespace(of=lambda informer: self.proof, handled_us=lambda *of: self.handled_us)),
            lambda: self.is_connected,
            heartbeat_s=2.0,
            clock=self.clock,
        )

    def shard(self) -> Any:
        group = SimpleNamespace(is_synced=True, members=SimpleNamespace(here={"i": self.replica}))
        return SimpleNamespace(
            is_listed=True, is_stored=True, lag_ms=3.0, groups={"web": group}, pending=lambda group: 2
        )

    def prove(self, *, late_s: float = 0.0) -> None:
        now_us = int((self.clock.wall_s() - late_s) * 1e6)
        self.proof = Proof(now_us, now_us, BOUND_US)

    def look(self) -> WorkerState:
        self.told.look()
        state = self.told.state()
        assert state is not None
        return state

    def said(self) -> InformerState:
        return self.look().informers["dev/pods"]


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.prove()
    return rig


def test_nothing_is_told_before_the_first_look(rig: Rig):
    assert rig.told.state() is None


def test_a_worker_whose_parts_are_well_says_so_with_its_groups(rig: Rig):
    state = rig.look()
    assert state.informers["dev/pods"] == InformerState(fresh=True, behind_s=0.0, still_s=0.0, lag_ms=3.0)
    group = state.groups["web"]["dev/pods"]
    assert (group.synced, group.pending, group.replicas) == (True, 4, ["web-0"])
    assert group.behind_s is None
    rig.handled_us = int((rig.clock.wall_s() - 2.5) * 1e6)
    assert rig.look().groups["web"]["dev/pods"].behind_s == 2.5


def test_what_was_told_is_as_old_as_the_last_look(rig: Rig):
    rig.look()
    rig.clock.advance(7.0)
    state = rig.told.state()
    assert state is not None
    assert state.age_s == 7.0
    assert state.age_s > state.silent_s


def test_an_informer_that_comes_no_further_is_not_synced_after_three_beats_whatever_hosts_clocks_say(rig: Rig):
    rig.look()
    for _ in range(3):
        rig.clock.advance(2.0)
        assert rig.said().synced
    rig.clock.advance(2.0)
    said = rig.said()
    assert not said.synced
    assert not said.fresh
    assert "nothing new of it was proven for 8 s" in said.why
    rig.prove(late_s=40.0)  # by the clock of a host that is 40 s behind
    said = rig.said()
    assert said.synced
    assert (said.still_s, said.behind_s) == (0.0, 40.0)


def test_a_proof_by_a_clock_that_is_ahead_is_of_no_negative_age(rig: Rig):
    rig.prove(late_s=-30.0)
    assert rig.said().behind_s == 0.0


def test_an_informer_whose_api_server_was_not_heard_in_time_is_synced_and_not_fresh(rig: Rig):
    rig.prove(late_s=200.0)
    said = rig.said()
    assert (said.synced, said.fresh) == (True, False)


def test_each_part_that_is_not_well_is_the_reason(rig: Rig):
    rig.is_connected = False
    assert rig.said().why == "the worker has no connection to the broker"
    rig.is_connected = True
    rig.shards[1].is_stored = False
    assert rig.said().why == "it is being listed again"
    rig.shards[1].is_listed = False
    assert rig.said().why == "it was not listed yet"
    del rig.shards[1]
    rig.proof = None
    assert rig.said().why == "its cache is not open"
    rig.informer.error = "the disk is full"
    assert rig.said().why == "the disk is full"


def test_what_was_not_proven_yet_is_not_synced(rig: Rig):
    rig.proof = None
    said = rig.said()
    assert (said.why, said.fresh, said.behind_s) == ("nothing of it was proven yet", False, None)


def test_an_informer_of_which_the_worker_has_no_shard_is_not_told_of(rig: Rig):
    rig.informer.numbers = []
    rig.shards.clear()
    assert rig.look().informers == {}
