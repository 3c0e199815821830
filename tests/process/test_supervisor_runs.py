"""The supervisor with real processes: a run that ends by itself, kills, and what is left afterwards."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deltawire.cli.supervisor.machine import Spec
from deltawire.cli.supervisor.processes import Command, Line, Processes
from deltawire.cli.supervisor.run_types import Embedded
from deltawire.cli.supervisor.status_types import Snapshot
from deltawire.cli.supervisor.supervisor import Supervisor
from deltawire.common.clock import SystemClock
from deltawire.common.config.load import parse
from deltawire.common.config.plan import Plan
from tests.support.cli_rig import COMMAND_EVERY_S, DEADLINE_S, Cli, cli_in, eventually

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("supervisor")]


@pytest.fixture
def cli() -> Iterator[Cli]:
    with tempfile.TemporaryDirectory(prefix="dw-") as folder:
        yield from cli_in(Path(folder).resolve())


def test_a_run_ends_by_itself_with_a_summary_and_nothing_left(cli: Cli) -> None:
    ended = cli.run("up", "--embedded", "--objects", "pods=50", "--churn", "20/s", "--for", "2s", "--json")
    assert ended.code == 0, ended.err
    summary = json.loads(ended.out.splitlines()[-1])
    assert summary["synced"] is True
    assert summary["restarts"] == 0
    assert 0 < summary["first_event_s"] < DEADLINE_S, "in seconds"
    assert summary["events"]["acknowledged"] == summary["events"]["delivered"] > 50
    assert {h["pending"] for h in summary["handlers"].values()} == {0}
    assert (summary["watches"], set(summary["handlers"])) == (2, {"printer", "pods-per-node"})
    assert all(p["rss_mb"] > 5 for p in summary["processes"].values())
    assert cli.processes() == []


def started(cli: Cli) -> Cli:
    cli.start("up", "--embedded", "--objects", "pods=5", "--churn", "5/s")
    eventually(lambda: len(cli.processes()) == 9, "the supervisor and eight processes run")
    eventually(lambda: cli.run("status").code == 0, "the supervisor answers", every_s=COMMAND_EVERY_S)
    return cli


def test_a_second_signal_kills(cli: Cli) -> None:
    process = started(cli)._started[0]
    process.send_signal(signal.SIGINT)
    # Two of the same at once are one for the kernel: the second is sent when the first was seen.
    eventually(
        lambda: process.poll() is not None or '"state":"draining"' in cli.run("status", "--json").out,
        "draining",
        5,
    )
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) in (130, 0)
    eventually(lambda: cli.processes() == [], "nothing is left running")


def test_a_signal_while_the_interpreter_ends_changes_no_exit_code() -> None:
    program = (
        "import atexit, os, signal, sys\n"
        "atexit.register(lambda: os.kill(os.getpid(), signal.SIGINT))\n"
        "sys.argv = ['deltawire', '--version']\n"
        "from deltawire.cli.main import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_killed_supervisor_leaves_nothing_running(cli: Cli) -> None:
    process = started(cli)._started[0]
    process.kill()
    process.wait()
    eventually(lambda: cli.processes() == [], "nothing is left running")


class Notes:
    """A view that keeps what it is shown."""

    every_s = 0.5

    def __init__(self) -> None:
        self.notes: list[str] = []

    def process_line(self, line: Line) -> None:
        self.notes.append(f"{line.name} | {line.text}")

    def note(self, text: str) -> None:
        self.notes.append(text)

    def show(self, snapshot: Snapshot) -> None:
        pass

    def close(self) -> None:
        pass


def supervise(folder: Path, source: str, *, drain_deadline: str = "2s") -> tuple[int, list[str], list[str]]:
    """Run one process of this source as the only essential one: (exit code, failures, notes)."""
    config = {"version": 1, "store": {"dir": str(folder)}, "runtime": {"dir": str(folder)}}
    config["runtime"] |= {"drain_deadline": drain_deadline}  # type: ignore[operator]  # a map of maps
    view = Notes()
    pipeline = [(Spec("fifo", "fifo", 2), Command([sys.executable, "-c", source]))]
    clock = SystemClock()
    with Processes() as processes:
        outcome = Supervisor(
            Plan(parse(config)), pipeline, processes, view, clock=clock, started_s=clock.now_s()
        ).run()
    return outcome.exit_code, outcome.failures, view.notes


def test_a_role_that_dies_at_its_start_again_and_again_ends_the_pipeline_with_3(cli: Cli) -> None:
    code, failures, notes = supervise(cli.folder, "import sys; sys.exit('no luck today')")
    assert code == 3
    assert failures == ["fifo failed 6 times right after its start (exit code 1)"]
    assert notes[-1].endswith("no luck today")


def test_a_run_shorter_than_the_start_of_its_api_server_ends_after_that_start(cli: Cli) -> None:
    kubeconfig = cli.folder / "kubeconfig"
    source = f"import pathlib, time; time.sleep(1); pathlib.Path({str(kubeconfig)!r}).touch(); time.sleep(60)"
    was_there: list[bool] = []

    def stop_churn() -> None:
        was_there.append(kubeconfig.exists())
        # No role ever reports here: a signal ends the wait for their reports.
        os.kill(os.getpid(), signal.SIGINT)

    config = {"version": 1, "store": {"dir": str(cli.folder)}, "runtime": {"dir": str(cli.folder)}}
    pipeline = [(Spec("apiserver", "apiserver", 3), Command([sys.executable, "-c", source]))]
    clock = SystemClock()
    with Processes() as processes:
        supervisor = Supervisor(
            Plan(parse(config)),
            pipeline,
            processes,
            Notes(),
            clock=clock,
            started_s=clock.now_s(),
            for_s=0.0,
            embedded=Embedded(kubeconfig, stop_churn),
        )
        supervisor.run()
    assert was_there == [True]


def test_a_role_that_does_not_leave_is_killed_at_the_deadline_with_4(cli: Cli) -> None:
    source = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "os.kill(os.getppid(), signal.SIGTERM)\n"
        "time.sleep(60)\n"
    )
    code, failures, _ = supervise(cli.folder, source, drain_deadline="1s")
    assert code == 4
    assert failures == ["the drain was not over after 1 s"]


def test_children_of_a_process_that_ended_are_killed_before_its_successor(cli: Cli) -> None:
    source = "import subprocess; subprocess.Popen(['sleep', '77']).pid; raise SystemExit(2)"
    code, _, _ = supervise(cli.folder, source)
    assert code == 2

    def sleeping() -> list[Path]:
        return [p for p in Path("/proc").glob("[0-9]*/cmdline") if _reads(p) == b"sleep\x0077\x00"]

    # Killed, a process is gone a moment later; not killed, this one would stay for over a minute.
    eventually(lambda: sleeping() == [], "the child to be gone")


def _reads(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
