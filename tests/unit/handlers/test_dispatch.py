"""Order per key, one verdict per event, reconciles that meet: the rules of `Dispatch`."""

import random
from collections import Counter

import pytest

from deltawire.handlers.dispatch import (
    AFTER_S_MAX,
    DONE,
    RETRY_MAX_MS,
    Ack,
    Call,
    Dispatch,
    Outcome,
    Reconcile,
    Route,
    Verdict,
    retry_after_ms,
)
from deltawire.handlers.events import Delivery
from deltawire.handlers.owners import own_key

PODS, SETS = "dev/pods", "dev/replicasets.apps"
ALL = frozenset("AUDS")


def delivery(
    key: str, seq: int = 1, kind: str = "U", *, link: int = 0, attempt: int = 1, informer: str = PODS
):
    return Delivery(link, informer, 0, seq, key, kind, "u", str(seq), 0, attempt, 1, 0, b"{}", None)


def owner_of(d: Delivery) -> list[str]:
    """Pods a0, a1, … belong to a."""
    return [d.key[:-1]]


def events_only() -> Dispatch:
    return Dispatch({PODS: Route(ALL)}, attempts_max=0)


def owned() -> Dispatch:
    return Dispatch({PODS: Route(frozenset(), (Reconcile(0, SETS, owner_of),))}, attempts_max=0)


def finish(dispatch: Dispatch, call: Call, outcome: Outcome = DONE) -> list[Ack]:
    call.begin()
    return dispatch.ended(call, outcome)


def test_calls_of_one_key_wait_for_each_other_and_keep_their_order():
    dispatch = events_only()
    dispatch.arrive([delivery("n/a", 1), delivery("n/a", 2), delivery("n/b", 3)])
    first, other = dispatch.take(9)
    assert [first.newest.seq, other.newest.seq] == [1, 3]
    assert dispatch.take(9) == []
    finish(dispatch, first)
    [second] = dispatch.take(9)
    assert second.newest.seq == 2


def test_the_same_key_of_two_informers_is_two_keys():
    dispatch = Dispatch({PODS: Route(ALL), SETS: Route(ALL)}, 0)
    dispatch.arrive([delivery("n/a", 1), delivery("n/a", 1, informer=SETS)])
    assert len(dispatch.take(9)) == 2


def test_take_hands_out_no_more_than_asked_for():
    dispatch = events_only()
    dispatch.arrive([delivery(f"n/{i}", i) for i in range(5)])
    assert len(dispatch.take(2)) == 2
    assert len(dispatch.take(0)) == 0
    assert dispatch.calls_out == 2


@pytest.mark.parametrize(
    "kinds, kind, asked",
    [("A", "A", True), ("A", "U", False), ("UDS", "A", False), ("", "D", False), ("AUDS", "S", True)],
)
def test_events_without_a_function_are_acknowledged_at_once(kinds, kind, asked):
    dispatch = Dispatch({PODS: Route(frozenset(kinds))}, 0)
    acks = dispatch.arrive([delivery("n/a", 5, kind)])
    assert [(a.key, a.seq, a.verdict) for a in acks] == ([] if asked else [("n/a", 5, 0)])
    assert dispatch.skipped == (0 if asked else 1)


def test_an_informer_nobody_routes_is_acknowledged():
    assert len(Dispatch({}, 0).arrive([delivery("n/a")])) == 1


def test_events_of_one_owner_share_a_reconcile_and_are_acknowledged_together():
    dispatch = owned()
    dispatch.arrive([delivery("n/a0", 1), delivery("n/a1", 2), delivery("n/a2", 3)])
    [call] = dispatch.take(9)
    assert (call.key, call.target, call.reconcile, len(call.tickets)) == ("n/a", SETS, 0, 3)
    assert [a.seq for a in finish(dispatch, call)] == [1, 2, 3]
    assert dispatch.coalesced == 2


def test_an_event_that_comes_during_a_reconcile_waits_for_the_next():
    dispatch = owned()
    dispatch.arrive([delivery("n/a0", 1)])
    [call] = dispatch.take(9)
    assert dispatch.arrive([delivery("n/a1", 2)]) == []
    assert dispatch.take(9) == [], "two reconciles of one key at a time"
    assert [a.seq for a in finish(dispatch, call)] == [1]
    [again] = dispatch.take(9)
    assert [a.seq for a in finish(dispatch, again)] == [2]


def test_functions_and_reconcile_of_one_key_take_turns_and_both_must_end():
    dispatch = Dispatch({PODS: Route(ALL, (Reconcile(0, PODS, own_key),))}, 0)
    dispatch.arrive([delivery("n/a", 1)])
    [call] = dispatch.take(9)
    assert call.reconcile is None
    assert finish(dispatch, call) == []
    [reconcile] = dispatch.take(9)
    assert reconcile.reconcile == 0
    assert len(finish(dispatch, reconcile)) == 1


