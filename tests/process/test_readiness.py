"""P8 against a whole pipeline: nothing claims to be ready, or done, for a moment at which it was not.

Each fault comes with a change in the API server that cannot be handled while it lasts. Faces are asked all the time.
"""

import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from deltawire.common.config.load import load
from deltawire.common.config.plan import Plan
from tests.support.patience import stretch
from tests.support.pipeline import Pipeline, ServerProcess, wait_until
from tests.support.stage import (
    DEATH_S,
    HEARTBEAT_S,
    SAMPLE_S,
    SLACK_S,
    STOP_S,
    Faces,
    Stage,
    pass_time,
    stage,
)

pytestmark = [pytest.mark.process, pytest.mark.xdist_group("readiness"), pytest.mark.timeout(300)]

ROLES = ("reflector-0", "fifo", "worker-0", "worker-1", "latest-0")


@pytest.fixture(scope="module")
def up() -> Iterator[Stage]:
    with tempfile.TemporaryDirectory(prefix="dw-") as folder, stage(Path(folder).resolve()) as made:
        yield made


def judge_lister(up: Stage, role: str, name: str, written_s: float, since_s: float, until_s: float) -> None:
    """A worker's end or silence makes the caches unknown; of others a handler learns by the age of the proof."""
    if role.startswith("worker"):
        up.judge_lister(name, written_s, since_s, until_s)
    else:
        up.judge_claims_of_lister(name, written_s)


def killed(up: Stage, role: str) -> None:
    up.wait_ready()
    pid = up.pipeline.pids()[role]
    os.kill(pid, signal.SIGKILL)
    since_s = time.monotonic()
    name, written_s = up.change()
    # The last moment at which there was no successor: one that is there may be ready before the test sees it.
    until_s = since_s

    def has_successor() -> bool:
        nonlocal until_s
        asked_s = time.monotonic()
        if up.pipeline.pids().get(role) not in (0, None, pid):
            return True
        until_s = asked_s
        return False

    wait_until("its successor", has_successor, seconds=30)
    up.wait_ready()
    assert up.is_handled(name), "ready again before what happened meanwhile was handled"
    up.judge(name, written_s, since_s + (DEATH_S + SLACK_S / 2) * stretch(), until_s)
    up.judge_claims_of_lister(name, written_s)


def stopped(up: Stage, role: str) -> None:
    pid = up.pipeline.pids()[role]
    stands(up, role, lambda: os.kill(pid, signal.SIGSTOP), lambda: os.kill(pid, signal.SIGCONT))


def stuck(up: Stage, role: str) -> None:
    """Its loop stands while its other threads go on: beats, readers, calls."""
    file = up.stuck_folder / role
    stands(up, role, file.touch, file.unlink)


def stands(up: Stage, role: str, begin: Callable[[], object], end: Callable[[], object]) -> None:
    up.wait_ready()
    begin()
    try:
        name, written_s = up.change()
        shows_s = pass_time(STOP_S + SLACK_S)  # the fault has to show from then on
        pass_time(SLACK_S)
        if role == "latest-0":
            assert "not ready" in up.run("status").stdout.splitlines()[0]
        else:
            up.judge_commands(f"unknown: {role} is not heard")
        until_s = time.monotonic()
    finally:
        end()
    up.wait_ready()
    assert up.is_handled(name), "ready again before what happened meanwhile was handled"
    up.judge(name, written_s, shows_s, until_s)
    judge_lister(up, role, name, written_s, shows_s, until_s)


@pytest.mark.parametrize("role", ["worker-0"])
def test_a_killed_role_withdraws_readiness_until_what_it_missed_is_handled(up: Stage, role: str) -> None:
    killed(up, role)


@pytest.mark.parametrize("role", ["worker-1"])
def test_a_stopped_role_withdraws_readiness_until_what_it_missed_is_handled(up: Stage, role: str) -> None:
    stopped(up, role)


@pytest.mark.parametrize("role", ["reflector-0"])
def test_a_loop_that_is_stuck_while_beats_go_on_withdraws_readiness_until_what_it_missed_is_handled(
    up: Stage, role: str
) -> None:
    stuck(up, role)


