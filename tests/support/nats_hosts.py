"""Two hosts on one machine, which share a queue on NATS: a broker, a reflector and a worker each, and three handlers.

Each host has its own sockets and its own state folder. Its worker owns half of the shards. Handlers reach both workers
over loopback TCP. Who is killed is started again, as a supervisor would.

With an archive each host has a worker for the other's place, too, which waits for its lease (``standby-0`` is on
host 1), and a fourth handler, ``stubborn``, fails each call of a config map.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.support.flow import RecordedCalls
from tests.support.keyed import free_port
from tests.support.nats_servers import NatsServers
from tests.support.pipeline import ACCEPTANCE, DELTAWIRE, RECORDER, TWO_RESOURCES, ServerProcess, wait_until

HANDLERS = {"latest": ("latest", 0), "every": ("every", 1), "third": ("every", 0)}


class TwoHosts(RecordedCalls):
    """Use as a ``with`` block. Processes are named as ``fifo-0``, ``reflector-1``, ``worker-0``, ``latest``."""

    def __init__(
        self,
        folder: Path,
        *,
        nodes: int = 1,
        objects: int = 60,
        churn_per_s: float = 30,
        heartbeat_s: float = 1,
        max_bytes: str = "256MiB",
        archive: bool = False,
        leases: Any = "nats",
        server: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        self.nats = NatsServers(folder / "nats", count=nodes)
        self.calls = {name: folder / f"{name}.calls" for name in HANDLERS}
        self._runtime = Path(tempfile.mkdtemp(prefix="dw-"))
        self._objects, self._churn_per_s = objects, churn_per_s
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._commands: dict[str, list[str]] = {}
        self._engine = {
            "kind": "nats", "servers": self.nats.urls, "replicas": min(3, nodes), "max_bytes": max_bytes,
            "leases": leases,
        }  # fmt: skip
        self._heartbeat_s = heartbeat_s
        self._archive = archive
        self._server = server

    def __enter__(self) -> "TwoHosts":
        try:
            self.nats.__enter__()
            self.server = ServerProcess(
                self.folder, "--objects", f"pods={self._objects}", "--churn", f"{self._churn_per_s:g}/s",
                *self._server,
            )  # fmt: skip
            endpoints = {f"worker-{i}": f"127.0.0.1:{free_port()}" for i in range(2)}
            for host in range(2):
                self._write_config(host, endpoints)
            for host in range(2):
                config = str(self.config(host))
                self._commands |= {
                    f"fifo-{host}": ["fifo", "-c", config],
                    f"reflector-{host}": ["reflector", "-c", config],
                    f"worker-{host}": ["informer", "-c", config, "--index", str(host)],
                }
            for name, host in self._handlers():
                self._commands[name] = ["handler", name, "-c", str(self.config(host)), "--index", "0"]
            for name in self._commands:
                self.start(name)
            if self._archive:
                self._start_standbys()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None = None, *_: object) -> None:
        """Where the block failed, the ends of all logs are printed."""
        for name in list(self._processes):
            self.kill(name)
        for name in self.names if kind is not None else ():
            print(f"== {name}\n{self.log(name)[-3000:]}")
        if hasattr(self, "server"):
            self.server.stop()
        self.nats.__exit__()
        shutil.rmtree(self._runtime, ignore_errors=True)

    def start_second(self, index: int, *, host: int) -> None:
        """A worker of the same index as another host's, at an address that handlers do not know."""
        config = json.loads(self.config(host).read_text())
        config["network"]["endpoints"][f"worker-{index}"] = f"127.0.0.1:{free_port()}"
        path = self.folder / "second.json"
        path.write_text(json.dumps(config))
        self._commands["second"] = ["informer", "-c", str(path), "--index", str(index)]
        self.start("second")

    def start_hub(self, host: int) -> None:
        """What answers `deltawire status` of that host."""
        self._commands[f"hub-{host}"] = ["hub", "-c", str(self.config(host))]
        self.start(f"hub-{host}")

    def _start_standbys(self) -> None:
        for place in range(2):
            log = f"worker-{place}"
            wait_until(f"the lease of {log}", lambda log=log: "has the lease" in self.log(log), seconds=60)
        for place in range(2):
            other = str(self.config(1 - place))
            self._commands[f"standby-{place}"] = ["informer", "-c", other, "--index", str(place)]
            self.start(f"standby-{place}")

    def _handlers(self) -> list[tuple[str, int]]:
        """Names, and on which host each is."""
        found = [(name, host) for name, (_, host) in HANDLERS.items()]
        return [*found, ("stubborn", 0)] if self._archive else found

    def lose(self, host: int) -> None:
        """All processes of a host but handlers are killed, and its state folder is gone."""
        for name in (f"fifo-{host}", f"reflector-{host}", f"worker-{host}", f"standby-{1 - host}"):
            if name in self._processes:
                self.kill(name)
        shutil.rmtree(self.state(host))

    def state(self, host: int) -> Path:
        return self.folder / f"state-{host}"

    def config(self, host: int) -> Path:
        return self.folder / f"host-{host}.json"

    @property
    def names(self) -> list[str]:
        return list(self._commands)

    def start(self, name: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [str(DELTAWIRE), *self._commands[name]], stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, name: str) -> None:
        """SIGKILL, with all that it started."""
        process = self._processes.pop(name)
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it had ended, and left nothing
        process.wait()

    def restart(self, name: str) -> None:
        """Killed, and started again at once."""
        self.kill(name)
        self.start(name)

    def has_ended(self, name: str) -> bool:
        """True if it was started and has ended by itself."""
        return name in self._processes and self._processes[name].poll() is not None

    def signal(self, name: str, sign: int) -> None:
        os.killpg(self._processes[name].pid, sign)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def reigns(self, host: int) -> int:
        """How often the broker of the host has become the leader of pods."""
        return self.log(f"fifo-{host}").count("leads dev/pods")

    def outlive(self, host: int, *, seconds: float) -> None:
        """Kill all of a host, wait until the other one leads, and start it again."""
        for name in (f"fifo-{host}", f"reflector-{host}", f"worker-{host}"):
            self.kill(name)
        wait_until("the other to lead", lambda: self.reigns(1 - host) > 0, seconds=seconds)
        for name in (f"worker-{host}", f"fifo-{host}", f"reflector-{host}"):
            self.start(name)

    def must_be_content(self, lists: int) -> None:
        """All goes on, the judge has no complaint, and no more than these lists were made."""
        self.wait_flowing()
        verdict = self.judge_in_the_end()
        assert verdict["complaints"] == 0, verdict
        assert len(self.server.reflectors_lists()) == lists, "a hand-over lists nothing"

    def leader(self) -> int | None:
        """The host whose broker began the newest reign over pods."""
        newest: tuple[str, int] | None = None
        for host in range(2):
            for line in self.log(f"fifo-{host}").splitlines():
                if "leads dev/pods" in line and line.startswith("{"):
                    newest = max(newest or ("", 0), (json.loads(line)["time"], host))
        return newest[1] if newest else None

    def wait_listed(self, seconds: float = 120) -> float:
        """Until each handler has acknowledged as many calls as there were objects, and goes on; the seconds."""
        began_s = time.monotonic()
        wait_until(
            "the first lists to be handled",
            lambda: all(count >= self._objects for count in self.acknowledged().values()),
            seconds=seconds,
        )
        # Changes count as calls, too: many of what is listed first may come before the other resource is listed.
        wait_until("a list of each resource", self._has_listed_each, seconds=seconds)
        self.wait_flowing(seconds)
        return time.monotonic() - began_s

    def _has_listed_each(self) -> bool:
        return len({entry["path"] for entry in self.server.reflectors_lists()}) >= len(TWO_RESOURCES)

    def judge(self) -> dict[str, Any]:
        """The outside judge's verdict now."""
        asked = [part for resource in TWO_RESOURCES for part in ("--resource", resource)]
        done = subprocess.run(
            [sys.executable, str(ACCEPTANCE / "judge.py"), "--kubeconfig", str(self.server.kubeconfig), *asked,
             *map(str, self.calls.values())],
            capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        assert done.stdout, done.stderr
        verdict: dict[str, Any] = json.loads(done.stdout)
        return verdict

    def revive(self, names: Iterable[str]) -> None:
        """Start what has ended again, as its supervisor does."""
        for name in names:
            if self.has_ended(name):
                self.restart(name)

    def judge_in_the_end(self, seconds: float = 90, supervise: Iterable[str] = ()) -> dict[str, Any]:
        """Churn stopped, the verdict once it is content, or the last one. ``supervise``: started again if they end."""
        self.server.churn(0)
        verdict: dict[str, Any] = {}

        def is_content() -> bool:
            nonlocal verdict
            self.revive(supervise)
            verdict = self.judge()
            return not verdict["complaints"]

        try:
            wait_until("a content judge", is_content, seconds=seconds, every_s=0.5)
        except AssertionError:
            pass
        return verdict

    def _write_config(self, host: int, endpoints: dict[str, str]) -> None:
        config = {
            "version": 1,
            "clusters": {"dev": {"kubeconfig": str(self.server.kubeconfig)}},
            "store": {"dir": str(self.state(host))},
            "engine": self._engine,
            "runtime": {
                "reflectors": 1,
                "workers": 2,
                "heartbeat": self._heartbeat_s,
                "dir": str(self._runtime / str(host)),
            },
            "network": {"endpoints": endpoints},
            "handlers": [
                {
                    "name": name,
                    "command": [sys.executable, str(RECORDER), str(self.calls[name])],
                    "on": list(TWO_RESOURCES),
                    "delivery": delivery,
                }
                for name, (delivery, _) in HANDLERS.items()
            ],
        }
        if self._archive:
            config["archive"] = {"servers": self.nats.urls, "replicas": self._engine["replicas"]}
            calls = str(self.folder / "stubborn.calls")
            config["handlers"].append(
                {
                    "name": "stubborn",
                    "command": [sys.executable, str(RECORDER), calls, "--fail-every", "1"],
                    "on": ["configmaps"],
                    "attempts_max": 2,
                }
            )
        self.config(host).write_text(json.dumps(config))
