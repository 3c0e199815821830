"""A role whose main loop stands still is killed and replaced; slow user code and a pause of the supervisor are not."""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.pipeline import RECORDER, Pipeline, ServerProcess, running, wait_until

pytestmark = [pytest.mark.process, pytest.mark.timeout(180), pytest.mark.xdist_group("hangs")]

HANG_AFTER_S = 2
SLOW_HANDLER = Path(__file__).parents[1] / "support" / "slow_handler.py"
ROLES = ("reflector-0", "fifo", "worker-0", "latest-0")


@pytest.fixture(scope="module")
def scene(tmp_path_factory) -> Iterator[tuple[ServerProcess, Pipeline]]:
    folder = tmp_path_factory.mktemp("hangs")
    handlers = [
        {
            "name": "latest",
            "command": [sys.executable, str(RECORDER), str(folder / "latest.calls")],
            "on": ["pods"],
        },
        {"name": "slow", "run": str(SLOW_HANDLER), "env": {"STUCK_FILE": str(folder / "stuck")}},
    ]
    with tempfile.TemporaryDirectory(prefix="dw-") as sockets:
        runtime = {"reflectors": 1, "workers": 1, "dir": sockets, "hang_after": HANG_AFTER_S}
        with running(folder, "--objects", "pods=5", runtime=runtime, handlers=handlers) as (server, pipeline):
            pipeline.wait_synced()
            yield server, pipeline
            assert pipeline.down() == 0


def process(pipeline: Pipeline, name: str) -> dict[str, Any]:
    found: dict[str, Any] = pipeline.answer()["processes"][name]
    return found


def wait_replaced(pipeline: Pipeline, name: str, before: dict[str, Any]) -> dict[str, Any]:
    def replaced() -> dict[str, Any] | None:
        now = process(pipeline, name)
        is_another = now["pid"] != before["pid"] and now["hung"] > before["hung"]
        return now if is_another and now["state"] == "ready" else None

    found: dict[str, Any] = wait_until(f"{name} to be replaced", replaced, seconds=60, every_s=0.5)
    return found


@pytest.mark.parametrize("name", ROLES)
def test_a_stopped_role_is_killed_and_replaced_counted_and_named_once(scene, name):
    _, pipeline = scene
    before = process(pipeline, name)
    offset = len(pipeline.log)
    os.kill(before["pid"], signal.SIGSTOP)
    after = wait_replaced(pipeline, name, before)
    assert after["hung"] == before["hung"] + 1
    assert "hung" in after["last_end"]
    lines = [line for line in pipeline.log[offset:].splitlines() if f"{name} hangs" in line]
    assert len(lines) == 1
    assert "stopped" in lines[0]
    pipeline.wait_synced()


def test_a_loop_that_is_stuck_while_its_threads_go_on_is_replaced(scene):
    """The plug-in of this group blocks the main loop of its process when a file appears."""
    _, pipeline = scene
    before = process(pipeline, "slow-0")
    stuck = pipeline.config.parent / "stuck"
    stuck.touch()
    try:
        wait_until("the kill", lambda: process(pipeline, "slow-0")["hung"] > before["hung"], seconds=60)
    finally:
        stuck.unlink()
    wait_replaced(pipeline, "slow-0", before)


def test_slow_calls_of_user_code_are_no_hang(scene):
    """A call of the plug-in takes longer than `hang_after`; it runs in a thread, and the loop turns."""
    server, pipeline = scene
    before = process(pipeline, "slow-0")
    pod = {
        "metadata": {"name": "slow-pod", "annotations": {"sleep": str(2 * HANG_AFTER_S)}},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }
    acknowledged = pipeline.answer()["groups"]["slow"]["acknowledged"]
    server.call("POST", "/api/v1/namespaces/default/pods", json=pod)
    wait_until(
        "the slow call to end",
        lambda: pipeline.status().get("groups", {}).get("slow", {}).get("acknowledged", 0) > acknowledged,
        seconds=60,
    )
    after = process(pipeline, "slow-0")
    assert (after["pid"], after["hung"]) == (before["pid"], before["hung"])


def test_a_supervisor_that_was_stopped_and_wakes_kills_nobody(scene):
    _, pipeline = scene
    before = {name: process(pipeline, name)["pid"] for name in (*ROLES, "slow-0")}
    turns = process(pipeline, "fifo")["turns"]
    os.kill(pipeline.pid, signal.SIGSTOP)
    try:
        # Time itself is what is waited for.
        time.sleep(2 * HANG_AFTER_S)
    finally:
        os.kill(pipeline.pid, signal.SIGCONT)
    wait_until("fresh reports", lambda: process(pipeline, "fifo")["turns"] > turns, seconds=30)
    assert {name: process(pipeline, name)["pid"] for name in before} == before
