import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from deltawire.client.tools.leader_election.attempt import Held
from deltawire.client.tools.leader_election.elector import Callbacks, ElectionTimes, LeaderElector
from deltawire.client.tools.leader_election.record import LeaseRecord, from_spec, to_spec
from deltawire.client.tools.leader_election.term import Term
from deltawire.common.clock import Clock, FakeClock
from deltawire.common.errors import ConfigError, DeltawireError, StatusError, TransportError

CONFLICT = StatusError(409, "Conflict", "modified")
CUT = TransportError("cut", reason="reset")


class Server:
    """One Lease with versions, shared by the locks of a test."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.lock = threading.Lock()

    @property
    def record(self) -> LeaseRecord:
        return from_spec((self.lease or {}).get("spec", {}))

    def put(self, record: LeaseRecord) -> None:
        """Somebody else's write."""
        version = self.lease["metadata"]["resourceVersion"] + 1 if self.lease else 1
        self.lease = {"metadata": {"resourceVersion": version}, "spec": to_spec(record)}


class FakeLock:
    """A lock on `Server`; ``before`` is called with each verb and may raise."""

    def __init__(
        self, server: Server, identity: str, before: Callable[[str], None] = lambda verb: None
    ) -> None:
        self.identity = identity
        self._server = server
        self._before = before
        self.calls: list[str] = []
        self.recorded: list[str] = []

    def _begin(self, verb: str) -> None:
        self.calls.append(verb)
        self._before(verb)

    def _held(self) -> Held:
        assert self._server.lease is not None
        return Held(self._server.record, self._server.lease)

    def get(self) -> Held | None:
        self._begin("get")
        return None if self._server.lease is None else self._held()

    def record_event(self, what: str) -> None:
        self.recorded.append(what)

    def create(self, record: LeaseRecord) -> Held:
        self._begin("create")
        self._server.put(record)
        return self._held()

    def update(self, record: LeaseRecord, held: Held) -> Held:
        self._begin("update")
        with self._server.lock:
            assert self._server.lease is not None
            if held.lease["metadata"] != self._server.lease["metadata"]:
                raise CONFLICT
            self._server.put(record)
            return self._held()


class Rig:
    """An elector in a thread of its own on a clock that its waits move."""

    def __init__(
        self,
        lock: FakeLock,
        *,
        work: Callable[[threading.Event], None] | None = None,
        clock: Clock | None = None,
        release: bool = False,
    ) -> None:
        self.stop = threading.Event()
        self.started = threading.Event()
        self.lost = threading.Event()
        self.stopped = threading.Event()
        self.leaders: list[str] = []
        self._work = work
        self.elector = LeaderElector(
            lock,
            Callbacks(self._lead, self.stopped.set, self.leaders.append),
            release_on_cancel=release,
            clock=clock or FakeClock(),
            random=lambda: 0.0,
        )
        self._thread = threading.Thread(target=self.elector.run, args=(self.stop,))
        self._thread.start()

    def _lead(self, over: threading.Event) -> None:
        self.started.set()
        if self._work is not None:
            self._work(over)
        over.wait(10)
        self.lost.set()

    def join(self) -> None:
        self._thread.join(10)
        assert not self._thread.is_alive()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def rigs() -> Iterator[list[Rig]]:
    made: list[Rig] = []
    yield made
    for rig in made:
        rig.stop.set()
        rig.join()


def test_the_first_candidate_makes_the_lease_and_leads(server: Server, rigs: list[Rig]):
    rig = Rig(FakeLock(server, "a"))
    rigs.append(rig)
    assert rig.started.wait(10)
    assert server.record.holder == "a"
    assert rig.elector.is_leader
    rig.stop.set()
    rig.join()
    assert rig.lost.wait(10)
    assert rig.leaders == ["a"]


def test_renewals_need_no_read_after_the_first(server: Server, rigs: list[Rig]):
    renewed = threading.Event()
    lock = FakeLock(server, "a", lambda verb: renewed.set() if verb == "update" else None)
    rigs.append(Rig(lock))
    assert renewed.wait(10)
    assert lock.calls[:3] == ["get", "create", "update"]
    assert rigs[0].elector.slow_paths == 0


def test_a_conflict_reads_and_renews(server: Server, rigs: list[Rig]):
    seen = threading.Event()

    def before(verb: str) -> None:
        if verb == "update" and not seen.is_set():
            seen.set()
            raise CONFLICT

    rig = Rig(FakeLock(server, "a", before))
    rigs.append(rig)
    assert seen.wait(10)
    rig.stop.set()
    rig.join()
    assert rig.elector.slow_paths == 1
    assert rig.elector.is_leader


def test_leadership_ends_when_nothing_is_renewed_until_the_deadline(server: Server):
    clock = FakeClock()

    def before(verb: str) -> None:
        if server.lease is not None:
            raise CUT

    rig = Rig(FakeLock(server, "a", before), clock=clock)
    rig.join()  # by itself: nobody said stop
    assert rig.lost.wait(10)
    assert rig.stopped.is_set()
    assert ElectionTimes().renew_deadline_s <= clock.now_s() < ElectionTimes().lease_duration_s


