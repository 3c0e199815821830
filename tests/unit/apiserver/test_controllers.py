"""Controllers bring users' Deployments to what they ask for, step by step, and stop there."""

from collections.abc import Callable
from typing import Any

import pytest

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.simulate import machines
from deltawire.apiserver.simulate.cluster import SimulatedCluster
from deltawire.apiserver.simulate.controllers import Controllers

STEPS_MAX = 500


def deployment(image: str = "i:1", **spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": image}]}}
    return {
        "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": template, **spec},
    }


@pytest.fixture
def woken() -> list[int]:
    return []


@pytest.fixture
def settle(core: ApiCore, woken: list[int]) -> Callable[[], int]:
    core.stops_pods = True
    core.create("nodes", machines.node(0, "2026-01-01T00:00:00Z"))
    controllers = Controllers(core, seed=1, now=core.now, wake=lambda: woken.append(1))

    def run() -> int:
        for steps in range(STEPS_MAX):
            if not controllers.step():
                return steps
        pytest.fail("the controllers do not come to rest")

    return run


def change(core: ApiCore, **spec: Any) -> None:
    core.patch("deployments.apps", lambda d: d | {"spec": d["spec"] | spec}, "web", "default")


def read(core: ApiCore, storage: str) -> list[dict[str, Any]]:
    return [record.decode() for record in core.list(storage).records]


def status(core: ApiCore) -> dict[str, Any]:
    found: dict[str, Any] = core.get("deployments.apps", "web", "default").decode()["status"]
    return found


def revisions(core: ApiCore) -> dict[str, int]:
    """Replicas wanted of each image, oldest revision first."""
    sets = read(core, "replicasets.apps")
    sets.sort(key=lambda s: int(s["metadata"]["annotations"]["deployment.kubernetes.io/revision"]))
    return {s["spec"]["template"]["spec"]["containers"][0]["image"]: s["spec"]["replicas"] for s in sets}


def test_a_deployment_gets_its_pods_and_says_so(core: ApiCore, settle: Callable[[], int]) -> None:
    core.create("deployments.apps", deployment(), "default")
    assert settle() > 0
    assert {p["status"]["phase"] for p in read(core, "pods")} == {"Running"}
    told = status(core)
    assert {
        name: told[name] for name in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    } == {
        "replicas": 2,
        "updatedReplicas": 2,
        "readyReplicas": 2,
        "availableReplicas": 2,
    }
    assert {(c["type"], c["status"]) for c in told["conditions"]} == {
        ("Available", "True"),
        ("Progressing", "True"),
    }
    before = core.store.version
    settle()
    assert core.store.version == before, "what is done is done"


def test_a_new_template_is_a_new_revision_and_an_old_one_comes_back(
    core: ApiCore, settle: Callable[[], int]
) -> None:
    core.create("deployments.apps", deployment(), "default")
    settle()
    change(core, template=deployment("i:2")["spec"]["template"])
    settle()
    assert revisions(core) == {"i:1": 0, "i:2": 2}
    change(core, template=deployment("i:1")["spec"]["template"])
    settle()
    assert list(revisions(core).items()) == [("i:2", 0), ("i:1", 2)]
    assert len(read(core, "pods")) == 2


def test_history_is_cut_scale_is_followed_and_a_pause_holds(core: ApiCore, settle: Callable[[], int]) -> None:
    core.create("deployments.apps", deployment(revisionHistoryLimit=1), "default")
    for number in (2, 3, 4):
        settle()
        change(core, template=deployment(f"i:{number}")["spec"]["template"])
    settle()
    assert revisions(core) == {"i:3": 0, "i:4": 2}
    change(core, replicas=5)
    settle()
    assert len(read(core, "pods")) == 5
    change(core, replicas=1)
    settle()
    assert len(read(core, "pods")) == 1
    change(core, paused=True, template=deployment("i:5")["spec"]["template"])
    settle()
    assert revisions(core) == {"i:3": 0, "i:4": 1}


def test_a_pod_that_goes_is_replaced_and_a_lone_pod_starts(
    core: ApiCore, settle: Callable[[], int], woken: list[int]
) -> None:
    core.create("deployments.apps", deployment(), "default")
    core.create("pods", {"metadata": {"name": "lone"}, "spec": {"containers": [{"name": "c"}]}}, "default")
    settle()
    woken.clear()
    gone = next(p["metadata"]["name"] for p in read(core, "pods") if p["metadata"]["name"] != "lone")
    core.delete("pods", gone, "default")
    assert woken
    settle()
    names = {p["metadata"]["name"] for p in read(core, "pods")}
    assert len(names) == 3
    assert gone not in names
    core.delete("deployments.apps", "web", "default")
    settle()
    assert [p["metadata"]["name"] for p in read(core, "pods")] == ["lone"]


def test_an_object_that_no_controller_can_read_stops_none(
    core: ApiCore, settle: Callable[[], int], caplog: pytest.LogCaptureFixture
) -> None:
    core.create("deployments.apps", deployment(replicas="many"), "default")
    core.create("pods", {"metadata": {"name": "lone"}, "spec": {"containers": [{"name": "c"}]}}, "default")
    settle()
    assert core.get("pods", "lone", "default").decode()["status"]["phase"] == "Running"
    assert "no controller can act on replicasets.apps default/web-" in caplog.text


def test_the_simulated_cluster_is_left_alone_and_lost_events_are_made_up_for(
    core: ApiCore, settle: Callable[[], int]
) -> None:
    SimulatedCluster(core, {"pods": 5}, seed=1, now=core.now).populate()
    settle()
    before = core.store.version
    settle()
    assert core.store.version == before
    core.create("deployments.apps", deployment(), "default")
    core.compact()
    settle()
    assert status(core)["readyReplicas"] == 2
