"""The install lines of README and tutorial, in a fresh environment: what is got runs a handler and its test."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.long,
    pytest.mark.process,
    pytest.mark.xdist_group("install"),
    pytest.mark.timeout(300),
]

ROOT = Path(__file__).parents[2]
# What pip says then.
_UNREACHABLE = (
    "Could not find a version",
    "No matching distribution",
    "Max retries",
    "Connection",
    "timed out",
)
PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")


def said_by(command: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(
        command,
        cwd=cwd,
        env=environment | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


def test_what_git_brings_runs_a_new_handler_and_its_test_in_a_fresh_environment(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True, timeout=120)
    python, deltawire = str(venv / "bin" / "python"), str(venv / "bin" / "deltawire")
    done = said_by([python, *PIP, f"git+file://{ROOT}", "pytest"], tmp_path)
    if done.returncode and any(words in done.stderr for words in _UNREACHABLE):
        pytest.skip("the package index cannot be reached, or has not what is needed")
    assert done.returncode == 0, done.stderr[-2000:]
    assert said_by([deltawire, "new", "handler", "hello"], tmp_path).returncode == 0
    folder = tmp_path / "hello"
    tested = said_by([python, "-m", "pytest", "-q", "-p", "no:cacheprovider"], folder)
    assert tested.returncode == 0, tested.stdout
    ran = said_by([deltawire, "run", "hello.py", "--embedded", "--for", "3s"], folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "every handler has acknowledged everything" in ran.stdout + ran.stderr
