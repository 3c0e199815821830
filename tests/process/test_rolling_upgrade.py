"""P10: a pipeline is upgraded part by part, by kills; parts of both versions run side by side, and nothing is lost."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.builds import copy_of, next_build
from tests.support.pipeline import RECORDER, TWO_RESOURCES, Pipeline, ServerProcess, wait_until

pytestmark = [
    pytest.mark.process, pytest.mark.long, pytest.mark.timeout(400), pytest.mark.xdist_group("acceptance"),
]  # fmt: skip

HANDLERS = ("latest", "every", "lister")
PARTS = ("hub", "fifo", "worker-0", "worker-1", "reflector-0", "latest-0", "every-0", "lister-0")
# What has no state: both versions of it may follow one another in any order.
STATELESS = ("reflector-0", "fifo", "latest-0", "every-0", "lister-0")
LISTER = Path(__file__).parents[2] / "cli" / "chaos" / "lister_plugin.py"
CHURN_PER_S = 40.0


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("builds")
    return {"old": copy_of(folder / "old"), "new": next_build(folder / "new")}


class Parts:
    """Each role a process of its own, of one build or the other."""

    def __init__(self, folder: Path, pipeline: Pipeline, builds: dict[str, Path]) -> None:
        self.folder, self.pipeline, self.builds = folder, pipeline, builds
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.calls = folder / "lister.calls"
        self.starts = 0

    def command(self, part: str, build: str) -> dict[str, object]:
        name, _, index = part.rpartition("-")
        role = {"worker": "informer"}.get(name, name or part)
        words = ["handler", name] if name in HANDLERS else [role]
        if index and name:
            words += ["--index", index]
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_"))}
        environment |= {"PYTHONPATH": str(self.builds[build]), "CHAOS_CALLS": str(self.calls)}
        argv = [sys.executable, "-m", "deltawire.cli", *words, "-c", str(self.pipeline.config)]
        return {"args": argv, "env": environment, "cwd": self.folder}

    def start(self, part: str, build: str) -> None:
        self.starts += 1
        with (self.folder / f"up-{self.starts:02}-{part}-{build}.log").open("wb") as log:
            self.running[part] = subprocess.Popen(
                **self.command(part, build), stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, part: str) -> None:
        process = self.running.pop(part)
        # A handler's command is its child.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def replace(self, part: str, build: str) -> None:
        """kill -9 of a part, and one of that build in its place; until everything is synced with it."""
        self.kill(part)
        self.start(part, build)
        pid = self.running[part].pid

        def is_back() -> bool:
            status = self.pipeline.status()
            known = {p.get("pid") for p in status.get("processes", {}).values()}
            return bool(status.get("synced")) and (part == "hub" or pid in known)

        wait_until(f"{part} of the {build} build", is_back, seconds=40, every_s=0.2)

    def close(self) -> None:
        for part in list(self.running):
            self.kill(part)


@contextmanager
def pipeline_of(builds: dict[str, Path], folder: Path) -> Iterator[tuple[ServerProcess, Pipeline, Parts]]:
    server = ServerProcess(folder, "--objects", "pods=200", "--churn", f"{CHURN_PER_S:g}/s")
    with tempfile.TemporaryDirectory(prefix="dw-") as sockets:
        pipeline = Pipeline(
            folder, server.kubeconfig, metrics={"listen": "off"},
            runtime={"reflectors": 1, "workers": 2, "heartbeat": 1, "dir": sockets, "control": True},
            handlers=[
                *({"name": name, "command": [sys.executable, str(RECORDER), str(folder / f"{name}.calls")],
                   "on": list(TWO_RESOURCES), "delivery": name} for name in ("latest", "every")),
                {"name": "lister", "run": str(LISTER)},
            ],
        )  # fmt: skip
        parts = Parts(folder, pipeline, builds)
        try:
            for part in PARTS:
                parts.start(part, "old")
                if part == "hub":
                    wait_until("the hub", pipeline.status, seconds=30)
            pipeline.wait_synced(60)
            yield server, pipeline, parts
        except BaseException:
            print(pipeline.log[-8000:])
            raise
        finally:
            parts.close()
            server.stop()


def settle_and_judge(server: ServerProcess, pipeline: Pipeline, parts: Parts) -> None:
    server.churn(0)
    pipeline.wait_quiet(90)
    verdict = pipeline.judge_in_the_end()
    assert verdict["complaints"] == 0, verdict
    assert all(handler["acknowledged"] for handler in verdict["handlers"].values())
    looked = [json.loads(line) for line in parts.calls.read_bytes().splitlines()]
    assert len(looked) >= 200
    for look in looked:
        if look["found_uid"] == look["uid"] != "":
            assert int(look["found_version"]) >= int(look["version"]), look


@pytest.mark.parametrize(
    "order",
    [
        ("latest-0", "every-0", "lister-0", "reflector-0", "fifo", "worker-0", "worker-1", "hub"),
        ("hub", "worker-1", "worker-0", "fifo", "reflector-0", "lister-0", "every-0", "latest-0"),
    ],
    ids=["from the outside in", "from the inside out"],
)
def test_each_part_is_replaced_by_the_next_version_and_back_where_it_has_no_state(
    builds: dict[str, Path], tmp_path: Path, order: tuple[str, ...]
) -> None:
    with pipeline_of(builds, tmp_path) as (server, pipeline, parts):
        lists = len(server.reflectors_lists())
        for part in order:
            parts.replace(part, "new")
        settle_and_judge(server, pipeline, parts)
        server.churn(CHURN_PER_S)
        for part in STATELESS:
            parts.replace(part, "old")
        assert len(server.reflectors_lists()) == lists, "an upgrade lists nothing"
        settle_and_judge(server, pipeline, parts)
        # The caches are of the next schema now.
        parts.kill("worker-0")
        refused = subprocess.run(
            **parts.command("worker-0", "old"), capture_output=True, text=True, timeout=120, check=False
        )
        assert refused.returncode == 2
        [line] = refused.stderr.strip().splitlines()
        assert "was written in schema 3, this program reads 2" in line
        assert "use the version that wrote it" in line
