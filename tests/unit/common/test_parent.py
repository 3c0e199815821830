"""A child knows its parent by number and start, so that it cannot take the process that adopted it for its parent."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deltawire.common import parent


def test_a_process_is_known_by_its_number_and_its_start() -> None:
    assert parent.is_alive(parent.this_process())
    assert not parent.is_alive(f"{os.getpid()}:1")
    assert not parent.is_alive("0:1")


@pytest.mark.parametrize("text", ["", "7", "x:y", ":", "-1:-1"])
def test_what_names_no_process_is_not_alive(text: str) -> None:
    assert not parent.is_alive(text)


def test_a_child_of_the_parent_that_it_was_told_of_lives_on() -> None:
    script = "import sys; from deltawire.common.parent import die_with_parent; die_with_parent(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", script, parent.this_process()], check=False)
    assert done.returncode == 0


@pytest.mark.parametrize("module", ["fifo", "informer", "reflector", "handlers", "cli.supervisor.child"])
def test_a_process_that_is_born_to_a_dead_parent_ends_before_it_touches_anything(
    module: str, tmp_path: Path
) -> None:
    marks = ["--config", str(tmp_path / "config.json"), "--run", "0011", "--parent", f"{os.getpid()}:1"]
    done = subprocess.run(
        [sys.executable, "-m", f"deltawire.{module}", *marks, *(["this"] if "child" in module else [])],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGTERM
    assert not done.stderr
    assert list(tmp_path.iterdir()) == []
