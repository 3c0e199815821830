"""The processes of two hosts and of the handlers, started one by one, each started again when it has ended.

Each host runs a broker, a reflector and a worker for each place, with sockets and a state folder of its own. One host's
worker has the lease of a place, the other's waits. Handlers reach a place at one address, which is led to the host that
has it. A process is named ``fifo@0``, ``reflector-0@1``, ``worker-1@0``, ``slow-0``.
"""

import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import yaml

from deltawire.cli.chaos import processes
from deltawire.cli.chaos.nats.leases import Holders
from deltawire.cli.chaos.nats.ways import Ways
from deltawire.cli.chaos.server import free_port
from deltawire.cli.chaos.shape import LISTER_GROUP, Places, Shape, config
from deltawire.common.clock import Clock

HOSTS = 2
PLACES = 2
# What has ended is started again so much later.
AGAIN_S = 0.5
# The longest drain and some.
DRAIN_S = 40.0


class Hosts:
    """What a run needs of a pipeline (`deltawire.cli.chaos.pipeline`), on two hosts."""

    def __init__(self, folder: Path, places: Places, ways: Ways, clock: Clock) -> None:
        self._folder, self._places, self._ways, self._clock = folder, places, ways, clock
        # Names of sockets are short.
        self._sockets = Path(tempfile.mkdtemp(prefix="dw-chaos-"))
        self._ports = [[free_port() for _ in range(PLACES)] for _ in range(HOSTS)]
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        # Name → when it is started again; absent: never.
        self._due_s: dict[str, float] = {}
        self._holders = Holders(folder, HOSTS, PLACES)
        self._aimed: dict[int, int] = {}
        self.shape = Shape()
        # Where processes that handlers reach are killed and started, for the judges.
        self._lives = (folder / "processes.jsonl").open("ab", buffering=0)
        self.bugs: list[tuple[str, str]] = []

    def write_config(self, shape: Shape) -> None:
        """One for each host, and one for the handlers."""
        self.shape = shape
        for place in range(PLACES):
            if f"worker-{place}" not in self._ways.ports:
                self._ways.add(f"worker-{place}")
        for host in range(HOSTS):
            endpoints = {f"worker-{p}": f"127.0.0.1:{self._ports[host][p]}" for p in range(PLACES)}
            self._write(f"host-{host}", host, endpoints)
        self._write(
            "handlers",
            0,
            {f"worker-{p}": f"127.0.0.1:{self._ways.ports[f'worker-{p}']}" for p in range(PLACES)},
        )

    def _write(self, name: str, host: int, endpoints: dict[str, str]) -> None:
        servers = [f"nats://127.0.0.1:{self._ways.ports[way]}" for way in self._ways.between(f"host-{host}")]
        places = msgspec.structs.replace(self._places, state=str(self.state(host)))
        found: dict[str, Any] = dict(config(self.shape, places))
        del found["metrics"]
        found["runtime"] = {
            "reflectors": 1,
            "workers": PLACES,
            "heartbeat": self._places.heartbeat_s,
            "dir": str(self._sockets / name),
        }
        found["engine"] = {"kind": "nats", "servers": servers, "replicas": 3, "max_bytes": "256MiB"}
        found["archive"] = {"servers": servers, "replicas": 3, "max_bytes": "256MiB"}
        found["network"] = {"endpoints": endpoints}
        if name == "handlers":
            found["store"] = {"dir": str(self._folder / "state-handlers")}
        (self._folder / f"{name}.yaml").write_text(yaml.safe_dump(found))

    def state(self, host: int) -> Path:
        return self._folder / f"state-{host}"

    @property
    def commands(self) -> dict[str, list[str]]:
        """Name → arguments of the command line, of all processes."""
        found: dict[str, list[str]] = {}
        for host in range(HOSTS):
            where = ["-c", str(self._folder / f"host-{host}.yaml")]
            found[f"fifo@{host}"] = ["fifo", *where]
            found[f"reflector-0@{host}"] = ["reflector", *where]
            for place in range(PLACES):
                found[f"worker-{place}@{host}"] = ["informer", "--index", str(place), *where]
        groups = [(LISTER_GROUP, 1), *((group.name, group.replicas) for group in self.shape.groups)]
        for name, replicas in groups:
            for index in range(replicas):
                where = ["-c", str(self._folder / "handlers.yaml")]
                found[f"{name}-{index}"] = ["handler", name, "--index", str(index), *where]
        return found

    def of_host(self, host: int) -> list[str]:
        return [name for name in self.commands if name.endswith(f"@{host}")]

    def up(self) -> None:
        """All that does not run, now."""
        for name in self.commands:
            if name not in self._processes:
                self._due_s[name] = self._clock.now_s()
        self.look_after()

    def look_after(self) -> None:
        """Start again what has ended, and lead each place's address to the host that has it."""
        now_s = self._clock.now_s()
        for name, process in list(self._processes.items()):
            if process.poll() is not None:
                self._forget(name)
                self._due_s[name] = now_s + AGAIN_S
        for name, due_s in list(self._due_s.items()):
            if now_s >= due_s:
                self._start(name)
        for place, host in self._holders.look().items():
            if self._aimed.get(place) != host:
                self._aimed[place] = host
                self._ways.aim(f"worker-{place}", self._ports[host][place])

    def _start(self, name: str) -> None:
        del self._due_s[name]
        argv = [sys.executable, "-m", "deltawire.cli", *self.commands[name]]
        self._processes[name] = processes.start(argv, self.log(name))
        self._note(name, self._processes[name].pid, is_up=True)

    def _forget(self, name: str) -> None:
        process = self._processes.pop(name)
        process.wait()
        self._note(name, process.pid, is_up=False)

    def _note(self, name: str, pid: int, *, is_up: bool) -> None:
        line = {"at": self._clock.now_s(), "name": name, "pid": pid, "up": is_up}
        self._lives.write(msgspec.json.encode(line) + b"\n")

    def log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def victims(self, kind: str) -> list[tuple[str, int]]:
        """(name, pid) of the processes of a kind of `schedule.VICTIMS` that run."""
        running = {name: p.pid for name, p in self._processes.items() if p.poll() is None}
        roles = {name: pid for name, pid in running.items() if "@" in name}
        handlers = {name: pid for name, pid in running.items() if "@" not in name}
        if kind == "command":
            tree = processes.children()
            return sorted((name, child) for name, pid in handlers.items() for child in tree.get(pid, []))
        if kind == "handler":
            return sorted(handlers.items())
        return sorted((name, pid) for name, pid in roles.items() if name.startswith(kind))

    def kill(self, name: str, back_s: float = AGAIN_S) -> None:
        """SIGKILL; it is started again ``back_s`` later."""
        process = self._processes.get(name)
        if process is not None:
            process.kill()
            self._forget(name)
        self._due_s[name] = self._clock.now_s() + back_s

    def kill_host(self, host: int, back_s: float, *, is_disk_lost: bool) -> None:
        """All processes of a host, at once."""
        for name in self.of_host(host):
            process = self._processes.get(name)
            if process is not None:
                process.send_signal(signal.SIGKILL)
        for name in self.of_host(host):
            self.kill(name, back_s)
        if is_disk_lost:
            shutil.rmtree(self.state(host), ignore_errors=True)

    def kill_all(self) -> None:
        """SIGKILL to all, and to what handlers have started; nothing is started again before `up`."""
        pids = [pid for process in self._processes.values() for pid in processes.descendants(process.pid)]
        for process in self._processes.values():
            process.send_signal(signal.SIGKILL)
        for name in list(self._processes):
            self._forget(name)
        self._due_s.clear()
        for pid in pids:
            processes.send(pid, signal.SIGKILL)

    def drain(self, meanwhile: Callable[[], None]) -> int:
        """Ask all to leave, handlers first; 0, or the first exit code that is no answer to that."""
        self._due_s.clear()
        worst = 0
        for names in ([n for n in self._processes if "@" not in n], [n for n in self._processes if "@" in n]):
            for name in names:
                self._processes[name].send_signal(signal.SIGTERM)
            deadline_s = self._clock.now_s() + DRAIN_S
            for name in names:
                process = self._processes[name]
                while process.poll() is None and self._clock.now_s() < deadline_s:
                    meanwhile()
                    self._clock.sleep(0.02)
                worst = worst or (process.poll() if process.poll() is not None else -9) or 0
        self.kill_all()
        return worst

    def is_quiet(self) -> bool:
        """Nothing shows it of several hosts together: what handlers have done is looked at."""
        return True

    def close(self) -> None:
        self.kill_all()
        self._lives.close()
        shutil.rmtree(self._sockets, ignore_errors=True)
