"""Pods may take time to start and to stop, and say meanwhile what a kubelet says."""

from collections.abc import Callable
from typing import Any

import pytest

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.options import DeleteOptions, WatchOptions
from deltawire.apiserver.core.selection import Selection
from deltawire.apiserver.options import parse_flags
from deltawire.apiserver.simulate import machines
from deltawire.apiserver.simulate.controllers import Controllers
from deltawire.common.errors import ConfigError, StatusError

STEPS_MAX = 500
DELAY_S = 3.0
BEGAN_S = 1_700_000_000.0
Settle = Callable[[float], None]


class Clock:
    def __init__(self) -> None:
        self.now_s = BEGAN_S

    def __call__(self) -> float:
        return self.now_s


def cluster(delay_s: float) -> tuple[ApiCore, Controllers, Settle]:
    """One node, and a pod ``p`` that is on it."""
    clock = Clock()
    core = ApiCore(now=clock)
    core.bootstrap()
    core.stops_pods = True
    core.create("nodes", machines.node(0, "2026-01-01T00:00:00Z"))
    controllers = Controllers(core, seed=1, now=clock, wake=lambda: None, pod_delay_s=delay_s)

    def settle(after_s: float) -> None:
        clock.now_s += after_s
        assert any(not controllers.step() for _ in range(STEPS_MAX)), "the controllers come to rest"

    pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    core.create("pods", pod, "default")
    settle(0)
    return core, controllers, settle


def status(core: ApiCore) -> dict[str, Any]:
    found: dict[str, Any] = core.get("pods", "p", "default").decode()["status"]
    return found


def is_ready(status: dict[str, Any]) -> bool:
    return {c["type"]: c["status"] for c in status["conditions"]}["Ready"] == "True"


def test_a_pod_is_pending_until_its_delay_is_over() -> None:
    core, controllers, settle = cluster(DELAY_S)
    assert status(core)["phase"] == "Pending"
    assert not is_ready(status(core))
    assert status(core)["containerStatuses"][0]["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert controllers.next_s == BEGAN_S + DELAY_S
    settle(DELAY_S)
    assert status(core)["phase"] == "Running"
    assert is_ready(status(core))


def test_a_container_that_is_being_made_has_no_log() -> None:
    core, _, settle = cluster(DELAY_S)
    with pytest.raises(StatusError, match='"c" in pod "p" is waiting to start: ContainerCreating'):
        core.read_log("p", "default")
    settle(DELAY_S)
    assert core.read_log("p", "default") == b""


def test_a_deleted_pod_stays_until_its_delay_is_over() -> None:
    core, _, settle = cluster(DELAY_S)
    settle(DELAY_S)
    core.delete("pods", "p", "default")
    settle(0)
    settle(DELAY_S - 1)
    assert status(core)["phase"] == "Running"
    settle(1)
    assert not core.exists("pods", "p", "default")


@pytest.mark.parametrize("delay_s", [0.0, DELAY_S])
def test_a_pod_that_stops_is_not_ready_before_it_is_gone(delay_s: float) -> None:
    core, _, settle = cluster(delay_s)
    settle(delay_s)
    cursor = core.watch("pods", Selection(namespace="default"), WatchOptions(version=str(core.store.version)))
    core.delete("pods", "p", "default")
    settle(0)
    settle(delay_s)
    changes = cursor.take(1 << 20)
    assert [change[0] for change in changes] == ["MODIFIED", "MODIFIED", "DELETED"]


def test_a_pod_that_is_removed_while_it_starts_leaves_nothing_to_wait_for() -> None:
    core, controllers, settle = cluster(DELAY_S)
    core.delete("pods", "p", "default", DeleteOptions(grace_s=0))
    settle(DELAY_S)
    assert not core.exists("pods", "p", "default")
    assert controllers.next_s is None


@pytest.mark.parametrize("text", ["-1", "3601", "nan"])
def test_a_delay_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="pod-delay"):
        parse_flags([f"--pod-delay={text}"])


def test_a_delay_is_read_from_the_command_line() -> None:
    assert parse_flags(["--pod-delay", "0.5"]).pod_delay_s == 0.5
