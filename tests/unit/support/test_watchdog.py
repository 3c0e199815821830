"""A test that hangs fails, wherever it is; what outlives a test is ended and named; a killed pytest leaves nothing."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support import patience
from tests.support.patience import Patience, wait_until

ROOT = Path(__file__).parents[3]
PLUGINS = ("-p", "tests.support.watchdog", "-p", "tests.support.leftovers")
pytestmark = pytest.mark.timeout(180)


def start(folder, text, *arguments):
    (folder / "test_it.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\n")
    # What is left over here never ends by itself.
    (folder / "conftest.py").write_text("from tests.support import leftovers\nleftovers.ENDING_S = 0.3\n")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        *PLUGINS,
        *arguments,
        str(folder),
    ]
    return subprocess.Popen(
        command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def run(folder, text, *arguments):
    with start(folder, text, *arguments) as process:
        out, _ = process.communicate()
    return process.returncode, out


HANGING = """
import ast, pytest, threading

@pytest.mark.timeout(0.5)
def test_it_is_in_the_parser():
    while True:
        ast.parse("x = 1\\n" * 1000)

@pytest.mark.timeout(0.5)
def test_it_waits_for_a_lock():
    threading.Event().wait()

@pytest.fixture
def stuck():
    yield
    threading.Event().wait()

@pytest.mark.timeout(0.5)
def test_its_fixture_does_not_end(stuck): pass

def test_the_next_one_runs(): pass
"""


@pytest.mark.parametrize("arguments", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_a_test_that_hangs_fails_and_the_session_goes_on(tmp_path, arguments):
    code, out = run(tmp_path, HANGING, *arguments)
    assert code == 1
    assert "INTERNALERROR" not in out
    assert re.search(r"2 failed, 2 passed, 1 error", out), out
    assert out.count("hangs: not done within 0.5 s") >= 3
    assert "used more than half of their time" in out


LEAVING = """
import subprocess, sys

def test_leaves_one_behind():
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    open("pid", "w").write(str(process.pid))
    process.returncode = 0  # nobody waits for it

def test_hangs():
    import time
    open("hangs", "w").close()
    time.sleep(600)
"""


def is_there(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize("arguments", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_a_process_that_outlives_its_test_is_ended_and_fails_the_session(tmp_path, arguments):
    code, out = run(tmp_path, LEAVING, "-k", "leaves", *arguments)
    assert code == 1
    assert "time.sleep(600)" in out
    assert "started by test_it.py::test_leaves_one_behind" in out
    assert not is_there(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize("arguments", [(), ("-n", "1")], ids=["alone", "xdist"])
def test_when_pytest_is_killed_all_that_it_started_ends(tmp_path, arguments):
    with start(tmp_path, LEAVING, *arguments) as process:
        wait_until((tmp_path / "hangs").exists, "the second test", seconds=60)
        pid = int((tmp_path / "pid").read_text())
        assert is_there(pid)
        os.kill(process.pid, signal.SIGKILL)
        wait_until(lambda: not is_there(pid), "its process to be gone", seconds=30)


def test_patience_lasts_longer_on_a_busy_machine_and_anew_with_progress(monkeypatch):
    now, steps = [100.0], [0]
    monkeypatch.setattr(patience, "_monotonic", lambda: now[0])
    monkeypatch.setattr(patience, "stretch", lambda: 3.0)
    waiting = Patience(10, lambda: steps[0])
    now[0] += 29
    assert waiting.left_s() > 0
    steps[0] += 1
    assert waiting.left_s() == 30
    now[0] += 31
    looks = 1
    while not waiting.is_over():
        looks += 1
    assert looks == patience.LOOKS_MIN, "a slow look is no reason to give up after one"


def test_waiting_says_what_for(monkeypatch):
    monkeypatch.setattr(patience, "LOOKS_MIN", 1)
    with pytest.raises(AssertionError, match="the moon"):
        wait_until(lambda: False, "the moon", seconds=0)
    assert time.monotonic() > 0