@pytest.mark.long
@pytest.mark.parametrize(
    ("fault", "role"),
    [*product((killed, stopped), ROLES), *product((stuck,), ("fifo", "worker-0", "latest-0"))],
)
def test_each_role_killed_stopped_and_stuck(
    up: Stage, role: str, fault: Callable[[Stage, str], None]
) -> None:
    fault(up, role)


@pytest.mark.long
def test_a_stopped_supervisor_answers_nobody_and_claims_nothing_old_when_it_wakes(up: Stage) -> None:
    up.wait_ready()
    assert up.pipeline._process
    pid = up.pipeline._process.pid
    os.kill(pid, signal.SIGSTOP)
    try:
        shows_s = pass_time(SLACK_S)
        name, written_s = up.change()
        pass_time(STOP_S + SLACK_S)
        until_s = time.monotonic()
    finally:
        os.kill(pid, signal.SIGCONT)
    up.wait_ready()
    assert up.is_handled(name), "ready again before what happened meanwhile was handled"
    up.judge(name, written_s, shows_s, until_s)


def test_an_api_server_that_is_away_leaves_the_caches_served_and_not_fresh_and_the_core_ready() -> None:
    with tempfile.TemporaryDirectory(prefix="dw-") as text:
        folder = Path(text).resolve()
        server = ServerProcess(folder, "--objects", "pods=5", "--churn", "0")
        listen = folder / "m.sock"
        runtime = {"reflectors": 1, "workers": 2, "heartbeat": HEARTBEAT_S, "dir": str(folder)}
        pipeline = Pipeline(folder, server.kubeconfig, runtime=runtime, metrics={"listen": f"unix:{listen}"})
        pipeline.handle("pods")
        try:
            pipeline.up()
            faces = Faces(listen, Plan(load(pipeline.config)))
            wait_until("readiness", lambda: faces.get("/readyz")[0] == 200, seconds=60)
            assert pipeline.down() == 0
            server.stop()
            pipeline.up()
            wait_until("the core", lambda: faces.get("/readyz/core")[0] == 200, seconds=60)
            made = Stage(server, pipeline, faces)

            def informer() -> dict[str, Any]:
                return dict(pipeline.status().get("informers", {}).get("dev/pods", {}))

            # Which cluster it is cannot be asked: after a while the one that was known last is taken.
            wait_until("the caches", lambda: informer().get("objects") == 5, seconds=60, every_s=0.2)
            for _ in range(20):
                assert faces.get("/readyz")[0] == 503
                assert "deltawire_ready 0.0" in faces.get("/metrics")[1]
                time.sleep(SAMPLE_S)
            found = made.run("get", "pods", "-A", "-o", "name")
            assert len(found.stdout.splitlines()) == 5
            assert "unknown: " in found.stderr
            told = json.loads(made.run("status", "--json").stdout)["informers"]["dev/pods"]
            assert (told["fresh"], told["synced"]) == (False, False)
        finally:
            pipeline.close()
            if server.process.poll() is None:
                server.stop()


def test_a_run_that_is_interrupted_while_it_compares_says_what_was_not_compared_and_fails() -> None:
    with tempfile.TemporaryDirectory(prefix="dw-") as text:
        folder = Path(text).resolve()
        server = ServerProcess(folder, "--objects", "pods=5", "--churn", "0")
        # It takes its events and never acknowledges one, so that the run waits for it.
        never = {"name": "never", "command": ["sleep", "1000"], "on": ["pods"]}
        pipeline = Pipeline(
            folder,
            server.kubeconfig,
            handlers=[never],
            runtime={"drain_deadline": "2s", "heartbeat": HEARTBEAT_S},
        )
        try:
            pipeline.up("--for", "1s")
            wait_until("the comparison", lambda: "pending 5" in pipeline.log, seconds=60)
            time.sleep(1.5)  # the time of --for is over; it waits up to 20 s for the handler
            # 4: its call did not end within the drain's deadline either.
            assert pipeline.down() in (1, 4)
            assert (
                "FAILED: interrupted: it is not known whether every handler has acknowledged" in pipeline.log
            )
            assert "equals the API server" not in pipeline.log
        finally:
            pipeline.close()
            server.stop()
