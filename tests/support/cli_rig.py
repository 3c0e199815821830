"""Runs the `deltawire` command as a user does, and finds what it left behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.patience import wait_until

DEADLINE_S = 120.0
# Between two looks of those that run a command: each costs a third of a second of a core.
COMMAND_EVERY_S = 0.5

PLUGIN = """
from deltawire import Handler

handler = Handler("seen")


@handler.on_add("pods")
def added(obj, event):
    pass
"""


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str


class Cli:
    """Commands in a folder of their own; `stop` kills what still runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[subprocess.Popen[str]] = []
        self.env = {
            **{k: v for k, v in os.environ.items() if k not in ("KUBECONFIG", "NO_COLOR")},
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
        }

    def run(self, *arguments: str) -> Ended:
        done = subprocess.run(
            self._argv(arguments),
            cwd=self.folder,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def run_unread(self, *arguments: str) -> Ended:
        """As `run`, with a standard output that is closed at its other end."""
        read_end, write_end = os.pipe()
        os.close(read_end)
        try:
            done = subprocess.run(
                self._argv(arguments),
                cwd=self.folder,
                env=self.env,
                stdout=write_end,
                stderr=subprocess.PIPE,
                text=True,
                timeout=DEADLINE_S,
                check=False,
            )
        finally:
            os.close(write_end)
        return Ended(done.returncode, "", done.stderr)

    def start(
        self, *arguments: str, out: Path | None = None, err: Path | None = None
    ) -> "subprocess.Popen[str]":
        """Does not wait for its end. ``out``, ``err``: files for what it prints."""
        with (out or Path(os.devnull)).open("w") as stdout, (err or Path(os.devnull)).open("w") as stderr:
            process = subprocess.Popen(
                self._argv(arguments), cwd=self.folder, env=self.env, stdout=stdout, stderr=stderr, text=True
            )
        self._started.append(process)
        return process

    def processes(self) -> list[int]:
        """All processes that were started with this folder in their command line or as their own."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal() and int(entry.name) != os.getpid() and self._is_ours(entry):
                found.append(int(entry.name))
        return found

    def stop(self) -> None:
        for process in self._started:
            if process.poll() is None:
                process.kill()
            process.wait()
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def _is_ours(self, entry: Path) -> bool:
        try:
            is_alive = (entry / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
            return (
                is_alive
                and b"deltawire" in (entry / "cmdline").read_bytes()
                and (entry / "cwd").readlink() == self.folder
            )
        except OSError:
            return False

    def _argv(self, arguments: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "deltawire.cli", *arguments]


def eventually(
    condition: Callable[[], bool], what: str, timeout_s: float = DEADLINE_S, *, every_s: float = 0.05
) -> None:
    wait_until(condition, what, seconds=timeout_s, every_s=every_s)


def cli_in(folder: Path) -> Iterator[Cli]:
    """The body of a fixture."""
    made = Cli(folder)
    try:
        yield made
    finally:
        made.stop()
