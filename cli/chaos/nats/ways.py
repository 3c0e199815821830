"""The ways of a run on several hosts, each through a proxy that can cut it: a process of its own, told what to do."""

import subprocess
import sys
from pathlib import Path

import msgspec

from deltawire.cli.chaos import processes
from deltawire.cli.chaos.server import free_port
from deltawire.common.errors import DeltawireError

PROXY = Path(__file__).parents[1] / "outside" / "proxy.py"


class Ways:
    """Named ways: ``host-0>nats-1``, ``nats-0>nats-2``, ``worker-1``. Raises DeltawireError where the proxy fails."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None
        self.ports: dict[str, int] = {}

    def start(self) -> None:
        self._process = processes.start([sys.executable, str(PROXY)], self._folder / "proxy.log", talks=True)

    def stop(self) -> None:
        if self._process is not None:
            processes.end_group(self._process)
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()

    def add(self, name: str, to: int = 0) -> None:
        """A way to a port of the loopback address, 0 for nowhere yet."""
        self.ports[name] = free_port()
        self._do({"do": "listen", "name": name, "port": self.ports[name], "to": to})

    def aim(self, name: str, to: int) -> None:
        self._do({"do": "aim", "name": name, "to": to})

    def set(self, name: str, mode: str, delay_s: float = 0.0) -> None:
        """``mode``: see ``outside/proxy.py``."""
        self._do({"do": "set", "name": name, "mode": mode, "delay_s": delay_s})

    def between(self, one: str, other: str = "") -> list[str]:
        """The names of the ways between two of ``host-0``, ``nats-1``, …, or of all NATS ways of one."""
        found = []
        for name in self.ports:
            ends = set(name.split(">"))
            if one in ends and (other in ends if other else len(ends) > 1):
                found.append(name)
        return found

    def _do(self, asked: dict[str, str | int | float]) -> None:
        process = self._process
        assert process is not None  # noqa: S101  # `start` came before
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        try:
            process.stdin.write(msgspec.json.encode(asked) + b"\n")
            process.stdin.flush()
            answer = process.stdout.readline().decode().strip()
        except OSError as error:
            answer = str(error)
        if answer != "ok":
            raise DeltawireError(f"the run's proxy failed at {asked}: {answer or 'it has ended'}")
