"""A pipeline of which each role is on a host of its own (`netns`), over TCP with keys; and an API server on another.

There is no supervisor: a hub on a host of its own says how all is. A role that is killed is started by the test.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests
import yaml

from deltawire.cli import keys
from deltawire.cli.requests import Supervision
from deltawire.common.config.load import parse
from deltawire.common.config.plan import Plan
from deltawire.common.errors import DeltawireError
from deltawire.common.wire.keys import KeyFolder
from tests.support.flow import RecordedCalls
from tests.support.netns import Hosts
from tests.support.pipeline import ACCEPTANCE, DELTAWIRE, RECORDER, TWO_RESOURCES, wait_until
from tests.support.stage import Faces

HEARTBEAT_S = 1
# A bookmark each second: then a silent watch is found after 5 s (`IDLE_S_MIN`).
BOOKMARKS_S = 1
# Process → host.
PLACES = {
    "hub": "hub", "fifo": "broker", "worker-0": "worker", "reflector-0": "reflector", "latest": "handler",
    "every": "handler",
}  # fmt: skip
# Whose connections lead where (connects, listens), and what /readyz says where nothing gets through.
# Before the API server come others: the reflector knows the interval of bookmarks by then.
REASONS = {
    ("handler", "hub"): "no replica of it is heard",
    ("reflector", "hub"): "reflector-0 is not heard",
    ("reflector", "api"): "is not watched",
    ("reflector", "broker"): "is not watched (waiting)",
    ("worker", "broker"): "not connected to the broker",
    ("handler", "worker"): "no replica of it is heard",
    ("broker", "hub"): "fifo is not heard",
    ("worker", "hub"): "worker-0 is not heard",
}
SOCKETS = {
    "control": "hub:7400", "fifo-in": "broker:7401", "fifo-out": "broker:7402", "worker-0": "worker:7410",
}  # fmt: skip
_API_PORT = 8001
CHURN_PER_S = 30
# So many show that changes flow: about one second's.
CALLS = 30
# On the hosts of a test, which nobody else reaches.
_EVERYWHERE = "0.0.0.0"  # noqa: S104


class Spread(RecordedCalls):
    """Use as a context manager: all has been started then. ``slow``: hosts whose links can lose and delay."""

    def __init__(
        self, folder: Path, *, objects: int = 60, churn_per_s: float = CHURN_PER_S, slow: tuple[str, ...] = (),
        bookmarks_s: float = BOOKMARKS_S,
    ) -> None:  # fmt: skip
        self.folder = folder
        self.hosts = Hosts(folder)
        self.calls = {name: folder / f"{name}.calls" for name in ("latest", "every")}
        self._slow = slow
        self._server = ["--objects", f"pods={objects}", "--churn", f"{churn_per_s:g}/s"]
        self._server += ["--bookmark-interval", str(bookmarks_s)]
        self._runtime = Path(tempfile.mkdtemp(prefix="dw-"))
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.kubeconfig = folder / "kubeconfig"
        self._local_kubeconfig = folder / "kubeconfig-of-its-own-host"

    def __enter__(self) -> Self:
        self.hosts.__enter__()
        try:
            for name in ("api", "hub", "broker", "worker", "reflector", "handler"):
                self.hosts.add(name, slow=name in self._slow)
            self._start_server()
            config = self._config()
            keys.make(KeyFolder(self.folder / "keys"), keys.owners_of(Plan(parse(config))))
            for name in PLACES:
                self._config_file(name).write_text(json.dumps(self._config(name)))
                self.start(name)
            self._plan = Plan(parse(config | {"network": self._section(by_name=False)}))
            self._faces = Faces(self._metrics, self._plan)
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Where the block failed, the ends of all logs are printed."""
        self.hosts.__exit__(kind, error, at)
        for process in self._processes.values():
            process.wait(20)
        for name in self._processes if kind is not None else ():
            print(f"== {name}\n{self.log(name)[-3000:]}")
        shutil.rmtree(self._runtime, ignore_errors=True)

    # -- processes and hosts

    def start(self, name: str) -> None:
        config = str(self._config_file(name))
        role, _, index = name.partition("-")
        command = {
            "hub": ["hub"], "fifo": ["fifo"], "worker": ["informer", "--index", index],
            "reflector": ["reflector", "--index", index],
        }.get(role, ["handler", name, "--index", "0"])  # fmt: skip
        self._run(name, PLACES[name], [str(DELTAWIRE), *command, "-c", config])

    def kill(self, name: str) -> None:
        """SIGKILL of a process and what it started; its end is told, unless the path is cut."""
        process = self._processes.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def remake(self, host: str) -> None:
        """The host is lost without a word, comes back with its address, and its processes are started again."""
        self.hosts.lose(host)
        names = [name for name, place in PLACES.items() if place == host]
        for name in names:
            self._processes.pop(name).wait(20)
        self.hosts.add_again(host)
        for name in names:
            self.start(name)

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")

    # -- the API server

    def admin(self, verb: str, path: str, **params: Any) -> Any:
        # It answers its own host only.
        url = f"http://127.0.0.1:{_API_PORT}/_deltawire/{path}"

        def ask() -> requests.Response:
            return requests.request(verb, url, params=params, timeout=30)

        answer = self.hosts["api"].do(ask)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def requests_of_reflectors(self, verb: str) -> list[dict[str, Any]]:
        entries = self.admin("GET", "requests")["requests"]
        return [e for e in entries if e["verb"] == verb and e["user_agent"].startswith("deltawire-reflector")]

    def lists(self) -> int:
        """That reflectors asked for, as pages or as a stream."""
        pages = [e for e in self.requests_of_reflectors("list") if "continue" not in e["query"]]
        streams = [e for e in self.requests_of_reflectors("watch") if "sendInitialEvents" in e["query"]]
        return len(pages) + len(streams)

    # -- what is seen

    def readyz(self) -> tuple[int, str]:
        """Code and text of the hub's /readyz; code 0 without an answer. It is asked over a unix socket."""
        return self._faces.get("/readyz")

    def status(self) -> dict[str, Any]:
        """The hub's status, asked on its own host; {} without an answer."""

        def ask() -> dict[str, Any]:
            with Supervision(self._plan) as supervision:
                found: dict[str, Any] = supervision.ask("status")
                return found

        try:
            status: dict[str, Any] = self.hosts["hub"].do(ask)
        except DeltawireError:
            return {}
        return status

    def wait_ready(self, seconds: float = 60) -> float:
        """Until /readyz says so; the seconds that it took."""
        began_s = time.monotonic()
        wait_until(lambda: f"readiness: {self.readyz()[1]}", lambda: self.readyz()[0] == 200, seconds=seconds)
        return time.monotonic() - began_s

    def wait_unready(self, seconds: float = 60, *, reason: str = "") -> float:
        """Until /readyz says that something is not, for this reason; the seconds that it took."""
        began_s = time.monotonic()
        wait_until(
            lambda: f"{reason!r} in place of: {self.readyz()[1]}",
            lambda: (answer := self.readyz())[0] == 503 and reason in answer[1],
            seconds=seconds,
        )
        return time.monotonic() - began_s

    def settle_and_judge(self, seconds: float = 90) -> None:
        """Churn is stopped; the outside judge, on the API server's host, must be content with what was called."""
        self.admin("POST", "churn", rate=0)
        verdict: dict[str, Any] = {}

        def is_content() -> bool:
            nonlocal verdict
            verdict = self._judge()
            return not verdict["complaints"]

        wait_until(lambda: f"a content judge: {verdict}", is_content, seconds=seconds, every_s=0.5)
        assert all(handler["acknowledged"] for handler in verdict["handlers"].values())

    def _judge(self) -> dict[str, Any]:
        asked = [part for resource in TWO_RESOURCES for part in ("--resource", resource)]
        done = subprocess.run(
            self.hosts["api"].command(
                sys.executable, str(ACCEPTANCE / "judge.py"), "--kubeconfig", str(self._local_kubeconfig), *asked,
                *map(str, self.calls.values()),
            ),
            capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        assert done.stdout, done.stderr
        verdict: dict[str, Any] = json.loads(done.stdout)
        return verdict

    # -- how it is made

    def _start_server(self) -> None:
        argv = [
            sys.executable,
            "-m",
            "deltawire.apiserver",
            "--write-kubeconfig",
            str(self._local_kubeconfig),
        ]
        argv += ["--host", _EVERYWHERE, "--port", str(_API_PORT), *self._server]
        self._run("apiserver", "api", argv)
        wait_until("the API server's kubeconfig", self._local_kubeconfig.exists)
        kubeconfig = yaml.safe_load(self._local_kubeconfig.read_text())
        address = f"http://{self.hosts['api'].address}:{_API_PORT}"
        kubeconfig["clusters"][0]["cluster"]["server"] = address
        self.kubeconfig.write_text(yaml.safe_dump(kubeconfig))

    def _run(self, name: str, host: str, argv: list[str]) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = self.hosts[host].start(argv, log)

    def _config_file(self, name: str) -> Path:
        return self.folder / f"{PLACES[name]}.json"

    @property
    def _metrics(self) -> Path:
        return self._runtime / "metrics.sock"

    def _section(self, *, by_name: bool = True) -> dict[str, Any]:
        endpoints = {}
        for socket, text in SOCKETS.items():
            name, _, port = text.partition(":")
            endpoints[socket] = f"{name if by_name else self.hosts[name].address}:{port}"
        return {"endpoints": endpoints, "listen": _EVERYWHERE, "keys": str(self.folder / "keys")}

    def _config(self, name: str = "hub") -> dict[str, Any]:
        place = PLACES[name]
        return {
            "version": 1,
            "clusters": {"dev": {"kubeconfig": str(self.kubeconfig)}},
            "store": {"dir": str(self.folder / f"state-{place}")},
            "runtime": {
                "reflectors": 1, "workers": 1, "heartbeat": HEARTBEAT_S, "dir": str(self._runtime / place),
                "control": True,
            },
            "metrics": {"listen": f"unix:{self._metrics}"} if place == "hub" else {},
            "network": self._section(),
            "handlers": [
                {
                    "name": handler, "command": [sys.executable, str(RECORDER), str(path)],
                    "on": list(TWO_RESOURCES), "delivery": handler,
                }
                for handler, path in self.calls.items()
            ],
        }  # fmt: skip
