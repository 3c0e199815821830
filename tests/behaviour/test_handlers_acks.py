"""When a replica's acks leave: its loop turned by hand, a clock that the test moves, a worker that the test plays."""

import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import zmq

from deltawire.common.clock import FakeClock
from deltawire.common.config.load import parse
from deltawire.common.config.plan import Plan
from deltawire.common.control import Control
from deltawire.common.wire.identity import new_identity
from deltawire.handlers import runner as runner_module
from deltawire.handlers.dispatch import DONE, Call, Dispatch, Outcome, Reconcile, Route, Verdict
from deltawire.handlers.executor import Results
from deltawire.handlers.freshness import FreshnessBook
from deltawire.handlers.late_acks import ACKS_MAX, LATE_S, RIDE_PART, SOON_S
from deltawire.handlers.leaks import Leaks
from deltawire.handlers.owners import own_key
from deltawire.handlers.queries import Queries
from deltawire.handlers.resting import RestingHeartbeat
from deltawire.handlers.runner import Runner
from deltawire.handlers.settings import Settings
from deltawire.handlers.worker_link import WorkerLink
from tests.behaviour.test_handlers_runner import PODS, Worker, row
from tests.support.patience import wait_until

# Turns without anything new, in which what must not leave could.
QUIET_TURNS = 5


class Desk:
    """Calls end when the test says so. An `Executor`."""

    capacity = 129
    failure = ""
    malformed = 0

    def __init__(self) -> None:
        self.results = Results()
        self.calls: list[Call] = []

    def submit(self, calls: Sequence[Call]) -> None:
        self.calls += calls

    def overdue(self, since_s: float) -> list[str]:
        return []

    def close(self, grace_s: float) -> bool:
        return True

    def end(self, count: int = 1, outcome: Outcome = DONE) -> None:
        for _ in range(count):
            call = self.calls.pop(0)
            assert call.begin()
            if call.is_urgent or outcome is not DONE:
                self.results.put(call, outcome)
            else:
                self.results.leave(call, outcome, unawaited_max=ACKS_MAX)


class Rig:
    def __init__(self, folder: Path, **options: Any) -> None:
        self.context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.clock = FakeClock()
        self.looks: list[float] = []
        plan = Plan(parse({"version": 1, "runtime": {"dir": str(folder), "workers": 1}}))
        self.worker = Worker(self.context, plan)
        self.worker.asks = options.pop("asks", False)
        self.desk = Desk()
        dispatch = Dispatch({PODS: Route(frozenset("AG"), (Reconcile(0, PODS, own_key),))}, attempts_max=0)
        settings = Settings("group", "every", 1, 0.0, 0.0, 3, 256, 1 << 24, **options)
        queries = Queries(self.desk.results.wake, clock=self.clock)
        identity, endpoint = new_identity("handler", "group-0"), plan.endpoint("worker-0")
        self.link = WorkerLink(
            self.context,
            0,
            endpoint,
            identity,
            settings,
            [PODS],
            dispatch.held,
            clock=self.clock,
            silent_s=60,
        )
        control = cast(
            Control,
            SimpleNamespace(
                wants_drain=False,
                join=lambda *_, **__: None,
                moved=lambda: None,
                report=lambda _: None,
                close=lambda: None,
            ),
        )
        self.runner = Runner(
            settings, 0, dispatch, self.desk, [self.link], queries, control,
            RestingHeartbeat(self.context, 1.0, clock=self.clock),
            opened=lambda _: None,
            freshness=FreshnessBook([0], silent_s=60, clock=self.clock),
            clock=self.clock,
            drain_deadline_s=5.0,
            leaks=cast(Leaks, SimpleNamespace(look=lambda: self.looks.append(self.clock.now_s()))),
        )  # fmt: skip
        self.messages: list[Any] = []
        take = self.worker.take

        def counted(kind: str, body: list[Any]) -> None:
            self.messages.append(kind)
            take(kind, body)

        self.worker.take = counted  # type: ignore[method-assign]

    def turn(self) -> None:
        self.runner._loop.turn(self.runner._work, wait_s_max=0.005)
        self.worker.turn()

    def until(self, condition: Any, what: str) -> None:
        wait_until(condition, lambda: f"{what}; acks so far: {self.worker.acks}", seconds=15, turn=self.turn)

    def connect(self) -> None:
        self.until(lambda: self.worker.peer and self.link.is_open, "a session")

    def events(self, *rows: list[Any], kind: str = "A") -> None:
        """Sent, and their functions' calls handed out."""
        before = len(self.desk.calls)
        self.worker.send("events", PODS, 0, list(rows))
        self.until(lambda: len(self.desk.calls) == before + len(rows), "the calls")

    def quiet(self) -> None:
        for _ in range(QUIET_TURNS):
            self.turn()

    @property
    def seqs(self) -> list[int]:
        return [ack[3] for ack in self.worker.acks]


