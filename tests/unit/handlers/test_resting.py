"""A handler's loop at rest: its periods go with what its worker says each beat, and are kept without it."""

from collections.abc import Iterator
from itertools import pairwise
from random import Random

import pytest
import zmq

from deltawire.common.clock import FakeClock, SystemClock
from deltawire.common.limits import SILENT_INTERVALS_MAX
from deltawire.common.wire.identity import new_identity
from deltawire.common.wire.link import Link, Opened
from deltawire.common.wire.listener import Listener
from deltawire.common.wire.listener_events import Hello
from deltawire.handlers.resting import FOLLOW_S, SPARED_INTERVALS, RestingHeartbeat, RestingLoop
from tests.support.patience import wait_until

BEAT_S = 2.0


class Turns:
    def __init__(self) -> None:
        self.turns = 0

    def show(self) -> None:
        """To nobody."""


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def loop(clock: FakeClock) -> Iterator[RestingLoop]:
    loop = RestingLoop(clock, Turns(), idle_s=BEAT_S)
    yield loop
    loop.close()


def turn_until(loop: RestingLoop, clock: FakeClock, at_s: float) -> None:
    while clock.now_s() < at_s - 1e-6:
        loop.turn(wait_s_max=0)
        clock.advance(0.01)
    loop.turn(wait_s_max=0)


def test_periods_go_with_what_comes_in_each_of_them_and_are_kept_without_it(loop, clock):
    done: list[float] = []
    loop.every(BEAT_S, lambda: done.append(clock.now_s()))
    reports = loop.timer(lambda: reports.set(loop.next_beat_s(BEAT_S)))
    began_s = clock.now_s()
    reports.set(began_s)
    for number in range(1, 4):
        came_s = began_s + 1.5 + BEAT_S * number
        turn_until(loop, clock, came_s)
        loop.pull(BEAT_S, reports)
        assert done[-1] == pytest.approx(came_s, abs=0.02), "it does not go with what came"
        assert reports.at_s == pytest.approx(clock.now_s() + BEAT_S + FOLLOW_S)
    count = len(done)
    turn_until(loop, clock, came_s + BEAT_S / 2 - 0.1)
    loop.pull(BEAT_S, reports)
    assert len(done) == count, "less than half a period has passed"
    turn_until(loop, clock, came_s + 4.5 * BEAT_S)
    assert len(done) == count + 4, "it is not done where nothing comes"
    assert all(b - a < BEAT_S + 2 * FOLLOW_S for a, b in pairwise(done))


def test_what_was_done_just_before_something_came_goes_with_the_next_one(loop, clock):
    done: list[float] = []
    loop.every(BEAT_S, lambda: done.append(clock.now_s()))
    loop.turn(wait_s_max=0)
    came_s = []
    for _ in range(3):
        clock.advance(0.001)
        came_s.append(clock.now_s())
        loop.pull(BEAT_S, None)
        turn_until(loop, clock, came_s[-1] + BEAT_S - 0.001)
    assert done[1:] == came_s[1:]


@pytest.mark.parametrize("period_s", [0.3, BEAT_S])
@pytest.mark.parametrize("workers", [1, 2, 3, 16])
@pytest.mark.parametrize("seed", range(8))
def test_periods_are_kept_whenever_the_proofs_of_however_many_workers_come(clock, seed, workers, period_s):
    """Each of a handler's workers proves at an instant of its own in a beat."""
    random = Random(seed)
    loop = RestingLoop(clock, Turns(), idle_s=BEAT_S)
    began_s = clock.now_s()
    done: dict[str, list[float]] = {"period": [began_s], "report": [began_s]}
    loop.every(period_s, lambda: done["period"].append(clock.now_s()))

    def report() -> None:
        reports.set(loop.next_beat_s(period_s))
        done["report"].append(clock.now_s())

    reports = loop.timer(report)
    reports.set(began_s)
    proofs = sorted(
        began_s + period_s * (beat + phase) for phase in (random.random() for _ in range(workers)) for beat in range(20)
    )
    for at_s in proofs:
        turn_until(loop, clock, at_s)
        loop.pull(period_s, reports)
    loop.close()
    for name, times in done.items():
        gaps = [b - a for a, b in pairwise([*times, proofs[-1]])]
        assert max(gaps) < period_s + 2 * FOLLOW_S + 0.02, f"{name}: nothing for {max(gaps):.2f} s"


def test_periods_that_are_shorter_than_what_comes_do_not_go_with_it(loop, clock):
    done: list[int] = []
    loop.every(BEAT_S / 4, lambda: done.append(1))
    loop.turn(wait_s_max=0)
    clock.advance(BEAT_S / 5)
    loop.pull(BEAT_S, None)
    assert len(done) == 1


def test_a_loop_whose_periods_go_with_what_comes_sleeps_until_then(loop, clock):
    loop.turn(wait_s_max=0)
    clock.advance(BEAT_S)
    loop.pull(BEAT_S, None)
    assert loop._wait_ms(loop.sleep_s) >= 1000 * BEAT_S


def test_a_loop_that_beats_no_more_is_beaten_for_before_its_session_ends(tmp_path):
    assert SPARED_INTERVALS < SILENT_INTERVALS_MAX
    clock = SystemClock()
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    endpoint = f"ipc://{tmp_path}/s"
    listener = Listener(context, endpoint, clock=clock, silent_s=60)
    link = Link(context, endpoint, new_identity("handler", "h-0"), dict, clock=clock, silent_s=60)
    heartbeat = RestingHeartbeat(context, 0.3, clock=clock)
    heartbeat.watch(link)
    loop = RestingLoop(clock, heartbeat, idle_s=BEAT_S)
    heartbeat.join(loop, None)
    heard: list[bytes] = []
    take = listener._take

    def note(identity, frame, events):
        # Beats are what comes uncounted of a session that stands.
        if link.is_open:
            heard.append(identity)
        return take(identity, frame, events)

    listener._take = note

    def talk() -> None:
        for event in listener.receive():
            if isinstance(event, Hello):
                listener.welcome(event.peer)
        said.extend([*link.receive(), *link.tick()])

    said: list[object] = []
    try:
        wait_until(lambda: link.is_open, "no session", turn=talk)
        heartbeat.start()
        # The loop's first turn beats; then it stops.
        loop.turn(wait_s_max=0)
        wait_until(lambda: link.beat_identity in heard, lambda: f"heard of {heard}", turn=talk)
        assert heard[0] == link.identity.bytes
        assert [type(event) for event in said] == [Opened]
    finally:
        heartbeat.stop()
        loop.close()
        link.close()
        listener.close()
        context.term()
