"""The second implementation of the wire: a handler in Node that shares no line with the project."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pipeline import is_alive, wait_until
from tests.support.plugin_pipeline import PluginPipeline

pytestmark = [
    pytest.mark.long,
    pytest.mark.process,
    pytest.mark.xdist_group("node-plugin"),
    pytest.mark.timeout(300),
]

ROOT = Path(__file__).parents[2]
# What npm says then.
_UNREACHABLE = ("network", "ENOTFOUND", "ETIMEDOUT", "ECONNREFUSED", "ECONNRESET", "E403", "E404", "ETARGET")


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example with its two libraries, which npm fetches as the lock file names them."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    folder = tmp_path_factory.mktemp("node") / "plugin"
    shutil.copytree(ROOT / "examples" / "node", folder, ignore=shutil.ignore_patterns("node_modules"))
    done = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    if done.returncode and any(words in done.stderr for words in _UNREACHABLE):
        pytest.skip("the npm registry cannot be reached, or has not what is needed")
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def test_the_vectors_and_the_rules_of_a_session_hold_in_node(plugin: Path) -> None:
    vectors = ROOT / "tests" / "vectors" / "wire"
    done = subprocess.run(
        ["node", "vectors.js", str(vectors)],
        cwd=plugin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "rules of a session hold" in done.stdout


class Running(PluginPipeline):
    """The Node handler."""

    def __init__(self, folder: Path, plugin: Path) -> None:
        super().__init__(folder, "node-audit", ["node", str(plugin / "audit.js")])

    def lines(self, name: str) -> list[str]:
        return [line for line in self.audit.read_text().splitlines() if f" default/{name} " in line]


@pytest.fixture
def running(tmp_path: Path, plugin: Path) -> Iterator[Running]:
    running = Running(tmp_path, plugin)
    yield running
    running.close()


def test_a_node_handler_gets_every_pod_also_over_a_killed_worker_and_leaves_in_peace(
    running: Running,
) -> None:
    running.make("before")
    wait_until("the first pod", lambda: running.lines("before"), seconds=60)
    for name in ("worker-0", "worker-1"):
        running.pipeline.kill_9(name)
    for i in range(8):
        running.make(f"after-{i}")
    for i in range(8):
        wait_until("a pod after the kill", lambda: running.lines(f"after-{i}"), seconds=60)  # noqa: B023  # at once
    running.process.terminate()
    wait_until("its end", lambda: not is_alive(running.process.pid))
    assert running.process.wait() == 0