@pytest.fixture
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Of the group's settings, where a test gives some."""
    return getattr(request, "param", {})


@pytest.fixture
def rig(options: dict[str, Any]) -> Iterator[Rig]:
    folder = Path(tempfile.mkdtemp(prefix="dw-"))
    rig = Rig(folder, **dict(options))
    # Events without a reconcile, but where a test asks for both.
    rig.runner._dispatch._routes[PODS] = Route(frozenset("AG"))
    try:
        rig.connect()
        yield rig
    finally:
        if not rig.link.link.socket.closed:
            rig.runner._close()
        rig.worker.listener.close()
        rig.context.term()
        shutil.rmtree(folder)


def busy(rig: Rig) -> None:
    """An event has just been handled: those that follow closely are not alone."""
    rig.events(row("ns/z", 100))
    rig.desk.end()
    rig.until(lambda: rig.seqs == [100], "the ack of an event that is alone, with the clock standing still")
    rig.worker.acks.clear()
    rig.messages.clear()


def test_acks_of_cold_keys_leave_together_after_5_ms(rig: Rig) -> None:
    busy(rig)
    rig.events(row("ns/a", 1))
    rig.desk.end()
    rig.clock.advance(SOON_S / 2)
    rig.events(row("ns/b", 2))
    rig.desk.end()
    rig.quiet()
    assert rig.seqs == []
    rig.clock.advance(SOON_S / 2)
    rig.until(lambda: rig.seqs == [1, 2], "both acks")
    assert rig.messages.count("acks") == 1


def test_the_ack_of_an_event_that_is_alone_leaves_at_once(rig: Rig) -> None:
    busy(rig)
    for seq in range(1, 4):
        rig.clock.advance(2 * SOON_S)
        rig.events(row(f"ns/p{seq}", seq))
        rig.desk.end()
        rig.until(lambda: len(rig.seqs) == seq, "the ack, with the clock standing still")  # noqa: B023


def test_the_ack_of_a_hot_key_leaves_when_its_call_has_ended(rig: Rig) -> None:
    busy(rig)
    rig.events(row("ns/a", 1))
    rig.desk.end()
    rig.clock.advance(SOON_S)
    rig.until(lambda: rig.seqs == [1], "the first ack")
    for seq in range(2, 20):
        rig.events(row("ns/a", seq))
        rig.desk.end()
        rig.until(lambda: len(rig.seqs) == seq, "the ack, with the clock standing still")  # noqa: B023


def test_so_many_acks_leave_without_waiting(rig: Rig) -> None:
    busy(rig)
    rig.events(*(row(f"ns/p{seq}", seq) for seq in range(1, ACKS_MAX + 9)))
    rig.desk.end(ACKS_MAX)
    rig.until(lambda: len(rig.seqs) == ACKS_MAX, "a batch of acks")
    rig.desk.end(8)
    rig.quiet()
    assert len(rig.seqs) == ACKS_MAX
    rig.clock.advance(SOON_S)
    rig.until(lambda: len(rig.seqs) == ACKS_MAX + 8, "the rest")


def test_the_ack_of_a_slow_call_leaves_when_it_ends(rig: Rig) -> None:
    busy(rig)
    rig.events(row("ns/a", 1))
    rig.clock.advance(SOON_S)
    rig.quiet()
    rig.desk.end()
    rig.until(lambda: rig.seqs == [1], "the ack, with the clock standing still")


def test_an_ack_that_waits_when_its_session_is_lost_is_held_and_leaves_in_the_next(rig: Rig) -> None:
    busy(rig)
    rig.events(row("ns/a", 1, fence=4), row("ns/b", 2))
    rig.desk.end()
    rig.runner._collect()
    rig.worker.end_session()
    rig.until(lambda: len(rig.worker.hellos) == 2, "a second hello")
    assert rig.worker.hellos[1]["held"] == [[PODS, 0, "ns/a", 1, 4]], "what has not begun is given up"
    rig.until(lambda: rig.seqs == [1], "the ack, with the clock standing still")


