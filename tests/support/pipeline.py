"""A whole pipeline as a user runs it, for process and acceptance tests: an API server and ``deltawire up``.

Everything is a process of its own and is talked to as an outsider would: signals, the command line, HTTP, and the
socket that commands use.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
import yaml

from deltawire.cli.config_source import plan_of
from deltawire.cli.requests import Supervision
from deltawire.common.errors import DeltawireError
from tests.support import patience

DELTAWIRE = Path(sys.executable).with_name("deltawire")
ACCEPTANCE = Path(__file__).parents[1] / "acceptance"
# A handler that writes down each call; a script that imports nothing of the project.
RECORDER = Path(__file__).parents[2] / "cli" / "chaos" / "outside" / "recorder.py"
TWO_RESOURCES = ("pods", "deployments.apps")


def wait_until(what: str, done: Callable[[], Any], *, seconds: float = 20.0, every_s: float = 0.05) -> Any:
    """The first true value of ``done``; AssertionError that says ``what`` was waited for."""
    return patience.wait_until(done, what, seconds=seconds, every_s=every_s)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def descendants(pid: int) -> list[int]:
    """The process and all that it started, from the process table."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for known in found:
        found += children.get(known, [])
    return found


class ServerProcess:
    """The embedded API server in a process of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.kubeconfig = folder / "kubeconfig"
        self._log = (folder / "apiserver.log").open("wb")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deltawire.apiserver", "--write-kubeconfig", str(self.kubeconfig), *arguments],
            stdout=self._log, stderr=self._log,
        )  # fmt: skip
        wait_until("the API server's kubeconfig", self.kubeconfig.exists)
        self.cluster = yaml.safe_load(self.kubeconfig.read_text())["clusters"][0]["cluster"]
        self.url: str = self.cluster["server"]

    def admin(self, verb: str, path: str, **params: Any) -> Any:
        answer = requests.request(
            verb, f"{self.url}/_deltawire/{path}", params=params, timeout=30, verify=False
        )
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def churn(self, per_s: float) -> None:
        self.admin("POST", "churn", rate=per_s)

    def reflectors_lists(self) -> list[dict[str, Any]]:
        """Lists that the reflectors asked for, as pages or as a stream."""
        return [e for e in self._of_reflectors("list") if "continue" not in e["query"]] + [
            e for e in self._of_reflectors("watch") if "sendInitialEvents" in e["query"]
        ]

    def reflectors_watches(self) -> list[dict[str, Any]]:
        """Watches that the reflectors asked for; a streaming list goes on as one."""
        return self._of_reflectors("watch")

    def _of_reflectors(self, verb: str) -> list[dict[str, Any]]:
        entries = self.admin("GET", "requests")["requests"]
        return [e for e in entries if e["verb"] == verb and e["user_agent"].startswith("deltawire-reflector")]

    def call(self, method: str, path: str, **kwargs: Any) -> requests.Response:
        answer = requests.request(method, self.url + path, timeout=30, **kwargs)
        answer.raise_for_status()
        return answer

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self._log.close()


class Pipeline:
    """``deltawire up -c FILE`` with two recording handlers, ``latest`` and ``every``."""

    def __init__(self, folder: Path, kubeconfig: Path, **config: Any) -> None:
        self.folder = folder
        self.kubeconfig = kubeconfig
        self.config = folder / "deltawire.yaml"
        self.calls = {name: folder / f"{name}.calls" for name in ("latest", "every")}
        self._process: subprocess.Popen[bytes] | None = None
        self._starts = 0
        self.config.write_text(yaml.safe_dump(self._default_config() | config))

    def handle(self, *on: Any) -> None:
        """Let both handlers watch these resources instead of `TWO_RESOURCES`."""
        config = yaml.safe_load(self.config.read_text())
        for handler in config["handlers"]:
            handler["on"] = list(on)
        self.config.write_text(yaml.safe_dump(config))

    def offsets(self) -> dict[str, int]:
        """Where each handler's file of calls ends now, for `calls_since`."""
        return {name: path.stat().st_size if path.exists() else 0 for name, path in self.calls.items()}

    def calls_since(self, offsets: dict[str, int]) -> dict[str, list[dict[str, Any]]]:
        """The calls that each handler has acknowledged since then."""
        found = {}
        for name, path in self.calls.items():
            lines = path.read_bytes()[offsets[name] :].splitlines() if path.exists() else []
            found[name] = [entry for entry in map(json.loads, lines) if entry["what"] == "end"]
        return found

    def _default_config(self) -> dict[str, Any]:
        recorder = [sys.executable, str(RECORDER)]
        return {
            "version": 1,
            "clusters": {"dev": {"kubeconfig": str(self.kubeconfig)}},
            "store": {"dir": str(self.folder / "state")},
            "runtime": {"reflectors": 2, "workers": 2, "heartbeat": 1},
            "handlers": [
                {"name": name, "command": [*recorder, str(path)], "on": list(TWO_RESOURCES), "delivery": name}
                for name, path in self.calls.items()
            ],
        }

    @property
    def log(self) -> str:
        return "\n".join(p.read_text(errors="replace") for p in sorted(self.folder.glob("up-*.log")))

    def up(self, *arguments: str) -> None:
        """Start it and return at once."""
        self._starts += 1
        with (self.folder / f"up-{self._starts}.log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(DELTAWIRE), "up", "-c", str(self.config), *arguments],
                stdout=log, stderr=log, env=os.environ | {"NO_COLOR": "1"}, start_new_session=True,
            )  # fmt: skip

    def run(self, *arguments: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """A command of the CLI with this pipeline's config."""
        command, *rest = arguments
        return subprocess.run(
            [str(DELTAWIRE), command, "-c", str(self.config), *rest],
            capture_output=True, text=True, timeout=timeout_s, check=False,
        )  # fmt: skip

    def run_words(self, *words: str) -> subprocess.CompletedProcess[str]:
        """As `run`, for commands of several words: the config is named at the end."""
        return subprocess.run(
            [str(DELTAWIRE), *words, "-c", str(self.config)],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def status(self) -> dict[str, Any]:
        """What ``status --json`` shows; {} without an answer. Asked without a new process: tests ask often."""
        try:
            with Supervision(plan_of(self.config)) as supervision:
                status: dict[str, Any] = supervision.ask("status")
        except DeltawireError:
            return {}
        return status

    def answer(self) -> dict[str, Any]:
        """As `status`, from a supervisor that runs: on a busy machine an answer may come late."""
        answer: dict[str, Any] = wait_until("an answer of the supervisor", self.status)
        return answer

    @property
    def pid(self) -> int:
        """Of the supervisor."""
        assert self._process
        return self._process.pid

    def pids(self) -> dict[str, int]:
        return {name: p["pid"] for name, p in self.answer()["processes"].items()}

    def wait_synced(self, seconds: float = 30.0) -> dict[str, Any]:
        return wait_until(
            "all informers and groups to be synced", self._if_synced, seconds=seconds, every_s=0.2
        )

    def wait_quiet(self, seconds: float = 60.0) -> dict[str, Any]:
        """Until nothing is pending of all that the API server had sent by now. Churn must have been stopped."""
        since_us = time.time_ns() // 1000
        return wait_until(
            "nothing to be pending", lambda: self._if_quiet(since_us), seconds=seconds, every_s=0.2
        )

    def _if_synced(self) -> dict[str, Any]:
        status = self.status()
        return status if status.get("synced") else {}

    def _if_quiet(self, since_us: int) -> dict[str, Any]:
        status = self._if_synced()
        # What is handled may not be stored as far in all shards yet: that is so once it was proven.
        if (status.get("as_of") or 0) <= since_us:
            return {}
        groups = status.get("groups", {})
        settled = all(g["pending"] == 0 for g in groups.values()) and len(groups) >= len(self.calls)
        return status if status and settled else {}

    def kill_9(self, name: str) -> int:
        """``kill -9`` of one process; returns the pid it had."""
        pid = self.pids()[name]
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill_everything(self) -> None:
        """``kill -9`` of the supervisor and all it started, the supervisor first so that nothing is restarted."""
        assert self._process
        pids = descendants(self._process.pid)
        for pid in pids:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
        wait_until("all processes to be gone", lambda: not any(map(is_alive, pids)))
        self._process = None

    def down(self, sign: int = signal.SIGINT, timeout_s: float = 120) -> int:
        """Ask it to drain; its exit code."""
        assert self._process
        self._process.send_signal(sign)
        code = self._process.wait(timeout_s)
        self._process = None
        return code

    def judge_in_the_end(self, seconds: float = 30.0) -> dict[str, Any]:
        """The judge's verdict when it is content, or its last one.

        Nothing is pending either while a killed reflector or broker, or a cut stream, is on its way back. What was
        called in a wrong way, the judge finds each time.
        """
        deadline = time.monotonic() + seconds
        while (verdict := self.judge())["complaints"] and time.monotonic() < deadline:
            time.sleep(0.5)
        return verdict

    def judge(self, resources: tuple[str, ...] = TWO_RESOURCES) -> dict[str, Any]:
        """The outside judge's verdict."""
        asked = [part for resource in resources for part in ("--resource", resource)]
        done = subprocess.run(
            [sys.executable, str(ACCEPTANCE / "judge.py"), "--kubeconfig", str(self.kubeconfig), *asked,
             *map(str, self.calls.values())],
            capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip
        assert done.stdout, done.stderr
        return json.loads(done.stdout)

    def close(self) -> None:
        """Leave nothing running, whatever happened."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()


@contextmanager
def running(folder: Path, *server_arguments: str, **config: Any) -> Iterator[tuple[ServerProcess, Pipeline]]:
    """A server and a pipeline that is up; both are gone afterwards. On a failure the log is printed."""
    server = ServerProcess(folder, *server_arguments)
    pipeline = Pipeline(folder, server.kubeconfig, **config)
    try:
        pipeline.up()
        yield server, pipeline
    except BaseException:
        print(pipeline.log[-8000:])
        raise
    finally:
        try:
            pipeline.close()
        finally:
            server.stop()
