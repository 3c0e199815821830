"""A reader that pins the cache is ours to kill if it is a handler or a handler's child, and only then."""

from typing import Any

from deltawire.cli.supervisor.pins import PinJudge

HANDLERS = {100: "printer-0", 200: "counter-0"}
# pid → parent: 101 was started by a handler, 103 by 101; 300 is somebody's shell.
PARENTS = {100: 1, 200: 1, 101: 100, 103: 101, 300: 1}


def report(*pids: int) -> dict[str, Any]:
    return {"informers": {"dev/pods": {"shards": {"0": {"pinned_by": []}, "1": {"pinned_by": list(pids)}}}}}


def judge(made: PinJudge, *pids: int) -> list[tuple[int, str]]:
    return [(pin.pid, pin.handler) for pin in made.judge(report(*pids), HANDLERS)]


def made() -> PinJudge:
    return PinJudge(lambda pid: PARENTS.get(pid, 0))


def test_a_handler_and_what_it_started_are_found_by_their_ancestors() -> None:
    assert judge(made(), 100, 101, 103, 200) == [
        (100, "printer-0"), (101, "printer-0"), (103, "printer-0"), (200, "counter-0"),
    ]  # fmt: skip


def test_a_process_that_is_not_ours_is_told_once() -> None:
    one = made()
    assert judge(one, 300) == [(300, "")]
    assert judge(one, 300) == []


def test_a_handler_that_has_ended_since_the_report_is_nobodys() -> None:
    assert judge(PinJudge(lambda pid: 0), 100) == [(100, "")]


def test_a_report_without_shards_pins_nothing() -> None:
    assert made().judge({"role": "fifo", "informers": {"dev/pods": {"depth": 3}}}, HANDLERS) == []
