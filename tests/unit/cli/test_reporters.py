"""Processes that report to a hub: lives differ by their nonce, since in containers every pid is 1."""

from typing import Any

from deltawire.cli.supervisor.reporters import REPORTERS_MAX, Reporters


def report(nonce: str, **fields: Any) -> dict[str, Any]:
    return {"role": "informer", "pid": 1, "turns": 1, "nonce": nonce, **fields}


def test_what_the_config_wants_is_waited_for_until_it_reports() -> None:
    reporters = Reporters({"worker-0": "informer"}, silent_s=6.0)
    assert reporters.statuses(0.0)["worker-0"].state == "waiting"
    reporters.on_status("worker-0", report("aa"), 1.0)
    assert reporters.statuses(1.0)["worker-0"].state == "ready"


def test_who_stops_reporting_is_silent() -> None:
    reporters = Reporters({}, silent_s=6.0)
    reporters.on_status("worker-0", report("aa"), 1.0)
    assert reporters.statuses(7.0)["worker-0"].state == "ready"
    assert reporters.statuses(7.1)["worker-0"].state == "silent"


def test_a_new_nonce_is_a_new_life_though_the_pid_is_the_same() -> None:
    reporters = Reporters({}, silent_s=6.0)
    first = reporters.on_status("worker-0", report("aa"), 1.0)
    assert reporters.on_status("worker-0", report("aa"), 2.0) == first
    second = reporters.on_status("worker-0", report("bb"), 3.0)
    assert second not in (0, first)
    assert reporters.statuses(3.0)["worker-0"].restarts == 1


def test_memory_is_of_this_life_and_cpu_time_of_all_lives() -> None:
    reporters = Reporters({}, silent_s=6.0)
    reporters.on_status("worker-0", report("aa", rss_mb=30.0, cpu_s=2.0), 1.0)
    reporters.on_status("worker-0", report("bb", rss_mb=20.0, cpu_s=0.5), 2.0)
    status = reporters.statuses(2.0)["worker-0"]
    assert (status.rss_mb, status.cpu_s) == (20.0, 2.5)


def test_a_second_process_under_the_same_name_is_ignored_and_told_once(caplog: Any) -> None:
    reporters = Reporters({}, silent_s=6.0)
    reporters.on_status("worker-0", report("aa"), 1.0)
    reporters.on_status("worker-0", report("bb"), 1.5)
    assert [reporters.on_status("worker-0", report("aa"), s) for s in (2.0, 3.0)] == [0, 0]
    assert reporters.statuses(3.0)["worker-0"].restarts == 1
    assert reporters.ignored == 2
    assert len([r for r in caplog.records if "--index" in r.getMessage()]) == 1


def test_names_are_bounded_and_what_is_left_out_is_counted() -> None:
    reporters = Reporters({}, silent_s=6.0)
    for i in range(REPORTERS_MAX + 2):
        reporters.on_status(f"printer-{i}", report("aa"), 1.0)
    assert len(reporters.statuses(1.0)) == REPORTERS_MAX
    assert reporters.ignored == 2
