"""The containers as their user sees them: docker, docker-compose, the published ports, `deltawire status --json`."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import yaml

from tests.support import patience

ROOT = Path(__file__).parents[2]
ACCEPTANCE = ROOT / "tests" / "acceptance"
RECORDER = ROOT / "cli" / "chaos" / "outside" / "recorder.py"
FILES = ("compose.yaml", "compose.override.yaml", "tests/container/compose.test.yaml")
PROJECT = "deltawire-test"
RECORDERS = ("latest", "every")
RESOURCES = ("pods", "deployments.apps")


def wait_until(what: str, done: Callable[[], Any], *, seconds: float, every_s: float = 0.5) -> Any:
    """The first true value of ``done``; AssertionError that says ``what`` was waited for."""
    return patience.wait_until(done, what, seconds=seconds, every_s=every_s)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def docker(*arguments: str, with_errors: bool = False) -> str:
    """What it printed; ``with_errors``: on stderr, too (a container's own, where it is asked for its log)."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr}"
    return done.stdout + (done.stderr if with_errors else "")


def compose_commands() -> list[list[str]]:
    """Every Compose that is here: the one to run with first. COMPOSE names one more."""
    candidates = [["docker-compose"], ["docker", "compose"]]
    if named := os.environ.get("COMPOSE"):
        candidates.append(named.split())
    return [
        command
        for command in candidates
        if shutil.which(command[0])
        and subprocess.run([*command, "version"], capture_output=True, check=False).returncode == 0
    ]


S = TypeVar("S", bound="Stack")


@contextmanager
def running(kind: type[S]) -> Iterator[S]:
    """A project with a folder of its own; nothing of both is left."""
    folder = Path(tempfile.mkdtemp(prefix=f"{kind.project}-"))
    stack = kind(compose_commands()[0], folder)
    stack.try_compose("down", "-v", "--remove-orphans")
    yield stack
    stack.try_compose("down", "-v", "--remove-orphans")
    shutil.rmtree(folder)


class Stack:
    """One project of containers. ``folder`` holds its config and what the recording handlers write."""

    files = FILES
    project = PROJECT
    # In which `deltawire status` is asked.
    asked = "hub"

    def __init__(self, command: list[str], folder: Path) -> None:
        self._command = command
        self.folder = folder
        self.port = free_port()
        self._env = os.environ | {
            "TEST_FOLDER": str(folder),
            "DELTAWIRE_APISERVER_PORT": str(self.port),
            "DELTAWIRE_METRICS_PORT": str(free_port()),
            "DELTAWIRE_CHURN": "100/s",
        }
        self._prepare()

    @property
    def metrics_port(self) -> str:
        return self._env["DELTAWIRE_METRICS_PORT"]

    def compose(self, *arguments: str, timeout_s: float = 180) -> str:
        done = self.try_compose(*arguments, timeout_s=timeout_s)
        assert done.returncode == 0, f"compose {' '.join(arguments)}: {done.stderr}\n{done.stdout}"
        return done.stdout

    def try_compose(self, *arguments: str, timeout_s: float = 180) -> "subprocess.CompletedProcess[str]":
        files = [part for name in self.files for part in ("-f", str(ROOT / name))]
        return subprocess.run(
            [*self._command, "-p", self.project, "--project-directory", str(ROOT), *files, *arguments],
            env=self._env, capture_output=True, text=True, timeout=timeout_s, check=False,
        )  # fmt: skip

    # -- containers

    def containers(self) -> dict[str, dict[str, Any]]:
        """What `docker inspect` says, by service (of a scaled one: one of them)."""
        ids = docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={self.project}").split()
        if not ids:
            return {}
        found = json.loads(docker("inspect", *ids))
        return {c["Config"]["Labels"]["com.docker.compose.service"]: c for c in found}

    def role_in(self, container: dict[str, Any]) -> int:
        """The role's process, as the host numbers it: the child of process 1."""
        first = container["State"]["Pid"]
        (role,) = Path(f"/proc/{first}/task/{first}/children").read_text().split()
        return int(role)

    def unhealthy(self) -> dict[str, str]:
        """Services that are not (yet) running and healthy."""
        return {
            service: f"{c['State']['Status']}, {c['State'].get('Health', {}).get('Status')}"
            for service, c in self.containers().items()
            if c["State"].get("Health", {}).get("Status") != "healthy" or c["State"]["Status"] != "running"
        }

    def wait_healthy(self, seconds: float = 60) -> None:
        try:
            wait_until("all to be healthy", lambda: not self.unhealthy(), seconds=seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; now {self.unhealthy()}") from None

    def leftovers(self) -> list[str]:
        label = f"label=com.docker.compose.project={self.project}"
        return [
            *docker("ps", "-aq", "--filter", label).split(),
            *docker("volume", "ls", "-q", "--filter", label).split(),
            *docker("network", "ls", "-q", "--filter", label).split(),
        ]

    # -- the pipeline

    def status(self) -> dict[str, Any]:
        """``status --json``; {} without an answer."""
        done = self.try_compose("exec", "-T", self.asked, "deltawire", "status", "--json", timeout_s=30)
        if done.returncode != 0 or not done.stdout.strip():
            return {}
        status: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return status

    def churn(self, per_s: float) -> None:
        """Set the pace of the simulated cluster. The endpoint answers its own container only."""
        script = (
            "import urllib.request as r; "
            f"r.urlopen(r.Request('http://127.0.0.1:8001/_deltawire/churn?rate={per_s}', method='POST'))"
        )
        self.compose("exec", "-T", "apiserver", "python3", "-c", script)

    def wait_synced(self, seconds: float = 60) -> dict[str, Any]:
        """Until all are healthy and ready, and everything is synced."""
        self.wait_healthy(seconds)
        found: dict[str, Any] = wait_until("everything to be synced", self._if_synced, seconds=seconds)
        return found

    def wait_quiet(self, seconds: float = 60) -> None:
        """Until nothing is under way, seen twice in a row. The churn must have been stopped."""
        previous: list[Any] = []

        def quiet() -> bool:
            status = self._if_synced()
            if not status or any(g["pending"] != 0 for g in status["groups"].values()):
                return False
            previous.append([i["published"] for i in status["informers"].values()])
            return len(previous) > 1 and previous[-1] == previous[-2]

        wait_until("nothing to be under way", quiet, seconds=seconds, every_s=1.0)

    def judge(self) -> dict[str, Any]:
        """The outside judge's verdict on what the recording handlers acknowledged."""
        asked = [part for resource in RESOURCES for part in ("--resource", resource)]
        calls = [str(self.folder / "calls" / f"{name}.calls") for name in RECORDERS]
        done = subprocess.run(
            [sys.executable, str(ACCEPTANCE / "judge.py"), "--kubeconfig", str(self.folder / "kubeconfig"),
             *asked, *calls],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.stdout, done.stderr
        verdict: dict[str, Any] = json.loads(done.stdout)
        return verdict

    def settle_and_judge(self) -> None:
        """Stop the churn, wait for the end of what is under way, ask the judge, go on with the churn."""
        self.churn(0)
        self.wait_quiet()
        verdict = self.judge()
        assert verdict["complaints"] == 0, verdict
        assert all(handler["acknowledged"] for handler in verdict["handlers"].values())
        self.churn(100)

    def _if_synced(self) -> dict[str, Any]:
        status = self.status()
        is_ready = all(p["state"] == "ready" for p in status.get("processes", {}).values())
        return status if status.get("synced") and is_ready else {}

    def _prepare(self) -> None:
        """The config of the image with two handlers more; files that another user's containers may read and write."""
        self.write_configs(self._config())
        kubeconfig = yaml.safe_load((ROOT / "deploy" / "demo.kubeconfig").read_text())
        kubeconfig["clusters"][0]["cluster"]["server"] = f"http://127.0.0.1:{self.port}"
        self.folder.chmod(0o755)
        (self.folder / "calls").mkdir()
        (self.folder / "calls").chmod(0o777)
        shutil.copy(RECORDER, self.folder / "recorder.py")
        (self.folder / "kubeconfig").write_text(yaml.safe_dump(kubeconfig))
        for file in self.folder.glob("*.*"):
            file.chmod(0o644)

    def write_configs(self, config: dict[str, Any]) -> None:
        (self.folder / "deltawire.yaml").write_text(yaml.safe_dump(config))

    def _config(self) -> Any:
        config = yaml.safe_load((ROOT / "deploy" / "deltawire.yaml").read_text())
        config["runtime"]["hang_after"] = 5
        config["handlers"] += [
            {
                "name": name,
                "command": ["python3", "/recorder.py", f"/calls/{name}.calls"],
                "on": list(RESOURCES),
                "delivery": name,
            }
            for name in RECORDERS
        ]
        return config