@pytest.mark.parametrize("options", [{"asks": True}], indirect=True)
def test_acks_for_a_worker_that_asks_are_late_together_until_it_asks(rig: Rig) -> None:
    busy(rig)
    rig.clock.advance(LATE_S / 2)
    rig.events(row("ns/a", 1))
    rig.desk.end()
    rig.clock.advance(LATE_S / 2)
    rig.events(row("ns/b", 2))
    rig.events(row("ns/c", 3), row("ns/d", 4))
    rig.desk.end()
    rig.quiet()
    assert rig.seqs == []
    # Two calls are under way; of these the worker waits for one.
    rig.worker.send("acks-wanted", PODS, ["ns/c"])
    rig.until(lambda: rig.seqs == [1, 2], "the acks, with the clock standing still")
    rig.desk.end()
    rig.until(lambda: rig.seqs == [1, 2, 3], "the ack that is wanted, with the clock standing still")
    rig.desk.end()
    rig.quiet()
    assert rig.seqs == [1, 2, 3]
    rig.clock.advance(LATE_S)
    rig.until(lambda: rig.seqs == [1, 2, 3, 4], "the last ack")


@pytest.mark.parametrize("options", [{"asks": True}], indirect=True)
def test_acks_that_are_nearly_due_go_with_the_next_event(rig: Rig) -> None:
    busy(rig)
    rig.clock.advance(LATE_S / 2)
    rig.events(row("ns/a", 1))
    rig.desk.end()
    rig.clock.advance(LATE_S - RIDE_PART * LATE_S / 2)
    rig.worker.send("events", PODS, 0, [row("ns/b", 2)])
    rig.until(lambda: rig.seqs == [1], "the ack, with the clock standing still")


@pytest.mark.parametrize("options", [{"asks": True}], indirect=True)
def test_what_failed_and_what_comes_again_is_acknowledged_at_once(rig: Rig) -> None:
    busy(rig)
    rig.clock.advance(LATE_S / 2)
    rig.events(row("ns/a", 1, attempt=2))
    rig.desk.end()
    rig.until(lambda: rig.seqs == [1], "the ack of a second attempt")
    rig.events(row("ns/b", 2))
    rig.desk.end(outcome=Outcome(Verdict.RETRY, error="no"))
    rig.until(lambda: rig.seqs == [1, 2], "the ack of a failure")


def test_acks_that_wait_leave_before_the_goodbye_of_a_drain(rig: Rig) -> None:
    busy(rig)
    rig.events(row("ns/a", 1), row("ns/b", 2))
    rig.desk.end(2)
    stop = threading.Event()
    stop.set()
    # Beside it the worker reads, as a worker does.
    draining = threading.Thread(target=rig.runner.run, args=(stop,), daemon=True)
    draining.start()
    rig.worker.until(lambda: rig.worker.byes, "the goodbye")
    draining.join(15)
    assert not draining.is_alive()
    assert rig.worker.acked() == [("ns/a", 1, 0), ("ns/b", 2, 0)]
    assert rig.worker.byes == [2]


def test_a_notice_of_lost_changes_is_seen_at_once(rig: Rig) -> None:
    busy(rig)
    rig.events(row("ns/a", 1))
    rig.worker.send("gap", PODS, 0, 7, "relist", "*", 3, "100", "200", 0, 1)
    rig.until(lambda: len(rig.desk.calls) == 2, "the notice's call")
    rig.desk.end(2)
    rig.until(lambda: rig.worker.gaps_seen == [[PODS, 0, 7]], "the notice, with the clock standing still")


def test_what_waits_for_the_same_key_runs_at_once(rig: Rig) -> None:
    busy(rig)
    rig.runner._dispatch._routes[PODS] = Route(frozenset("A"), (Reconcile(0, PODS, own_key),))
    rig.events(row("ns/a", 1))
    assert rig.desk.calls[0].reconcile is None
    rig.desk.end()
    rig.until(lambda: rig.desk.calls, "the reconcile, with the clock standing still")
    assert rig.desk.calls[0].reconcile == 0


@pytest.mark.parametrize("options", [{"rate_per_s": 2.0, "burst": 1}], indirect=True)
def test_calls_begin_at_the_handlers_rate_and_what_waits_is_not_lost(rig: Rig) -> None:
    rig.worker.send("events", PODS, 0, [row(f"ns/p{seq}", seq) for seq in (1, 2, 3)])
    for begun in (1, 2, 3):
        rig.until(lambda: rig.desk.calls, f"call {begun}")
        rig.quiet()
        assert len(rig.desk.calls) == 1, "the clock stands still"
        rig.desk.end()
        rig.clock.advance(0.5)
    rig.until(lambda: sorted(rig.seqs) == [1, 2, 3], "the acks")


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sooner than a session on a clock that jumps is lost."""
    monkeypatch.setattr(runner_module, "LOOK_EVERY_S", 0.5)


def test_leaks_are_looked_for_again_and_again(often: None, rig: Rig) -> None:
    for looks in (1, 2, 3):
        rig.quiet()
        assert len(rig.looks) == looks - 1, "the clock stands still"
        rig.clock.advance(0.5)
        rig.until(lambda: len(rig.looks) == looks, "a look")  # noqa: B023
