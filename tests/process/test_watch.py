"""A role under its watching parent, as in a container: what hangs is killed, and the parent's exit code says so."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from deltawire.cli import watch
from deltawire.common import process
from tests.support.pipeline import descendants, is_alive, wait_until

pytestmark = [pytest.mark.process, pytest.mark.timeout(120), pytest.mark.xdist_group("watch")]


class Watched:
    """``deltawire-watch fifo``, with a health file that stays fresh while the role's loop turns."""

    def __init__(self, folder: Path, **runtime: object) -> None:
        self.health = folder / "health"
        config = folder / "deltawire.yaml"
        defaults = {"dir": str(folder / "run"), "health": str(self.health), "hang_after": 2}
        content = {
            "version": 1,
            "store": {"dir": str(folder / "state")},
            "runtime": defaults | runtime,
            "informers": [{"resource": "pods"}],
        }
        config.write_text(yaml.safe_dump(content))
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deltawire.cli.watch", "fifo", "-c", str(config)],
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    @property
    def role(self) -> int:
        _, child = descendants(self.process.pid)[:2]
        return child

    def wait_healthy(self) -> None:
        wait_until("the role's loop to turn", self.health.exists, seconds=60)

    def ends(self) -> int:
        """Its exit code."""
        wait_until("process 1 to end", lambda: self.process.poll() is not None, seconds=60)
        return self.process.wait()

    def close(self) -> None:
        for pid in reversed(descendants(self.process.pid)):
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dw-") as made:
        yield Path(made)


@pytest.fixture
def watched(folder: Path) -> Iterator[Watched]:
    made = Watched(folder)
    try:
        made.wait_healthy()
        yield made
    finally:
        made.close()


def test_a_role_that_is_stopped_inside_its_container_is_killed_and_process_1_ends_with_a_code_of_its_own(
    watched: Watched,
) -> None:
    role = watched.role
    os.kill(role, signal.SIGSTOP)
    assert watched.ends() == watch.EXIT_HUNG
    assert not is_alive(role)
    text = watched.log.read_text()
    assert text.count("hangs and is killed") == 1
    assert "stopped" in text
    assert "deltawire-watch: deltawire fifo " in text


def test_sigterm_is_passed_on_and_the_roles_own_exit_code_comes_back(watched: Watched) -> None:
    role = watched.role
    watched.process.terminate()
    assert watched.ends() == process.EXIT_OK
    assert not is_alive(role)
    assert "hangs" not in watched.log.read_text()


def test_a_killed_role_ends_process_1_with_the_signals_code(watched: Watched) -> None:
    os.kill(watched.role, signal.SIGKILL)
    assert watched.ends() == 128 + signal.SIGKILL


def test_a_role_does_not_outlive_its_watching_parent(watched: Watched) -> None:
    role = watched.role
    watched.process.kill()
    watched.process.wait()
    wait_until("the role to end", lambda: not is_alive(role), seconds=30)


def test_what_cannot_leave_is_killed_after_its_deadline(folder: Path) -> None:
    made = Watched(folder, hang_after="off", drain_deadline=0)
    try:
        made.wait_healthy()
        os.kill(made.role, signal.SIGSTOP)
        made.process.terminate()
        assert made.ends() == watch.EXIT_DRAIN_LATE == process.EXIT_DRAIN_LATE
    finally:
        made.close()


def test_what_descendants_leave_behind_is_reaped(tmp_path: Path) -> None:
    """A child that forks, and whose own child ends later than it: as a shell in a handler's command may do."""
    fork = "if os.fork() == 0:\n    os.fork() or os._exit(0)\n    time.sleep(0.2)\n    os._exit(0)\n"
    script = f"import os, time\n{fork}os.wait()\ntime.sleep(600)\n"
    runner = (
        "import sys; from deltawire.cli.watch import Watch; from deltawire.common.clock import SystemClock; "
        "sys.exit(Watch(sys.argv[1:], clock=SystemClock()).run())"
    )
    done = subprocess.Popen([sys.executable, "-c", runner, sys.executable, "-c", script])
    try:
        wait_until("the grandchild", lambda: len(descendants(done.pid)) > 2)
        wait_until("all but the child to be reaped", lambda: len(descendants(done.pid)) == 2)
        done.terminate()
        assert done.wait(30) == 128 + signal.SIGTERM
    finally:
        done.kill()
        done.wait()


def test_a_command_that_is_no_role_takes_the_parents_place() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deltawire.cli.watch", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "informer" in done.stdout


def test_the_watching_parent_loads_next_to_nothing() -> None:
    script = "import sys, deltawire.cli.watch; print(*sorted(m.partition('.')[0] for m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert not {"zmq", "msgspec", "typer", "rich", "requests", "yaml", "lmdb", "asyncio"} & set(
        done.stdout.split()
    )