def test_leadership_ends_at_once_when_another_holds_the_lease(server: Server):
    clock = FakeClock()

    def before(verb: str) -> None:
        if verb == "update":
            server.put(LeaseRecord("b", 15, 0, 0, 1))

    rig = Rig(FakeLock(server, "a", before), clock=clock)
    rig.join()
    assert not rig.elector.is_leader
    assert rig.elector.leader == "b"
    assert clock.now_s() < ElectionTimes().renew_deadline_s
    assert rig.leaders == ["a", "b"]


@pytest.mark.parametrize("error", [CUT, CONFLICT, StatusError(500, "InternalError", "no")])
def test_a_candidate_goes_on_after_any_failure(server: Server, rigs: list[Rig], error: DeltawireError):
    left = [error] * 3

    def before(verb: str) -> None:
        if left:
            raise left.pop()

    rigs.append(Rig(FakeLock(server, "a", before)))
    assert rigs[0].started.wait(10)


def test_a_term_is_recorded_from_its_begin_to_its_end(server: Server):
    lock = FakeLock(server, "a")
    rig = Rig(lock)
    try:
        assert rig.started.wait(10)
        assert lock.recorded == ["became leader"]
    finally:
        rig.stop.set()
    rig.join()
    assert lock.recorded == ["became leader", "stopped leading"]


def test_a_candidate_waits_for_the_lease_of_another_to_end(server: Server, rigs: list[Rig]):
    server.put(LeaseRecord("dead", 15, 0, 0, 4))
    clock = FakeClock()
    rigs.append(Rig(FakeLock(server, "a"), clock=clock))
    assert rigs[0].started.wait(10)
    assert clock.now_s() >= 15
    assert server.record.transitions == 5
    rigs[0].stop.set()
    rigs[0].join()
    assert rigs[0].leaders == ["dead", "a"]


def test_a_stop_before_leadership_still_says_stopped(server: Server):
    server.put(LeaseRecord("b", 15, 0, 0, 0))
    stop, said = threading.Event(), threading.Event()
    stop.set()
    callbacks = Callbacks(lambda over: pytest.fail("it never led"), said.set)
    LeaderElector(FakeLock(server, "a"), callbacks, clock=FakeClock()).run(stop)
    assert said.is_set()


def test_a_release_lets_the_lease_go_after_the_work_has_ended(server: Server):
    ended: list[str] = []

    def work(over: threading.Event) -> None:
        over.wait(10)
        ended.append(server.record.holder)  # while the last work is done it is still ours

    rig = Rig(FakeLock(server, "a"), work=work, release=True)
    assert rig.started.wait(10)
    rig.stop.set()
    rig.join()
    assert ended == ["a"]
    assert server.record.holder == ""
    assert server.record.lease_duration_s == 1
    assert not rig.elector.is_leader


def test_a_release_tries_again_after_a_conflict(server: Server):
    stopped = threading.Event()
    conflicts = [CONFLICT, CONFLICT]

    def before(verb: str) -> None:
        if stopped.is_set() and verb == "update" and conflicts:
            raise conflicts.pop()

    rig = Rig(FakeLock(server, "a", before), release=True)
    assert rig.started.wait(10)
    stopped.set()
    rig.stop.set()
    rig.join()
    assert server.record.holder == ""


def test_without_release_the_lease_is_left_to_end(server: Server):
    rig = Rig(FakeLock(server, "a"))
    assert rig.started.wait(10)
    rig.stop.set()
    rig.join()
    assert server.record.holder == "a"


def test_a_lease_that_another_took_is_not_released(server: Server):
    rig = Rig(
        FakeLock(server, "a"),
        work=lambda over: (over.wait(10), server.put(LeaseRecord("b", 15)))[0],
        release=True,
    )  # type: ignore[func-returns-value, arg-type]  # only the order matters
    assert rig.started.wait(10)
    rig.stop.set()
    rig.join()
    assert server.record.holder == "b"


def test_work_that_fails_ends_the_leadership(server: Server, caplog: pytest.LogCaptureFixture):
    def work(over: threading.Event) -> None:
        raise ValueError("broken")

    rig = Rig(FakeLock(server, "a"), work=work, release=True)
    rig.join()
    assert "the leader's work failed" in caplog.text
    assert server.record.holder == ""


def test_a_term_ends_at_its_deadline_even_if_a_renewal_hangs():
    clock = FakeClock()
    term = Term(10, clock)
    clock.advance(9)
    assert not term.over.is_set()
    assert term.renewed(15)
    clock.advance(5)
    assert not term.over.is_set()
    clock.advance(1)
    assert term.over.wait(10)
    assert not term.renewed(99)
    term.end()


def test_the_health_check_finds_a_leader_that_does_not_renew(server: Server):
    clock = FakeClock()
    elector = LeaderElector(
        FakeLock(server, "a"), Callbacks(lambda over: None, lambda: None), clock=clock, random=lambda: 0.0
    )
    assert elector.check() == ""
    stop = threading.Event()
    stop.set()
    elector._candidate.observe(LeaseRecord("a", 15), clock.now_s())
    clock.advance(20)
    assert elector.check(tolerance_s=10) == ""
    assert "5 s too long" in elector.check()


@pytest.mark.parametrize(
    "times",
    [(15, 15, 2), (15, 10, 10), (15, 2.4, 2), (15, 10, 0), (0.5, 0.4, 0.1)],
)
def test_times_that_cannot_work_are_refused(times: tuple[float, float, float]):
    with pytest.raises(ConfigError):
        ElectionTimes(*times)
