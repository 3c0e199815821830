"""Nothing of a killed supervisor lives on, whenever it was killed, and the next one starts."""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from deltawire.cli import orphans
from deltawire.common import parent
from deltawire.common.clock import SystemClock
from tests.support.pipeline import DELTAWIRE, RECORDER, descendants, is_alive, wait_until

pytestmark = [pytest.mark.process, pytest.mark.timeout(240), pytest.mark.xdist_group("orphans")]

MOMENTS_S_MAX = 3.0
SEED = 8
# A role that is signalled at its supervisor's death drains first.
GONE_S = 60.0


class Ups:
    """One `deltawire up --embedded` after another on the same state. ``folder`` is part of all command lines."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "deltawire.yaml"
        self.log = folder / "log"
        content = {
            "version": 1,
            "store": {"dir": str(folder / "state")},
            "runtime": {"reflectors": 1, "workers": 1, "dir": str(folder / "run"), "heartbeat": 1},
            "handlers": [
                {
                    "name": "printer",
                    "command": [sys.executable, str(RECORDER), str(folder / "calls")],
                    "on": ["pods"],
                }
            ],
        }
        self.config.write_text(yaml.safe_dump(content))

    def start(self) -> "subprocess.Popen[bytes]":
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*self._command(), "--objects", "pods=5"], stdout=log, stderr=log, start_new_session=True
            )

    def run(self) -> "subprocess.CompletedProcess[str]":
        """A whole run, with its comparison at the end."""
        return subprocess.run(
            [*self._command(), "--objects", "pods=5", "--for", "2s"],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def roles(self) -> list[int]:
        """Everything alive that this folder is named in the command line of."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                is_ours = str(self.folder).encode() in (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if is_ours and is_alive(int(entry.name)):
                found.append(int(entry.name))
        return found

    def close(self) -> None:
        while roles := self.roles():
            for pid in roles:
                os.kill(pid, signal.SIGKILL)
            time.sleep(0.1)

    def _command(self) -> list[str]:
        return [str(DELTAWIRE), "up", "--embedded", "-c", str(self.config), "--log-level", "info"]


@pytest.fixture
def ups() -> Iterator[Ups]:
    with tempfile.TemporaryDirectory(prefix="dw-") as folder:
        made = Ups(Path(folder))
        try:
            yield made
        finally:
            made.close()


def kill_at(ups: Ups, moment_s: float, *, while_restarting: bool) -> None:
    """Kill -9 the supervisor so long after its start; its children, too, just before, if they are to restart."""
    up = ups.start()
    time.sleep(moment_s)
    if while_restarting:
        for pid in descendants(up.pid)[1:]:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        # About when they are started again (0.2 s later): before, while, after.
        time.sleep(0.1 + 0.2 * moment_s / MOMENTS_S_MAX)
    up.kill()
    up.wait()
    wait_until(f"all to be gone that {moment_s:.2f} s had started", lambda: not ups.roles(), seconds=GONE_S)


@pytest.mark.parametrize("count", [6, pytest.param(40, marks=[pytest.mark.long, pytest.mark.timeout(1200)])])
def test_no_role_outlives_a_supervisor_that_is_killed_at_any_moment_and_the_next_one_starts(
    ups: Ups, count: int
) -> None:
    moments = random.Random(SEED)
    for n in range(count):
        kill_at(ups, moments.uniform(0, MOMENTS_S_MAX), while_restarting=n % 3 == 2)
    done = ups.run()
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_cannot_hear_of_its_supervisors_death_is_ended_by_the_next_up_which_says_so(ups: Ups) -> None:
    up = ups.start()
    wait_until("all roles", lambda: len(ups.roles()) >= 6, seconds=60)
    worker = next(
        pid for pid in ups.roles() if b"deltawire.informer" in Path(f"/proc/{pid}/cmdline").read_bytes()
    )
    os.kill(worker, signal.SIGSTOP)
    up.kill()
    up.wait()
    wait_until("the others to be gone", lambda: ups.roles() == [worker], seconds=GONE_S)
    done = ups.run()
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"deltawire.informer (pid {worker})" in done.stdout
    assert not is_alive(worker)


def sleeper(config: Path, run: str, started_by: str) -> "subprocess.Popen[bytes]":
    marks = ["--config", str(config), "--run", run, "--parent", started_by]
    return subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(300)", *marks], start_new_session=True
    )


def test_nothing_is_ended_but_what_names_this_config_a_run_and_a_dead_parent(tmp_path: Path) -> None:
    config, alive, dead = tmp_path / "config.json", parent.this_process(), f"{os.getpid()}:1"
    others = [
        sleeper(config, "0011", alive),
        sleeper(config, "", dead),
        sleeper(tmp_path / "other.json", "0011", dead),
    ]
    ours = [sleeper(config, "0011", dead), sleeper(config, "0022", dead)]
    try:
        assert len(orphans.find(config)) == 2
        (line,) = orphans.end(config, clock=SystemClock())
        assert all(f"pid {process.pid}" in line for process in ours)
        assert all(process.wait(10) == -signal.SIGKILL for process in ours)
        assert all(process.poll() is None for process in others)
        assert orphans.end(config, clock=SystemClock()) == []
    finally:
        for process in [*ours, *others]:
            process.kill()
            process.wait()