def test_an_event_with_two_owners_waits_for_both():
    both = Reconcile(0, SETS, lambda d: ["n/old", "n/new"])
    dispatch = Dispatch({PODS: Route(frozenset(), (both,))}, 0)
    dispatch.arrive([delivery("n/a", 1)])
    one, two = dispatch.take(9)
    assert finish(dispatch, one, Outcome(Verdict.RETRY, None, "no")) == []
    [ack] = finish(dispatch, two)
    assert (ack.verdict, ack.error) == (1, "no"), "the worst outcome decides"


def test_an_event_without_an_owner_is_acknowledged_at_once():
    dispatch = Dispatch({PODS: Route(frozenset(), (Reconcile(0, SETS, lambda d: []),))}, 0)
    assert len(dispatch.arrive([delivery("n/a")])) == 1


@pytest.mark.parametrize(
    "outcome, attempt, verdict, after_ms",
    [
        (DONE, 1, 0, 0),
        (Outcome(Verdict.REQUEUE, 30.0), 1, 1, 30_000),
        (Outcome(Verdict.REQUEUE, 30.0), 99, 1, 30_000),
        (Outcome(Verdict.RETRY, None, "x"), 1, 1, 5),
        (Outcome(Verdict.RETRY, None, "x"), 3, 1, 20),
        (Outcome(Verdict.RETRY, 0.0, "x"), 3, 1, 0),
        (Outcome(Verdict.RETRY, None, "x"), 4, 2, 0),
        (Outcome(Verdict.DEAD, None, "x"), 1, 2, 0),
    ],
)
def test_verdicts_on_the_wire(outcome, attempt, verdict, after_ms):
    dispatch = Dispatch({PODS: Route(ALL)}, attempts_max=4)
    dispatch.arrive([delivery("n/a", 1, attempt=attempt)])
    [call] = dispatch.take(9)
    [ack] = finish(dispatch, call, outcome)
    assert (ack.verdict, ack.after_ms, ack.error) == (verdict, after_ms, outcome.error)


@pytest.mark.parametrize("after_s", [1e300, float("inf")])
def test_however_long_a_delay_is_a_message_can_carry_it(after_s):
    dispatch = events_only()
    dispatch.arrive([delivery("n/a")])
    [call] = dispatch.take(1)
    [ack] = finish(dispatch, call, Outcome(Verdict.REQUEUE, after_s))
    assert ack.after_ms == 1000 * AFTER_S_MAX


def test_without_a_limit_a_failure_is_never_dead():
    dispatch = events_only()
    dispatch.arrive([delivery("n/a", 1, attempt=1000)])
    [ack] = finish(dispatch, dispatch.take(1)[0], Outcome(Verdict.RETRY, None, "x"))
    assert (ack.verdict, ack.after_ms) == (1, RETRY_MAX_MS)


def test_the_delay_doubles_from_5_ms_to_1000_s():
    assert [retry_after_ms(n) for n in (0, 1, 2, 3, 11)] == [5, 5, 10, 20, 5120]
    assert retry_after_ms(19) == RETRY_MAX_MS
    assert retry_after_ms(10_000) == RETRY_MAX_MS


def test_a_requeue_parks_one_of_the_events_that_asked():
    dispatch = owned()
    dispatch.arrive([delivery("n/a0", 1), delivery("n/a1", 2)])
    acks = finish(dispatch, dispatch.take(1)[0], Outcome(Verdict.REQUEUE, 9.0))
    assert [(a.seq, a.verdict, a.after_ms) for a in acks] == [(1, 0, 0), (2, 1, 9000)]


def test_a_failed_reconcile_fails_all_that_asked():
    dispatch = owned()
    dispatch.arrive([delivery("n/a0", 1), delivery("n/a1", 2)])
    acks = finish(dispatch, dispatch.take(1)[0], Outcome(Verdict.RETRY, None, "x"))
    assert [a.verdict for a in acks] == [1, 1]


def test_a_lost_link_drops_what_nobody_began_and_holds_the_rest():
    dispatch = events_only()
    dispatch.arrive([delivery("n/a", 1), delivery("n/a", 2), delivery("n/b", 3), delivery("n/c", 4, link=1)])
    begun, handed_out = dispatch.take(2)
    assert begun.begin()
    assert dispatch.drop(0) == 2
    assert not handed_out.begin(), "the thread must not begin what was taken back"
    assert [d.seq for d in dispatch.held(0)] == [1]
    assert [d.seq for d in dispatch.held(1)] == [4]
    assert [c.newest.seq for c in dispatch.take(9)] == [4]
    [ack] = dispatch.ended(begun, DONE)
    assert (ack.seq, dispatch.held(0), dispatch.calls_out) == (1, [], 1)


def test_an_event_whose_first_call_has_begun_keeps_its_second():
    dispatch = Dispatch({PODS: Route(ALL, (Reconcile(0, SETS, owner_of),))}, 0)
    dispatch.arrive([delivery("n/a0", 1)])
    calls = {c.reconcile: c for c in dispatch.take(9)}
    assert calls[None].begin()
    assert dispatch.drop(0) == 0
    assert dispatch.ended(calls[None], DONE) == []
    [reconcile] = dispatch.take(9)
    assert [a.seq for a in finish(dispatch, reconcile)] == [1]


