"""A comparison that waits until what is on its way has come; what an ending and a kill make of it."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from deltawire.cli.supervisor.comparison import NONE, Difference, Settling
from deltawire.cli.supervisor.ending import Ending
from deltawire.cli.supervisor.kill_lines import describe
from deltawire.cli.supervisor.kills import Kills
from deltawire.cli.supervisor.machine import Machine, Spec
from deltawire.cli.supervisor.shape import GroupShape, Shape
from deltawire.cli.supervisor.status_model import StatusModel
from deltawire.cli.supervisor.status_types import KillStatus
from deltawire.common.errors import TransportError
from tests.support import reports
from tests.support.reports import us

NAME = "dev/pods"


def at_once(job: Callable[[], Any]) -> "Future[Any]":
    future: Future[Any] = Future()
    try:
        future.set_result(job())
    except Exception as error:
        future.set_exception(error)
    return future


def behind(version: str, key: str = "a/x") -> Difference:
    return Difference(NAME, key, ("u", version), ("u", "99"))


def settling(looks: list[list[Difference]], *, is_still: bool, deadline_s: float = 100.0) -> Settling:
    return Settling(lambda: looks.pop(0) if len(looks) > 1 else looks[0], at_once, deadline_s, is_still)


def settle(made: Settling, *, until_s: float = 200.0) -> float:
    now_s = 0.0
    while not made.turn(now_s) and now_s < until_s:
        now_s += 0.1
    return now_s


def test_no_difference_settles_at_the_first_look() -> None:
    made = settling([[]], is_still=True)
    assert settle(made) < 1
    assert made.differences == []


def test_a_difference_that_goes_away_is_none() -> None:
    made = settling([[behind("1")], [behind("1")], []], is_still=True)
    settle(made)
    assert made.differences == []


def test_a_difference_that_stays_is_told_at_the_deadline() -> None:
    made = settling([[behind("1")]], is_still=True, deadline_s=5.0)
    assert settle(made) >= 5.0
    assert made.differences == [behind("1")]


def test_under_churn_a_key_whose_stored_version_moves_is_no_difference() -> None:
    made = settling([[behind("1")], [behind("2")]], is_still=False)
    assert settle(made) < 3
    assert made.differences == []


def test_under_churn_a_key_whose_stored_version_stands_still_is_one() -> None:
    made = settling([[behind("1")]], is_still=False, deadline_s=5.0)
    settle(made)
    assert made.differences == [behind("1")]


def test_a_server_that_cannot_be_asked_is_a_problem() -> None:
    def look() -> list[Difference]:
        raise TransportError("refused", reason="refused")

    made = Settling(look, at_once, 3.0, True)
    settle(made)
    assert made.problem == "refused"


def test_a_difference_says_who_has_what() -> None:
    assert str(Difference(NAME, "a/x", NONE, ("u", "7"))) == (
        "dev/pods a/x: at 7 in the API server, not in the cache"
    )
    assert str(Difference(NAME, "/x", ("u", "6"), NONE)) == (
        "dev/pods x: at 6 in the cache, not in the API server"
    )
    assert "at 6 in the cache, at 99 in the API server" in str(behind("6"))


SHAPE = Shape({NAME: {"*": "reflector-0"}}, ["worker-0"], {"printer": GroupShape([NAME])})


def synced_model(*, pending: int = 0, dead: int = 0, at_s: float = 50.0) -> StatusModel:
    model = StatusModel(SHAPE, silent_s=1e9, started_us=us(-100.0))
    for second in (at_s - 1, at_s):
        report(model, second, pending=pending, dead=dead)
    return model


def report(model: StatusModel, at_s: float, *, pending: int = 0, dead: int = 0) -> None:
    said = {
        "reflector-0": reports.reflector(at_s),
        "fifo": reports.fifo(at_s, shards_open=1),
        "printer-0": reports.handler(at_s),
        "worker-0": reports.worker(0, at_s, pending=pending, dead=dead),
    }
    for name, body in said.items():
        model.on_status(name, body, at_s, us(at_s))


def ending(looks: list[list[Difference]], stopped: list[str]) -> Ending:
    def make(deadline_s: float, is_still: bool) -> Settling:
        return settling(looks, is_still=is_still, deadline_s=deadline_s)

    return Ending(lambda: stopped.append("churn"), at_once, make)


def run(made: Ending, model: StatusModel, from_s: float = 0.0) -> float:
    now_s = from_s
    while not made.turn(now_s, model) and now_s < from_s + 100:
        now_s += 0.1
    return now_s - from_s


def test_an_ending_stops_the_churn_and_finds_nothing_wrong() -> None:
    stopped: list[str] = []
    made = ending([[]], stopped)
    run(made, synced_model())
    assert stopped == ["churn"]
    assert made.failures == []


def test_an_ending_waits_for_a_report_that_is_newer_than_the_comparison() -> None:
    made = ending([[]], [])
    model = synced_model(at_s=-1.0)
    for tenth in range(20):
        assert not made.turn(tenth / 10, model)
    report(model, 2.0)
    assert made.turn(2.1, model)
    assert made.failures == []


def test_an_ending_names_what_is_pending_dead_and_different() -> None:
    made = ending([[behind("1", f"a/{i}") for i in range(5)]], [])
    run(made, synced_model(pending=3, dead=2))
    text = "\n".join(made.failures)
    assert "5 keys differ" in text
    assert "and 2 more" in text
    assert "printer: 3 events are still pending" in text
    assert "printer: 2 dead letters" in text


def test_an_interrupted_comparison_names_what_was_not_looked_at() -> None:
    made = ending([[behind("1")]], [])
    made.interrupt()
    assert made.failures == [], "it had not begun"
    for tenth in range(20):
        assert not made.turn(tenth / 10, synced_model())
    made.interrupt()
    made.interrupt()
    assert made.failures == [
        "interrupted: the caches were not compared with the API server to the end",
        "interrupted: it is not known whether every handler has acknowledged everything",
    ]


def test_an_interrupt_after_everything_was_looked_at_changes_nothing() -> None:
    made = ending([[]], [])
    run(made, synced_model())
    made.interrupt()
    assert made.failures == []


def test_an_ending_does_not_call_done_what_nobody_can_say() -> None:
    model = synced_model()
    model.on_gone("worker-0", us(60.0))
    made = ending([[]], [])
    run(made, model)
    text = "\n".join(made.failures)
    assert "printer: it is not known what is pending" in text
    assert f"{NAME}: worker-0 is not heard" in text


def test_a_kill_is_told_when_the_successor_is_ready_and_nothing_differs() -> None:
    machine = Machine([Spec("fifo", "fifo", 0)], drain_deadline_s=1.0, random=lambda: 0.0)
    machine.tick(0.0)
    machine.on_ready("fifo", 0.1)
    kills = Kills(lambda deadline_s, is_still: settling([[]], is_still=is_still, deadline_s=deadline_s))
    kills.begin("fifo", 1.0, machine.restarts("fifo"))
    assert kills.turn(1.0, machine, lambda _: True) == []
    machine.on_exit("fifo", -9, 1.0)
    machine.tick(1.5)
    machine.on_ready("fifo", 1.7)
    lines: list[str] = []
    for tenth in range(17, 30):
        lines += kills.turn(tenth / 10, machine, lambda _: True)
    assert lines == ["fifo killed: back after 0.7 s · restarts 1 · lost 0"]
    assert kills.statuses["fifo"] == KillStatus(restarts=1, took_s=0.7, lost=0)


def test_a_kill_without_a_successor_is_told_after_a_minute() -> None:
    machine = Machine([Spec("fifo", "fifo", 0)], drain_deadline_s=1.0, random=lambda: 0.0)
    kills = Kills(lambda *_: settling([[]], is_still=False))
    kills.begin("fifo", 0.0, 0)
    assert kills.turn(59.9, machine, lambda _: True) == []
    assert kills.turn(60.0, machine, lambda _: True) == [
        "fifo killed: restarts 0 · lost unknown (not back after 60 s)"
    ]


def test_what_is_lost_is_counted() -> None:
    assert describe("w", KillStatus(restarts=2, took_s=0.25, lost=4)) == (
        "w killed: back after 0.2 s · restarts 2 · lost 4"
    )
