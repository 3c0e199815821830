"""The pipeline of a run: ``deltawire up`` as a user starts it, in the shape of the moment."""

import http.client
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import yaml
from msgspec import convert

from deltawire.cli.chaos import processes
from deltawire.cli.chaos.shape import Places, Shape, config
from deltawire.cli.config_source import EFFECTIVE
from deltawire.common.clock import Clock
from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import Config

# The longest drain (`runtime.drain_deadline`) and some.
DRAIN_S = 40.0
# A command that waits for a supervisor which lies still is given up.
APPLY_S = 20.0


class Pipeline:
    """One supervisor at a time; `ensure_up` starts it again."""

    def __init__(self, folder: Path, places: Places, clock: Clock, *, hang_after_s: float | None) -> None:
        self._folder = folder
        self._clock = clock
        self._places = places
        self._hang_after_s = hang_after_s
        self.config = folder / "deltawire.yaml"
        self.shape = Shape()
        self._process: subprocess.Popen[bytes] | None = None
        self.starts = 0
        self._effective = Path()

    def write_config(self, shape: Shape) -> None:
        """What the next start reads."""
        self.shape = shape
        self._effective = Plan(convert(config(shape, self._places), Config)).runtime_dir / EFFECTIVE
        self.config.write_text(yaml.safe_dump(config(shape, self._places, hang_after_s=self._hang_after_s)))

    def up(self) -> None:
        self.starts += 1
        self._process = processes.start(
            [sys.executable, "-m", "deltawire.cli", "up", "-c", str(self.config)],
            self._folder / f"up-{self.starts}.log",
        )

    @property
    def pid(self) -> int:
        """The supervisor's, 0 where none runs."""
        return self._process.pid if self._process is not None and self._process.poll() is None else 0

    def take_end(self) -> int | None:
        """The exit code of a supervisor that ended by itself, once."""
        code = self._process.poll() if self._process is not None else None
        if code is not None:
            self._process = None
        return code

    def last_words(self) -> str:
        """The end of the supervisor's log."""
        log = self._folder / f"up-{self.starts}.log"
        return log.read_text(errors="replace").strip()[-400:] if log.exists() else ""

    def victims(self, kind: str) -> list[tuple[str, int]]:
        """(name, pid) of the processes of a kind of `schedule.VICTIMS`, in the order of their names."""
        if not self.pid:
            return []
        if kind == "supervisor":
            return [("supervisor", self.pid)]
        found = processes.roles(self.pid)
        if kind == "command":
            tree = processes.children()
            return sorted(
                (name, child)
                for name, (k, pid) in found.items()
                if k == "handler"
                for child in tree.get(pid, [])
            )
        return sorted((name, pid) for name, (k, pid) in found.items() if k == kind)

    def ready(self) -> set[str]:
        """Names of the roles that are ready, by the pipeline's metrics; empty where they are not answered."""
        connection = http.client.HTTPConnection(self._places.listen, timeout=2)
        try:
            connection.request("GET", "/metrics")
            return ready_roles(connection.getresponse().read().decode(errors="replace"))
        except (OSError, http.client.HTTPException):
            return set()
        finally:
            connection.close()

    def is_quiet(self) -> bool:
        """Whether ``status`` says that all is synced, and nothing pending."""
        done = subprocess.run(
            [sys.executable, "-m", "deltawire.cli", "status", "-c", str(self.config), "--json"],
            capture_output=True,
            timeout=60,
            check=False,
        )
        try:
            status = msgspec.json.decode(done.stdout)
        except msgspec.DecodeError:
            return False
        groups = status.get("groups", {})
        return (
            bool(groups)
            and bool(status.get("synced"))
            and all(g.get("pending") == 0 for g in groups.values())
        )

    def apply(self, meanwhile: Callable[[], None]) -> bool:
        """``deltawire apply`` of what was written; whether it succeeded. ``meanwhile`` is called all the time."""
        return self._told(["apply"], meanwhile)

    def restart_handler(self, name: str, meanwhile: Callable[[], None]) -> bool:
        """``deltawire handlers restart``; whether it was taken. ``meanwhile`` is called all the time."""
        return self._told(["handlers", "restart", name], meanwhile)

    def _told(self, words: list[str], meanwhile: Callable[[], None]) -> bool:
        """Whether a command to what runs succeeded."""
        process = processes.start(
            [sys.executable, "-m", "deltawire.cli", *words, "-c", str(self.config)],
            self._folder / f"{words[0]}.log",
        )
        deadline = self._clock.now_s() + APPLY_S
        while (code := process.poll()) is None and self._clock.now_s() < deadline:
            meanwhile()
            self._clock.sleep(0.02)
        if code is None:
            process.kill()
            process.wait()
        return code == 0

    def drain(self, meanwhile: Callable[[], None]) -> int:
        """Ask it to leave; the exit code, -9 where it had to be killed. ``meanwhile`` is called all the time."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(signal.SIGINT)
        deadline = self._clock.now_s() + DRAIN_S
        while (code := process.poll()) is None and self._clock.now_s() < deadline:
            meanwhile()
            self._clock.sleep(0.02)
        if code is None:
            self._kill(process)
            return -9
        return code

    def kill_all(self) -> None:
        """SIGKILL to the supervisor first, so that nothing is started again, and to all that it started."""
        process, self._process = self._process, None
        if process is not None:
            self._kill(process)

    def kill_supervisor(self) -> None:
        """SIGKILL to the supervisor alone."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def orphans(self) -> dict[int, str]:
        """pid → name of roles that were started for this state and are no children of the present supervisor."""
        mark = f"--config\0{self._effective}\0".encode()
        return {pid: name for pid, name in processes.roles_with(mark).items() if pid not in self._children()}

    def _children(self) -> set[int]:
        return set(processes.children().get(self.pid, [])) if self.pid else set()

    def _kill(self, process: "subprocess.Popen[bytes]") -> None:
        pids = processes.descendants(process.pid)
        process.kill()
        process.wait()
        # What it was just starting, too.
        for pid in {*pids, *self.orphans()}:
            processes.send(pid, signal.SIGKILL)
        deadline = self._clock.now_s() + 10
        while any(map(processes.is_alive, pids)) and self._clock.now_s() < deadline:
            self._clock.sleep(0.01)


def ready_roles(metrics: str) -> set[str]:
    """Those whose ``deltawire_process_ready`` is 1, by name."""
    return set(
        re.findall(r'^deltawire_process_ready\{process="([^"]+)",[^}]*\} 1\.0$', metrics, re.MULTILINE)
    )
