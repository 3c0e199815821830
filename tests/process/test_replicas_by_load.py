"""A handler with a range of replicas gets more while changes wait, and fewer when none do."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deltawire.cli.config_source import EFFECTIVE, plan_of
from tests.support.pipeline import Pipeline, ServerProcess, wait_until

pytestmark = [
    pytest.mark.long,
    pytest.mark.process,
    pytest.mark.xdist_group("replicas-by-load"),
    pytest.mark.timeout(240),
]
PODS = 40
# Holds each event until a file is there, then says ok; so what waits is known.
GATED = """
import json, pathlib, sys, time

gate, calls = map(pathlib.Path, sys.argv[1:])
for line in sys.stdin:
    event = json.loads(line)
    while not gate.exists():
        time.sleep(0.05)
    with calls.open("a") as file:
        file.write(event["key"] + "\\n")
    print(json.dumps({"id": event["id"], "ok": True}), flush=True)
"""
# Takes a core, event or no event, until a file is there.
BUSY = """
import json, pathlib, sys, threading, time

gate = pathlib.Path(sys.argv[1])

def burn():
    while not gate.exists():
        sum(range(10000))

threading.Thread(target=burn, daemon=True).start()
for line in sys.stdin:
    print(json.dumps({"id": json.loads(line)["id"], "ok": True}), flush=True)
"""


class Scene:
    def __init__(self, folder: Path, program: str, *arguments: str, **replicas: float) -> None:
        file = folder / "handler.py"
        file.write_text(program)
        self.gate = folder / "gate"
        self.calls = folder / "calls"
        self.server = ServerProcess(folder, "--objects", f"pods={PODS}")
        handler = {
            "name": "scaled",
            "command": ["python3", str(file), str(self.gate), *arguments],
            "on": ["pods"],
            "workers": 1,
            "replicas": {"min": 1, "max": 2, "cool_down": 3, **replicas},
        }
        runtime = {"reflectors": 1, "workers": 1, "heartbeat": 1, "dir": str(folder / "run")}
        self.pipeline = Pipeline(folder, self.server.kubeconfig, runtime=runtime, handlers=[handler])
        self.pipeline.up()

    def group(self) -> dict[str, Any]:
        group: dict[str, Any] = self.pipeline.status().get("groups", {}).get("scaled", {})
        return group

    def command(self, *words: str) -> None:
        done = self.pipeline.run_words("handlers", *words)
        assert done.returncode == 0, done.stderr

    def replicas_of_config(self) -> Any:
        """What the pipeline's own config says now."""
        config = json.loads((plan_of(self.pipeline.config).runtime_dir / EFFECTIVE).read_text())
        return config["handlers"][0]["replicas"]

    def until_replicas(self, count: int) -> None:
        def is_so() -> bool:
            group = self.group()
            return bool(group.get("wanted") == group.get("replicas") == count)

        wait_until(f"{count} replicas", is_so, seconds=90, every_s=0.2)

    def close(self) -> None:
        self.gate.touch()
        print(self.pipeline.log)
        self.pipeline.close()
        self.server.stop()


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not tmp_path: a unix socket's path ends at 107 bytes.
    with tempfile.TemporaryDirectory(prefix="dw-") as text:
        yield Path(text).resolve()


def test_a_backlog_brings_a_replica_which_leaves_when_nothing_waits_and_each_object_is_handled_once(
    folder: Path,
) -> None:
    calls = folder / "calls"
    scene = Scene(folder, GATED, str(calls), backlog=PODS // 2)
    try:
        scene.until_replicas(2)
        assert f"scaled: 1 → 2 replicas ({PODS} changes wait)" in scene.pipeline.log
        assert not calls.exists()
        scene.gate.touch()
        wait_until("nothing waits", lambda: scene.group().get("pending") == 0, seconds=60)
        scene.until_replicas(1)
        handled = calls.read_text().splitlines()
        assert len(handled) == len(set(handled)) == PODS
        # A pause keeps the range, a number takes its place.
        scene.command("pause", "scaled")
        scene.until_replicas(0)
        scene.command("resume", "scaled")
        scene.until_replicas(1)
        assert scene.replicas_of_config()["max"] == 2
        scene.command("scale", "scaled", "2")
        scene.until_replicas(2)
        assert scene.replicas_of_config() == 2
        # The file says a range: there are as many as before, until they are not needed.
        assert scene.pipeline.run("apply").returncode == 0
        scene.until_replicas(1)
    finally:
        scene.close()


def test_the_cpu_of_a_command_brings_a_replica_which_leaves_when_it_rests(folder: Path) -> None:
    scene = Scene(folder, BUSY, cpu=0.1)
    try:
        scene.until_replicas(2)
        assert "scaled: 1 → 2 replicas (a replica takes " in scene.pipeline.log
        scene.gate.touch()
        scene.until_replicas(1)
    finally:
        scene.close()
