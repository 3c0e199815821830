"""The life of processes: what is started, restarted, stopped and given up, and when."""

import signal

import pytest

from deltawire.cli.supervisor.machine import (
    QUEUES_WAIT_S,
    QUICK_FAILURES_MAX,
    Action,
    Machine,
    Phase,
    Signal,
    Spec,
    Start,
    describe_end,
)

SPECS = [
    Spec("fifo", "fifo", 2),
    Spec("worker-0", "informer", 2),
    Spec("reflector-0", "reflector", 0),
    Spec("printer-0", "handlers", 1, essential=False),
]


def machine(specs: list[Spec] | None = None) -> Machine:
    return Machine(specs or SPECS, drain_deadline_s=20.0, random=lambda: 0.0)


def running(specs: list[Spec] | None = None) -> Machine:
    made = machine(specs)
    made.tick(0.0)
    for spec in specs or SPECS:
        made.on_ready(spec.name, 0.5)
    return made


def terminated(actions: list[Action]) -> list[str]:
    return [a.name for a in actions if isinstance(a, Signal) and a.number is signal.SIGTERM]


def test_everything_is_started_at_once() -> None:
    assert machine().tick(0.0) == [Start(spec.name) for spec in SPECS]


def test_a_held_process_waits_for_its_release() -> None:
    made = machine([Spec("reflector-0", "reflector", 0, is_held=True)])
    assert made.tick(0.0) == []
    made.release("reflector")
    assert made.tick(0.1) == [Start("reflector-0")]


def test_a_process_that_ends_is_started_again_after_the_short_delay() -> None:
    made = running()
    assert made.on_exit("fifo", 1, 10.0) == []
    assert made.phase("fifo") is Phase.WAITING
    assert made.tick(10.1) == []
    assert made.tick(10.2) == [Start("fifo")]
    assert made.restarts("fifo") == 1


def test_delays_double_up_to_ten_seconds() -> None:
    made = machine([Spec("fifo", "fifo", 0)])
    now_s, delays = 0.0, []
    made.tick(now_s)
    for _ in range(10):
        made.on_ready("fifo", now_s)
        now_s += 6.0
        made.on_exit("fifo", 1, now_s)
        began_s = now_s
        while not made.tick(now_s):
            now_s += 0.05
        delays.append(round(now_s - began_s, 1))
    assert delays == pytest.approx([0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0, 10.0, 10.0], abs=0.06)


def test_an_essential_process_that_never_gets_ready_ends_the_pipeline_with_3() -> None:
    made = machine([Spec("fifo", "fifo", 0)])
    now_s = 0.0
    for _ in range(QUICK_FAILURES_MAX):
        while not made.tick(now_s):
            now_s += 0.5
        made.on_exit("fifo", 1, now_s)
    assert made.phase("fifo") is Phase.GAVE_UP
    assert made.is_over
    assert made.exit_code == 3
    assert "fifo failed 6 times right after its start (exit code 1)" in made.reason


def test_a_role_that_is_killed_before_it_is_ready_again_and_again_is_given_up_and_it_is_said_who_kills():
    made = machine([Spec("fifo", "fifo", 0)])
    now_s = 0.0
    for _ in range(QUICK_FAILURES_MAX):
        while not made.tick(now_s):
            now_s += 0.5
        made.on_exit("fifo", -signal.SIGKILL, now_s)
    assert made.phase("fifo") is Phase.GAVE_UP
    why = "killed by SIGKILL; by somebody, or by the kernel for want of memory"
    assert made.reason == f"fifo failed 6 times right after its start ({why})"


def test_a_role_that_refuses_its_config_is_not_asked_again() -> None:
    made = machine([Spec("fifo", "fifo", 0)])
    made.tick(0.0)
    made.on_exit("fifo", 2, 0.1)
    assert made.phase("fifo") is Phase.GAVE_UP
    assert made.exit_code == 2


def test_an_adopted_process_is_not_started_again() -> None:
    made = machine([Spec("apiserver", "apiserver", 0)])
    made.adopt("apiserver")
    assert made.tick(0.0) == []
    made.on_exit("apiserver", -9, 1.0)
    assert made.tick(2.0) == [Start("apiserver")]
    assert made.restarts("apiserver") == 1


def test_a_handler_that_is_given_up_leaves_the_others_running() -> None:
    made = running()
    now_s = 1.0
    for _ in range(QUICK_FAILURES_MAX):
        made.on_exit("printer-0", 1, now_s)
        while made.phase("printer-0") is Phase.WAITING and not made.tick(now_s):
            now_s += 0.5
    assert made.phase("printer-0") is Phase.GAVE_UP
    assert made.phase("fifo") is Phase.READY
    assert not made.is_draining
    assert made.exit_code == 3


def test_kills_of_a_ready_process_never_make_it_given_up() -> None:
    made = running()
    now_s = 1.0
    for _ in range(3 * QUICK_FAILURES_MAX):
        made.on_exit("fifo", -signal.SIGKILL, now_s)
        while not made.tick(now_s):
            now_s += 0.5
        made.on_ready("fifo", now_s)
    assert made.phase("fifo") is Phase.READY


def test_a_drain_goes_with_the_data() -> None:
    made = running()
    assert terminated(made.drain(10.0)) == ["reflector-0"]
    made.on_exit("reflector-0", 0, 10.1)
    assert made.tick(10.2, are_queues_empty=False) == []
    assert terminated(made.tick(10.3, are_queues_empty=True)) == ["printer-0"]
    assert made.tick(10.4) == []
    made.on_exit("printer-0", 0, 10.5)
    assert terminated(made.tick(10.6)) == ["fifo", "worker-0"]
    made.on_exit("fifo", 0, 10.7)
    made.on_exit("worker-0", 0, 10.8)
    assert made.is_over
    assert made.exit_code == 0


