"""`docker compose up` on a real engine. Run by deploy/container-test.sh; not part of `make test`.

One project lives through all tests, in their order, as a real one would.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import yaml

from tests.container.stack import FILES, PROJECT, ROOT, Stack, compose_commands, docker, running, wait_until

pytestmark = pytest.mark.timeout(420)

FIRST_EVENT_WITHIN_S = 20.0
SERVICES = (
    "hub", "fifo", "worker-0", "worker-1", "reflector-0", "reflector-1",
    "printer", "pods-per-node", "latest", "every", "apiserver",
)  # fmt: skip


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running(Stack) as made:
        yield made


@pytest.mark.parametrize("files", [FILES[:1], FILES[:2]], ids=["real cluster", "demo"])
def test_every_compose_accepts_the_files(files: tuple[str, ...]) -> None:
    commands = compose_commands()
    assert commands, "neither docker-compose nor docker compose is here"
    for command in commands:
        named = [part for name in files for part in ("-f", str(ROOT / name))]
        done = subprocess.run([*command, *named, "config"], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        assert len(yaml.safe_load(done.stdout)["services"]) == (8 if len(files) == 1 else 9)


def test_the_first_event_is_acknowledged_within_20_s_of_up(stack: Stack) -> None:
    stack.compose("up", "-d", "--no-build")
    returned_s = time.monotonic()
    wait_until(
        "a first acknowledged event",
        lambda: stack.status().get("totals", {}).get("acknowledged"),
        seconds=FIRST_EVENT_WITHIN_S,
        every_s=0.1,
    )
    print(f"first acknowledged event seen {time.monotonic() - returned_s:.1f} s after `up -d` returned")


def test_all_become_healthy_and_synced_and_churn_flows(stack: Stack) -> None:
    before = stack.wait_synced()
    assert set(stack.containers()) == set(SERVICES)
    wait_until(
        "500 more events",
        lambda: stack.status()["totals"]["acknowledged"] >= before["totals"]["acknowledged"] + 500,
        seconds=30,
    )
    stack.settle_and_judge()


def test_the_hub_publishes_readiness_and_metrics_on_loopback(stack: Stack) -> None:
    base = f"http://127.0.0.1:{stack.metrics_port}"
    assert requests.get(f"{base}/readyz", timeout=5).status_code == 200
    assert "deltawire_informer_objects" in requests.get(f"{base}/metrics", timeout=5).text


def test_nobody_is_root_nothing_can_be_changed_and_nothing_builds(stack: Stack) -> None:
    for service, container in stack.containers().items():
        assert container["HostConfig"]["ReadonlyRootfs"], service
        assert container["Config"]["User"] not in ("", "0", "root"), service
        assert container["Path"] == "deltawire-watch", f"{service}: nobody watches the role"
    script = "id -u; touch /opt/x 2>/dev/null && echo changed; ls /opt/deltawire/bin; command -v gcc cc make"
    said = stack.try_compose("exec", "-T", "worker-0", "sh", "-c", script).stdout.split()
    assert said[0] != "0"
    assert "changed" not in said
    assert "deltawire" in said
    assert not [word for word in said if word.startswith("pip") or "/" in word]


@pytest.mark.parametrize("service", SERVICES)
def test_a_killed_service_takes_no_other_with_it_and_loses_nothing(stack: Stack, service: str) -> None:
    before = stack.containers()
    killed = before[service]
    docker("kill", killed["Id"])
    time.sleep(2)  # time for others to fall with it: that they do not is the point
    for other, container in stack.containers().items():
        if other != service:
            assert container["State"]["Status"] == "running", f"{other} fell with {service}"
            assert container["State"]["StartedAt"] == before[other]["State"]["StartedAt"], other
    # An engine does not restart what was killed through it; a person does.
    stack.compose("up", "-d", "--no-build")
    stack.wait_synced()
    stack.settle_and_judge()


def test_a_crash_is_answered_by_the_restart_policy(stack: Stack) -> None:
    for service in ("fifo", "worker-0"):
        container = stack.containers()[service]
        os.kill(container["State"]["Pid"], signal.SIGKILL)
        wait_until(
            f"{service} to be started again",
            lambda service=service, old=container: (
                stack.containers()[service]["State"]["StartedAt"] != old["State"]["StartedAt"]
            ),
            seconds=30,
        )
        stack.wait_synced()
    stack.settle_and_judge()


@pytest.mark.parametrize("service", ["fifo", "worker-1", "reflector-0", "printer", "hub"])
def test_a_role_that_is_stopped_inside_its_container_is_killed_and_brought_back_by_the_restart_policy(
    stack: Stack, service: str
) -> None:
    before = stack.containers()[service]
    role = stack.role_in(before)
    os.kill(role, signal.SIGSTOP)
    wait_until(
        f"{service} to be started again",
        lambda: stack.containers()[service]["State"]["StartedAt"] != before["State"]["StartedAt"],
        seconds=60,
    )
    assert not Path(f"/proc/{role}").exists()
    assert "hangs and is killed" in docker("logs", "--tail", "200", before["Id"], with_errors=True)
    stack.wait_synced()
    stack.settle_and_judge()


def test_everything_killed_at_once_comes_back_and_loses_nothing(stack: Stack) -> None:
    docker("kill", *[container["Id"] for container in stack.containers().values()])
    stack.compose("up", "-d", "--no-build")
    stack.wait_synced()
    stack.settle_and_judge()


def test_replicas_of_a_scaled_handler_are_one_group(stack: Stack) -> None:
    stack.compose("up", "-d", "--no-build", "--scale", "pods-per-node=2")
    wait_until(
        "the group to have two replicas",
        lambda: stack.status().get("groups", {}).get("pods-per-node", {}).get("replicas") == 2,
        seconds=60,
    )
    names = [name for name in stack.status()["processes"] if name.startswith("pods-per-node-")]
    assert len(names) == len(set(names)) >= 2


def test_sigterm_ends_each_role_in_good_order(stack: Stack) -> None:
    stack.compose("stop")
    codes = {service: c["State"]["ExitCode"] for service, c in stack.containers().items()}
    assert codes == dict.fromkeys(codes, 0)


def test_down_leaves_nothing(stack: Stack) -> None:
    stack.compose("down", "-v")
    assert stack.leftovers() == []
    assert PROJECT not in docker("volume", "ls", "-q")
