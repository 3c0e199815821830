"""Where kubelets are, a pod that is deleted is marked first and goes when it is stopped; owners wait for it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.journal import FileJournal
from deltawire.apiserver.core.options import DeleteOptions
from deltawire.apiserver.core.selection import Selection
from deltawire.apiserver.simulate import machines
from deltawire.apiserver.simulate.controllers import Controllers

STEPS_MAX = 2000
FOREGROUND = DeleteOptions(propagation="Foreground")


@pytest.fixture
def settle(core: ApiCore) -> Callable[[], None]:
    core.stops_pods = True
    core.create("nodes", machines.node(0, "2026-01-01T00:00:00Z"))
    controllers = Controllers(core, seed=1, now=core.now, wake=lambda: None)

    def run() -> None:
        assert any(not controllers.step() for _ in range(STEPS_MAX)), "the controllers come to rest"

    return run


def pod(name: str = "p", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


def metadata(core: ApiCore, name: str = "p") -> dict[str, Any]:
    found: dict[str, Any] = core.get("pods", name, "default").decode()["metadata"]
    return found


def test_a_running_pod_is_marked_with_its_grace_and_goes_when_it_is_stopped(
    core: ApiCore, settle: Callable[[], None]
) -> None:
    core.create("pods", pod(terminationGracePeriodSeconds=7), "default")
    settle()
    deletion = core.delete("pods", "p", "default")
    assert not deletion.is_gone
    marked = metadata(core)
    assert (marked["deletionGracePeriodSeconds"], marked["deletionTimestamp"]) == (7, "2023-11-14T22:13:27Z")
    settle()
    assert not core.exists("pods", "p", "default")


def test_a_shorter_grace_counts_a_longer_one_does_not_and_none_is_at_once(
    core: ApiCore, settle: Callable[[], None]
) -> None:
    core.create("pods", pod(), "default")
    settle()
    for asked_s, holds_s in ((20, 20), (25, 20), (5, 5)):
        core.delete("pods", "p", "default", DeleteOptions(grace_s=asked_s))
        assert metadata(core)["deletionGracePeriodSeconds"] == holds_s
    assert core.delete("pods", "p", "default", DeleteOptions(grace_s=0)).is_gone


def test_a_pod_without_a_node_or_that_has_ended_goes_at_once(
    core: ApiCore, settle: Callable[[], None]
) -> None:
    core.create("pods", pod("ended"), "default")
    settle()
    core.end_container("ended", "default")
    core.create("pods", pod("waiting", nodeSelector={"no": "such"}), "default")
    settle()
    assert core.delete("pods", "ended", "default").is_gone
    assert core.delete("pods", "waiting", "default").is_gone


def test_a_write_to_a_stopping_pod_does_not_remove_it(core: ApiCore, settle: Callable[[], None]) -> None:
    core.create("pods", pod(), "default")
    settle()
    core.delete("pods", "p", "default")
    core.patch("pods", lambda p: p | {"metadata": p["metadata"] | {"labels": {"a": "b"}}}, "p", "default")
    assert metadata(core)["labels"] == {"a": "b"}


def test_a_finalizer_holds_a_stopped_pod(core: ApiCore, settle: Callable[[], None]) -> None:
    held = pod()
    held["metadata"]["finalizers"] = ["example.net/hold"]
    core.create("pods", held, "default")
    settle()
    core.delete("pods", "p", "default")
    settle()
    assert metadata(core)["deletionGracePeriodSeconds"] == 0
    core.patch("pods", lambda p: p | {"metadata": p["metadata"] | {"finalizers": []}}, "p", "default")
    assert not core.exists("pods", "p", "default")


def test_an_owner_that_is_deleted_in_the_foreground_outlives_its_pods(
    core: ApiCore, settle: Callable[[], None]
) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod()["spec"]}
    spec = {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    core.create("deployments.apps", {"metadata": {"name": "d"}, "spec": spec}, "default")
    settle()
    core.delete("deployments.apps", "d", "default", FOREGROUND)
    assert len(core.list("pods").records) == 2
    assert core.get("deployments.apps", "d", "default").is_terminating
    assert len(core.list("replicasets.apps").records) == 1
    settle()
    for storage in ("deployments.apps", "replicasets.apps", "pods"):
        assert core.list(storage).records == []


def test_an_owner_that_a_restart_left_waiting_goes_with_what_it_waited_for(
    core: ApiCore, settle: Callable[[], None], tmp_path: Path
) -> None:
    journal = FileJournal(tmp_path / "data")
    first = ApiCore(now=core.now)
    first.restore(journal)
    first.bootstrap()
    owner = first.create("configmaps", {"metadata": {"name": "owner"}}, "default")
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.uid}
    about = {
        "ownerReferences": [{**reference, "blockOwnerDeletion": True}],
        "finalizers": ["example.net/hold"],
    }
    first.create("configmaps", {"metadata": {"name": "owned", **about}}, "default")
    first.delete("configmaps", "owner", "default", FOREGROUND)
    journal.close()
    journal = FileJournal(tmp_path / "data")
    second = ApiCore(now=core.now)
    second.restore(journal)
    assert second.get("configmaps", "owner", "default").is_terminating

    def freed(obj: dict[str, Any]) -> dict[str, Any]:
        return obj | {"metadata": obj["metadata"] | {"finalizers": []}}

    second.patch("configmaps", freed, "owned", "default")
    assert second.list("configmaps", Selection(namespace="default")).records == []
    journal.close()


def test_a_namespace_goes_after_its_pods_and_says_meanwhile_what_is_left(
    core: ApiCore, settle: Callable[[], None]
) -> None:
    core.create("namespaces", {"metadata": {"name": "shop"}})
    core.create("pods", pod(), "shop")
    settle()
    core.delete("namespaces", "shop")
    told = core.get("namespaces", "shop").decode()["status"]
    messages = {c["type"]: c["message"] for c in told["conditions"]}
    assert told["phase"] == "Terminating"
    left = "Some resources are remaining: pods. has 1 resource instances"
    assert messages["NamespaceContentRemaining"] == left
    settle()
    assert not core.exists("namespaces", "shop")


def test_without_kubelets_a_pod_goes_at_once(core: ApiCore) -> None:
    core.create("pods", pod(), "default")
    core.run_pod("p", "default")
    assert core.delete("pods", "p", "default").is_gone
