"""Nothing that a test starts outlives it: what does is ended, and named with the test that started it.

Processes inherit a mark in their environment, and with it the name of the test (pytest's own PYTEST_CURRENT_TEST). A
small process outside (``reaper``) waits for the end of this one, however it comes (a kill of pytest or of an xdist
worker, too), and kills what bears the mark. At the end of a session, what is left fails it.
"""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import reaper
from tests.support.patience import Patience

TEST = "PYTEST_CURRENT_TEST"
# What is just ending is given so long, seconds.
ENDING_S = 3.0
STARTING_S = 0.2
_KEY = "leftovers"


def inherited() -> dict[str, str]:
    """What a process needs of our environment to be found; for tests that give it an environment of its own."""
    return {name: os.environ[name] for name in (reaper.NAME, TEST) if name in os.environ}


class Guard:
    """The process outside. It learns of our end by the end of a pipe, which our children do not inherit."""

    def __init__(self) -> None:
        self.mark = uuid.uuid4().hex
        command = [sys.executable, "-S", str(Path(reaper.__file__)), self.mark]
        # Without a mark: a process that kills this one by its mark must leave it alone.
        environment = {name: value for name, value in os.environ.items() if name != reaper.NAME}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, env=environment, start_new_session=True
        )
        self._outer = os.environ.get(reaper.NAME)
        os.environ[reaper.NAME] = self.mark

    def leftovers(self) -> list[str]:
        """What has not ended after a while, as lines."""
        # What was started just now has an environment only when the kernel has made it.
        time.sleep(STARTING_S)
        patience = Patience(ENDING_S)
        while (left := list(self._left())) and not patience.is_over():
            time.sleep(0.05)
        return [f"{command} (process {pid}), started by {test}" for pid, command, test in left]

    def _left(self) -> Iterator[tuple[int, str, str]]:
        for pid, environment in reaper.marked(self.mark):
            command = _command(pid)
            # Python's own, which ends with us.
            if "multiprocessing.resource_tracker" not in command:
                yield pid, command, environment.get(TEST, "no test")

    def close(self) -> None:
        """Kill what is left."""
        os.environ.pop(reaper.NAME, None)
        if self._outer is not None:
            os.environ[reaper.NAME] = self._outer
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def _command(pid: int) -> str:
    try:
        text = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return "a process"
    return text.replace("\0", " ").strip()[:200]


_guard = pytest.StashKey[Guard]()
_found = pytest.StashKey[list[str]]()


def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.stash[_guard] = Guard()
    session.config.stash[_found] = []


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """xdist's controller gets what its workers have found."""
    node.config.stash[_found] += getattr(node, "workeroutput", {}).get(_KEY, [])


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    guard = config.stash.get(_guard, None)
    if guard is None:
        return
    # The controller of xdist's workers starts no tests; its own mark is the workers', which are just leaving.
    if not config.getoption("numprocesses", None):
        config.stash[_found] += guard.leftovers()
    guard.close()
    found = config.stash[_found]
    if hasattr(config, "workeroutput"):
        config.workeroutput[_KEY] = found
    elif found and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    found = config.stash.get(_found, [])
    if found:
        terminalreporter.section("processes outlived the tests that started them, and were killed", red=True)
        for line in found:
            terminalreporter.line(line)
