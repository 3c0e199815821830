"""What a chaos run does to a pipeline is taken back, and looks like no crash loop."""

import signal

import pytest

from deltawire.apiserver.faults.plan import Fault, FaultPlan
from deltawire.cli.chaos import processes
from deltawire.cli.chaos.action_log import ActionLog
from deltawire.cli.chaos.actions import Action, Kind
from deltawire.cli.chaos.driver import Driver
from deltawire.cli.chaos.later import FINISH_S
from deltawire.cli.chaos.pipeline import ready_roles
from deltawire.cli.chaos.schedule import FAULTS, fault_query, schedule
from deltawire.cli.chaos.victims import HITS_MAX, WELL_MAX_S, WELL_S, Victims
from deltawire.cli.supervisor.machine import QUICK_FAILURES_MAX, QUICK_S, Machine, Phase, Spec
from deltawire.cli.supervisor.metrics import exposition
from deltawire.cli.supervisor.status_types import ProcessStatus, Snapshot, Totals
from deltawire.common.clock import FakeClock
from deltawire.common.errors import DeltawireError


class Server:
    """Rights and faults of an API server that takes nothing while it is away."""

    def __init__(self) -> None:
        self.is_there = self.is_granted = True
        self.faults: list[str] = []
        self.cuts = 0

    def kill(self) -> None:
        self.is_there = False

    stop = kill

    def start(self) -> None:
        self.is_there = True

    def signal(self, number: signal.Signals) -> None:
        self.is_there = number == signal.SIGCONT

    def grant(self) -> bool:
        self.is_granted = self.is_granted or self.is_there
        return self.is_there

    def forbid(self) -> bool:
        self.is_granted = self.is_granted and not self.is_there
        return self.is_there

    def admin(self, method: str, name: str, query: dict[str, object] | None = None) -> bool:
        if self.is_there and name == "faults":
            self.faults = [*self.faults, str(query["kind"])] if query else []
        self.cuts += self.is_there and name == "cut"
        return self.is_there


class Pipeline:
    """One broker that is always there. Its supervisor counts as the real one does."""

    def __init__(self, clock: FakeClock, *, ready_after_s: float) -> None:
        self._clock, self._ready_after_s = clock, ready_after_s
        self.machine = Machine([Spec("fifo", "fifo", 0)], drain_deadline_s=20.0, random=lambda: 0.0)
        self.pid = 0
        self._began_s = 0.0

    def look(self) -> None:
        now_s = self._clock.now_s()
        if self.machine.tick(now_s):
            self.pid, self._began_s = self.pid + 1, now_s
        if self.machine.phase("fifo") is Phase.STARTING and now_s >= self._began_s + self._ready_after_s:
            self.machine.on_ready("fifo", now_s)

    def end(self, code: int) -> None:
        self.machine.on_exit("fifo", code, self._clock.now_s())

    def victims(self, kind: str) -> list[tuple[str, int]]:
        is_there = self.machine.phase("fifo") in (Phase.STARTING, Phase.READY)
        return [("fifo", self.pid)] if kind == "fifo" and is_there else []

    def ready(self) -> set[str]:
        return {"fifo"} if self.machine.phase("fifo") is Phase.READY else set()

    def take_end(self) -> None:
        return None

    def orphans(self) -> dict[int, str]:
        return {}


def driven(tmp_path, clock: FakeClock, server: Server) -> Driver:
    log = ActionLog(tmp_path / "actions.jsonl", clock, lambda line: None)
    return Driver(server, Pipeline(clock, ready_after_s=1.0), log, clock)  # type: ignore[arg-type]


@pytest.mark.parametrize("away", [Kind.SERVER_KILL, Kind.SERVER_RESTART, Kind.SERVER_STOP])
@pytest.mark.parametrize("taken", [Kind.FORBID, Kind.FAULT])
def test_what_was_taken_is_given_back_when_the_server_that_was_away_then_is_there_again(
    tmp_path, taken, away
):
    clock, server = FakeClock(), Server()
    driver = driven(tmp_path, clock, server)
    actions = [
        Action(at_s=1.0, kind=taken, target="drop", amount=2.0, count=3),
        Action(at_s=1.5, kind=away, amount=9.0),
    ]
    driver.run(actions, until_s=5.0)
    assert clock.now_s() < 12.0
    driver.run([], until_s=1.0)
    assert server.is_granted
    assert server.faults == []
    assert driver.done == {taken: 1, away: 1}


def test_the_end_of_a_run_waits_until_rights_are_given_back(tmp_path):
    clock, server = FakeClock(), Server()
    driver = driven(tmp_path, clock, server)
    driver.run([Action(at_s=1.0, kind=Kind.FORBID, amount=100.0)], until_s=2.0)
    assert not server.is_granted
    driver.finish()
    assert server.is_granted


