"""`lister.freshness()`: of the slowest shard and stream, unknown while one of the workers does not report."""

from deltawire.common.clock import FakeClock
from deltawire.common.wire.messages.proofs import InformerProof, Proof
from deltawire.handlers.freshness import FreshnessBook

PODS = "dev/pods"
SILENT_S = 6.0
BOUND_S = 150.0


class Desk:
    """A book of two workers, and its clock."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.book = FreshnessBook([0, 1, 0, 1], silent_s=SILENT_S, clock=self.clock)

    def say(
        self, worker: int, *, proof_age_s: float = 0.0, as_of_age_s: float = 0.0, informer: str = PODS
    ) -> None:
        now = self.clock.wall_s()
        proof = Proof(*(int(s * 1e6) for s in (now - as_of_age_s, now - proof_age_s, BOUND_S)))
        self.book.said(worker, [InformerProof(informer, proof)])


def test_nothing_is_known_until_every_worker_has_spoken() -> None:
    desk = Desk()
    assert not desk.book.of(PODS).is_fresh
    desk.say(0)
    found = desk.book.of(PODS)
    assert (found.is_fresh, found.as_of_s, found.proof_age_s) == (False, None, None)
    assert found.why == "unknown: worker-1 is not heard"
    desk.say(1)
    assert desk.book.of(PODS).is_fresh


def test_it_is_as_old_as_the_slowest_part() -> None:
    desk = Desk()
    desk.say(0, proof_age_s=3.0)
    desk.say(1, proof_age_s=40.0, as_of_age_s=7.0)
    found = desk.book.of(PODS)
    assert found.is_fresh
    assert round(found.proof_age_s or 0) == 40
    assert round(desk.clock.wall_s() - (found.as_of_s or 0)) == 7


def test_it_is_not_fresh_when_the_api_server_was_not_heard_for_too_long() -> None:
    desk = Desk()
    desk.say(0)
    desk.say(1, proof_age_s=BOUND_S + 1)
    found = desk.book.of(PODS)
    assert not found.is_fresh
    assert found.why == "the API server was last heard 151 s ago"


def test_a_backlog_makes_it_old_too() -> None:
    desk = Desk()
    desk.say(0)
    desk.say(1, as_of_age_s=BOUND_S + 1)
    assert not desk.book.of(PODS).is_fresh


def test_a_worker_that_falls_silent_or_is_lost_makes_it_unknown() -> None:
    desk = Desk()
    for worker in (0, 1):
        desk.say(worker)
    desk.clock.advance(SILENT_S + 0.1)
    desk.say(0)
    assert desk.book.of(PODS).why == "unknown: worker-1 is not heard"
    desk.say(1)
    assert desk.book.of(PODS).is_fresh
    desk.book.lost(0)
    assert desk.book.of(PODS).why == "unknown: worker-0 is not heard"


def test_what_a_worker_does_not_name_is_not_known() -> None:
    desk = Desk()
    desk.say(0)
    desk.say(1, informer="dev/nodes")
    assert desk.book.of(PODS).why == "unknown: worker-1 cannot say yet how far it is"
