"""A third implementation of the wire: a handler in Go that shares no line with the project."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.pipeline import is_alive, wait_until
from tests.support.plugin_pipeline import PODS, PluginPipeline

pytestmark = [
    pytest.mark.long,
    pytest.mark.process,
    pytest.mark.xdist_group("go-plugin"),
    pytest.mark.timeout(400),
]

ROOT = Path(__file__).parents[2]
# What the go command says where its module proxy cannot be reached, or has not what is needed.
_UNREACHABLE = ("dial tcp", "no such host", "i/o timeout", "Forbidden", "Not Found", "disabled by")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's handler, built with the modules that its go.sum names."""
    if shutil.which("go") is None:
        pytest.skip("go is not installed")
    folder = tmp_path_factory.mktemp("go")
    done = _go("build", "-o", str(folder / "audit"), "./audit")
    if done.returncode and any(words in done.stderr for words in _UNREACHABLE):
        pytest.skip("the Go module proxy cannot be reached, or has not what is needed")
    assert done.returncode == 0, done.stderr[-2000:]
    return folder / "audit"


def _go(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["go", *arguments],
        cwd=ROOT / "examples" / "go",
        env={**os.environ, "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_vectors_and_the_rules_of_a_session_hold_in_go(program: Path) -> None:
    assert program.exists()
    done = _go("test", "-v", "./plugin", "-vectors", str(ROOT / "tests" / "vectors" / "wire"))
    assert done.returncode == 0, done.stdout
    assert "vectors hold" in done.stdout


class Running(PluginPipeline):
    """The Go handler."""

    def __init__(self, folder: Path, program: Path) -> None:
        super().__init__(folder, "go-audit", [str(program)])

    def heard(self, kind: str, name: str) -> bool:
        return any(line.startswith(f"{kind} default/{name} ") for line in self.audit.read_text().splitlines())

    def pending(self) -> Any:
        """Changes that it has not acknowledged; None while it is not known."""
        return self.pipeline.status().get("groups", {}).get("go-audit", {}).get("pending")


@pytest.fixture
def running(tmp_path: Path, program: Path) -> Iterator[Running]:
    running = Running(tmp_path, program)
    yield running
    running.close()


def test_a_go_handler_gets_every_pod_also_over_killed_workers_and_over_its_own_death(
    running: Running,
) -> None:
    running.make("before")
    wait_until("the first pod", lambda: running.heard("added", "before"), seconds=60)
    for name in ("worker-0", "worker-1"):
        running.pipeline.kill_9(name)
    for i in range(8):
        running.make(f"after-{i}")
    for i in range(8):
        wait_until("a pod after the kill", lambda: running.heard("added", f"after-{i}"), seconds=60)  # noqa: B023  # at once
    running.kill()
    running.make("meanwhile")
    running.server.call("DELETE", f"{PODS}/before")
    running.start_again()
    wait_until("what came while it was away", lambda: running.heard("added", "meanwhile"), seconds=60)
    wait_until("what went while it was away", lambda: running.heard("deleted", "before"), seconds=60)
    wait_until("all is acknowledged", lambda: running.pending() == 0, seconds=60)
    running.process.terminate()
    wait_until("its end", lambda: not is_alive(running.process.pid))
    assert running.process.wait() == 0


def test_a_go_handler_with_a_filter_is_sent_only_what_it_wants(running: Running) -> None:
    running.kill()
    running.start_again("-labels", "app=web")
    running.make("other", app="db")
    running.make("wanted", app="web")
    wait_until("the pod that it wants", lambda: running.heard("added", "wanted"), seconds=60)
    wait_until("nothing else is left", lambda: running.pending() == 0, seconds=60)
    assert not running.heard("added", "other")