def test_a_right_that_cannot_be_given_back_breaks_the_run_off_and_is_named(tmp_path):
    clock, server = FakeClock(), Server()
    driver = driven(tmp_path, clock, server)
    driver.run([Action(at_s=1.0, kind=Kind.FORBID, amount=100.0)], until_s=2.0)
    server.kill()
    with pytest.raises(DeltawireError, match=f"cannot give the rights back: tried for {FINISH_S:.0f} s"):
        driver.finish()


def test_a_process_that_is_stopped_twice_lies_still_until_both_stops_are_over(tmp_path, monkeypatch):
    clock = FakeClock()
    sent: list[tuple[signal.Signals, float]] = []
    monkeypatch.setattr(processes, "send", lambda pid, number: sent.append((number, clock.now_s())) or True)
    log = ActionLog(tmp_path / "actions.jsonl", clock, lambda line: None)
    pipeline = Pipeline(clock, ready_after_s=0.0)
    pipeline.look()
    driver = Driver(Server(), pipeline, log, clock)  # type: ignore[arg-type]
    stops = [Action(at_s=1.0, kind=Kind.STOP, target="fifo", amount=9.0),
             Action(at_s=2.0, kind=Kind.STOP, target="fifo", amount=1.0)]  # fmt: skip
    driver.run(stops, until_s=12.0)
    assert [number for number, _ in sent] == [signal.SIGSTOP, signal.SIGSTOP, signal.SIGCONT]
    assert sent[-1][1] >= 10.0


def test_the_api_server_takes_each_fault_of_a_schedule():
    actions = [a for seed in range(20) for a in schedule(seed, 300.0) if a.kind is Kind.FAULT]
    assert {action.target for action in actions} == set(FAULTS)
    for action in actions:
        plan = FaultPlan()
        plan.add(Fault(**fault_query(action)))
        assert [fault.kind for fault in plan.faults] == [action.target]


@pytest.mark.parametrize("ready_after_s", [3.0, 12.0])
def test_a_role_that_starts_slowly_is_hit_often_and_never_given_up(ready_after_s):
    clock = FakeClock()
    pipeline = Pipeline(clock, ready_after_s=ready_after_s)
    complaints: list[tuple[str, str]] = []
    victims = Victims(pipeline, clock, pipeline.look, lambda *complaint: complaints.append(complaint))
    for _ in range(5 * QUICK_FAILURES_MAX):
        name, pid = victims.one(Action(at_s=0.0, kind=Kind.KILL, target="fifo"))
        assert (name, pid) == ("fifo", pipeline.pid)
        victims.hit(name)
        pipeline.end(-signal.SIGKILL)
    assert pipeline.machine.phase("fifo") is not Phase.GAVE_UP
    assert complaints == []


def test_a_role_whose_command_is_killed_again_and_again_is_not_given_up_either():
    """Its end is its own then, with exit code 1, and counts until it has been ready for a while."""
    clock = FakeClock()
    pipeline = Pipeline(clock, ready_after_s=0.1)
    victims = Victims(pipeline, clock, pipeline.look, pytest.fail)
    for _ in range(5 * QUICK_FAILURES_MAX):
        name, _ = victims.one(Action(at_s=0.0, kind=Kind.KILL, target="fifo"))
        victims.hit(name)
        pipeline.end(1)
    assert pipeline.machine.phase("fifo") is not Phase.GAVE_UP


def test_a_role_that_is_never_well_is_left_alone_and_complained_of():
    clock = FakeClock()
    pipeline = Pipeline(clock, ready_after_s=10 * WELL_MAX_S)
    complaints: list[tuple[str, str]] = []
    victims = Victims(pipeline, clock, pipeline.look, lambda *complaint: complaints.append(complaint))
    for _ in range(HITS_MAX):
        victims.hit("fifo")
    assert victims.one(Action(at_s=0.0, kind=Kind.KILL, target="fifo")) == ("", 0)
    assert [rule for rule, _ in complaints] == ["unwell"]
    victims.forget()
    assert victims.one(Action(at_s=0.0, kind=Kind.KILL, target="fifo")) == ("fifo", pipeline.pid)


def test_hits_in_a_row_are_fewer_than_what_a_supervisor_gives_up_for():
    assert HITS_MAX < QUICK_FAILURES_MAX
    assert WELL_S > QUICK_S


def test_the_ready_roles_are_read_from_the_metrics_of_a_pipeline():
    states = {"fifo": "ready", "worker-0": "starting", "every-0": "ready", "reflector-0": "silent"}
    processes = {name: ProcessStatus(role="role", state=state) for name, state in states.items()}
    snapshot = Snapshot(
        state="starting", up_s=1.0, first_event_s=None, synced=False, totals=Totals(), lag_p50_ms=None,
        lag_p99_ms=None, processes=processes, streams={}, informers={}, groups={},
    )  # fmt: skip
    assert ready_roles(exposition(snapshot).decode()) == {"fifo", "every-0"}