def test_queues_that_do_not_empty_delay_a_drain_only_so_long() -> None:
    made = running()
    made.drain(10.0)
    made.on_exit("reflector-0", 0, 10.1)
    assert made.tick(10.0 + QUEUES_WAIT_S - 0.1) == []
    assert terminated(made.tick(10.0 + QUEUES_WAIT_S)) == ["printer-0"]


def test_a_drain_past_its_deadline_kills_with_4() -> None:
    made = running()
    made.drain(10.0)
    assert made.tick(29.9) == []
    actions = made.tick(30.0)
    assert {a.name for a in actions} == {spec.name for spec in SPECS}
    assert all(isinstance(a, Signal) and a.number is signal.SIGKILL for a in actions)
    for spec in SPECS:
        made.on_exit(spec.name, -signal.SIGKILL, 30.1)
    assert made.is_over
    assert made.exit_code == 4


def test_a_second_signal_kills_everything_with_130() -> None:
    made = running()
    made.drain(10.0)
    actions = made.kill(10.5)
    assert {a.name for a in actions} == {spec.name for spec in SPECS}
    assert made.exit_code == 130


def test_nothing_is_started_again_while_draining() -> None:
    made = running()
    made.drain(10.0)
    made.on_exit("fifo", 1, 10.1)
    assert made.phase("fifo") is Phase.ENDED
    assert [a for a in made.tick(20.0) if isinstance(a, Start)] == []


def test_a_process_that_waits_for_its_restart_is_not_started_by_a_drain() -> None:
    made = running([Spec("fifo", "fifo", 0)])
    made.on_exit("fifo", 1, 9.9)
    made.drain(10.0)
    assert made.is_over


def test_a_silent_process_is_ready_again_when_it_is_heard() -> None:
    made = running()
    made.on_silent("fifo")
    assert made.phase("fifo") is Phase.SILENT
    made.on_ready("fifo", 20.0)
    assert made.phase("fifo") is Phase.READY


@pytest.mark.parametrize(
    ("code", "words"),
    [(0, "exit code 0"), (3, "exit code 3"), (-9, "killed by SIGKILL"), (-99, "killed by signal 99")],
)
def test_an_end_is_told_in_words(code: int, words: str) -> None:
    assert describe_end(code) == words


def test_a_condemned_process_is_killed_once_and_its_end_says_why() -> None:
    made = running()
    assert made.condemn("printer-0", "it harmed others") == [Signal("printer-0", signal.SIGKILL)]
    assert made.condemn("printer-0", "it harmed others") == []
    made.on_exit("printer-0", -signal.SIGKILL, 20.0)
    assert made.last_end("printer-0") == "killed by SIGKILL: it harmed others"
    assert made.phase("printer-0") is Phase.WAITING
    assert Start("printer-0") in made.tick(30.0)
    made.on_exit("printer-0", 1, 31.0)
    assert made.last_end("printer-0") == "exit code 1"


def test_a_process_that_is_added_starts_and_one_that_is_retired_leaves_for_good() -> None:
    made = running()
    made.add(Spec("printer-1", "handlers", 1, essential=False))
    assert made.tick(1.0) == [Start("printer-1")]
    made.on_ready("printer-1", 1.5)
    assert terminated(made.retire("printer-0", 2.0)) == ["printer-0"]
    assert made.on_exit("printer-0", 0, 3.0) == []
    assert made.phase("printer-0") is Phase.ENDED
    made.forget("printer-0")
    assert "printer-0" not in made
    assert made.tick(100.0) == []


def test_a_retired_process_that_does_not_leave_is_killed_at_the_drains_deadline() -> None:
    made = running()
    made.retire("printer-0", 2.0)
    assert made.tick(21.9) == []
    assert made.tick(22.0) == [Signal("printer-0", signal.SIGKILL)]
    assert made.tick(23.0) == []


def test_a_process_that_is_renewed_is_started_again_at_once_and_has_not_failed() -> None:
    made = running()
    assert terminated(made.renew("fifo", 1.0)) == ["fifo"]
    assert made.renew("fifo", 1.1) == [], "asked once"
    assert made.on_exit("fifo", 0, 1.5) == []
    assert made.tick(1.5) == [Start("fifo")]
    assert not made.is_renewed("fifo")


def test_a_retired_process_that_waits_for_its_next_start_is_over_at_once() -> None:
    made = running()
    made.on_exit("printer-0", 1, 10.0)
    assert made.retire("printer-0", 10.1) == []
    assert made.phase("printer-0") is Phase.ENDED
    assert made.tick(30.0) == []


def test_the_end_of_a_wait_for_a_process_is_known_without_looking_at_each() -> None:
    machine = Machine([Spec(f"h-{n}", "handlers", 1) for n in range(3)], 5.0, lambda: 0.5)
    assert machine.due_s == 0.0
    assert machine.tick(1.0) == [Start(f"h-{n}") for n in range(3)]
    assert machine.due_s == float("inf")
    machine.on_ready("h-1", 2.0)
    machine.on_exit("h-1", 1, 3.0)
    assert 3.0 < machine.due_s < 4.0
    assert machine.tick(machine.due_s) == [Start("h-1")]
    machine.renew("h-2", 4.0)
    assert machine.due_s == 9.0
