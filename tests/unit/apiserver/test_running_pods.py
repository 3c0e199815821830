"""Pods that run and end, as a kubelet would report it, and what follows."""

from typing import Any

import pytest

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.logs import LogOptions
from deltawire.apiserver.core.pods import PodLife, is_running
from deltawire.common.errors import StatusError


def make(core: ApiCore, *containers: str, name: str = "p") -> None:
    spec = {"containers": [{"name": container, "image": "i"} for container in containers]}
    core.create("pods", {"metadata": {"name": name}, "spec": spec}, "default")


def tree(core: ApiCore, name: str = "p") -> dict[str, Any]:
    return core.get("pods", name, "default").decode()


def conditions(pod: dict[str, Any]) -> dict[str, str]:
    return {entry["type"]: entry["status"] for entry in pod["status"]["conditions"]}


def test_a_pod_that_was_started_is_bound_running_and_ready(core: ApiCore) -> None:
    make(core, "a", "b")
    assert not is_running(tree(core))
    core.run_pod("p", "default")
    pod = tree(core)
    assert (pod["spec"]["nodeName"], pod["status"]["phase"]) == ("node-1", "Running")
    assert conditions(pod) == dict.fromkeys(
        ("PodScheduled", "Initialized", "ContainersReady", "Ready"), "True"
    )
    assert [(c["name"], c["ready"]) for c in pod["status"]["containerStatuses"]] == [("a", True), ("b", True)]
    assert is_running(pod)
    assert is_running(pod, "b")


def test_a_bound_pod_keeps_its_node(core: ApiCore) -> None:
    make(core, "a")
    core.bind("p", "default", "mine")
    core.run_pod("p", "default")
    assert tree(core)["spec"]["nodeName"] == "mine"


@pytest.mark.parametrize(("codes", "phase"), [((0, 0), "Succeeded"), ((0, 3), "Failed")])
def test_the_last_container_that_ends_decides_the_phase(
    core: ApiCore, codes: tuple[int, int], phase: str
) -> None:
    make(core, "a", "b")
    core.run_pod("p", "default")
    core.end_container("p", "default", codes[0], container="a")
    assert tree(core)["status"]["phase"] == "Running"
    assert not is_running(tree(core), "a")
    assert is_running(tree(core), "b")
    core.end_container("p", "default", codes[1], container="b")
    pod = tree(core)
    assert pod["status"]["phase"] == phase
    assert conditions(pod)["Ready"] == "False"
    ended = pod["status"]["containerStatuses"][1]["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (codes[1], "Error" if codes[1] else "Completed")


def test_of_several_containers_the_one_that_ends_is_named(core: ApiCore) -> None:
    make(core, "a", "b")
    with pytest.raises(StatusError) as refused:
        core.end_container("p", "default")
    assert refused.value.code == 400


def test_a_life_is_over_when_the_container_ends_or_the_pod_is_another_one(core: ApiCore) -> None:
    make(core, "a")
    core.run_pod("p", "default")
    woken: list[str] = []
    with PodLife(core.store, core.get("pods", "p", "default"), "a", lambda: woken.append("w")) as life:
        assert not life.is_over
        core.patch(
            "pods", lambda pod: pod | {"metadata": pod["metadata"] | {"labels": {"x": "y"}}}, "p", "default"
        )
        assert woken == ["w"]
        assert not life.is_over
        core.delete("pods", "p", "default")
        assert life.is_over
        make(core, "a")
        core.run_pod("p", "default")
        assert life.is_over
    woken.clear()
    core.delete("pods", "p", "default")
    assert woken == []


def test_a_life_goes_on_over_a_rewind(core: ApiCore) -> None:
    make(core, "a")
    core.run_pod("p", "default")
    version = core.store.version
    woken: list[str] = []
    with PodLife(core.store, core.get("pods", "p", "default"), "a", lambda: woken.append("w")) as life:
        core.create("configmaps", {"metadata": {"name": "later"}}, "default")
        core.rewind(version)
        assert woken
        assert not life.is_over
        woken.clear()
        core.end_container("p", "default")
        assert woken
        assert life.is_over


def test_a_reader_goes_on_where_it_was(core: ApiCore) -> None:
    make(core, "a")
    woken: list[int] = []
    core.logs.subscribe(lambda: woken.append(1))
    reader = core.logs.open(core.get("pods", "p", "default"), LogOptions())
    assert reader.take() == b""
    core.append_log("p", "default", "one\ntwo")
    core.append_log("p", "default", "three\n")
    assert len(woken) == 2
    assert reader.take(1) == b"one\n"
    assert reader.take() == b"two\nthree\n"
    assert reader.take() == b""
    core.script_log("p", "default", "anew")
    assert reader.take() == b"anew\n"


def test_a_reader_stops_at_its_limit_and_starts_at_its_tail(core: ApiCore) -> None:
    make(core, "a")
    core.append_log("p", "default", "one\ntwo")
    pod = core.get("pods", "p", "default")
    limited = core.logs.open(pod, LogOptions(tail=1, bytes_max=6))
    core.append_log("p", "default", "three")
    assert (limited.take(), limited.is_full) == (b"two\nth", True)
    newest = core.logs.open(pod, LogOptions(tail=0))
    core.append_log("p", "default", "four")
    assert newest.take() == b"four\n"