def test_a_taken_back_reconcile_keeps_the_events_of_other_links():
    dispatch = owned()
    dispatch.arrive([delivery("n/a0", 1, link=0), delivery("n/a1", 2, link=1)])
    dispatch.take(1)
    assert dispatch.drop(0) == 1
    [call] = dispatch.take(1)
    assert [t.delivery.seq for t in call.tickets] == [2]


def test_a_leaving_process_gives_back_what_nobody_began():
    dispatch = events_only()
    dispatch.arrive([delivery("n/a", 1), delivery("n/b", 2, link=1), delivery("n/b", 3, link=1)])
    begun, _ = dispatch.take(2)
    begun.begin()
    acks = dispatch.release(250)
    assert sorted((a.seq, a.link, a.verdict, a.after_ms, a.error) for a in acks) == [
        (2, 1, 1, 250, ""),
        (3, 1, 1, 250, ""),
    ]
    assert [a.seq for a in dispatch.ended(begun, DONE)] == [1]
    assert dispatch.events_held == 0


class World:
    """Workers that deliver and redeliver, threads that call, links that break; all by one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        reconciles = (Reconcile(0, PODS, own_key), Reconcile(1, SETS, owner_of))
        wanted = self.random.choice([ALL, frozenset("AU"), frozenset()])
        chosen = tuple(r for r in reconciles if self.random.random() < 0.7)
        self.route = Route(wanted, chosen)
        self.dispatch = Dispatch({PODS: self.route}, attempts_max=5)
        self.queued: list[Call] = []
        self.running: list[Call] = []
        self.verdicts: Counter[int] = Counter()
        self.dropped: Counter[int] = Counter()
        self.arrived: list[Delivery] = []
        self.begun_of_key: dict[tuple, list[int]] = {}
        self.seq = 0

    def step(self) -> None:
        chance = self.random.random()
        if chance < 0.35:
            self.arrive()
        elif chance < 0.6:
            self.queued += self.dispatch.take(self.random.randint(0, 3))
        elif chance < 0.78:
            self.begin()
        elif chance < 0.97:
            self.end()
        else:
            self.lose(self.random.randint(0, 1))

    def arrive(self) -> None:
        self.seq += 1
        key = f"n/{self.random.choice('ab')}{self.random.randint(0, 1)}"
        fresh = delivery(key, self.seq, self.random.choice("AUDS"), link=int(key[-1]))
        self.arrived.append(fresh)
        self.count(self.dispatch.arrive([fresh]))

    def begin(self) -> None:
        if self.queued:
            call = self.queued.pop(0)
            if call.begin():
                lane = (call.target, call.key)
                assert lane not in {(c.target, c.key) for c in self.running}, "two calls of a key overlap"
                self.running.append(call)
                if call.reconcile is None:
                    self.begun_of_key.setdefault(lane, []).append(call.newest.seq)

    def end(self) -> None:
        if self.running:
            call = self.running.pop(self.random.randrange(len(self.running)))
            outcome = Outcome(self.random.choice(list(Verdict)), None, "x")
            self.count(self.dispatch.ended(call, outcome))

    def lose(self, link: int) -> None:
        before = {d.seq for d in self.dispatch.held(link)}
        self.dispatch.drop(link)
        after = {d.seq for d in self.dispatch.held(link)}
        assert after <= before
        for seq in before - after:
            self.dropped[seq] += 1
        in_call = {t.delivery.seq for c in self.running for t in c.tickets if t.delivery.link == link}
        assert in_call <= after, "an event whose call runs was dropped"

    def count(self, acks: list[Ack]) -> None:
        for ack in acks:
            self.verdicts[ack.seq] += 1

    def settle(self) -> None:
        """No more events: everything that is left ends."""
        while calls := self.dispatch.take(10) or self.queued or self.running:
            if calls is not self.queued and calls is not self.running:
                self.queued += calls
            while self.queued:
                self.begin()
            while self.running:
                self.end()


@pytest.mark.parametrize("seed", range(300))
def test_any_interleaving_gives_each_event_one_verdict_and_keys_their_order(seed):
    world = World(seed)
    for _ in range(world.random.randint(20, 200)):
        world.step()
    world.settle()
    for arrived in world.arrived:
        verdicts, dropped = world.verdicts[arrived.seq], world.dropped[arrived.seq]
        assert (verdicts, dropped) in ((1, 0), (0, 1)), f"seed {seed}: event {arrived.seq}"
    for key, seqs in world.begun_of_key.items():
        assert seqs == sorted(seqs), f"seed {seed}: {key} out of order"
    assert (world.dispatch.calls_out, world.dispatch.events_held) == (0, 0)
    assert not world.dispatch._lanes, "lanes of idle keys are forgotten"
