"""Scale, eviction, binding, logs, and the parts that other subresources write."""

from typing import Any

import pytest

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.evictions import BUDGETS
from deltawire.apiserver.core.logs import LOG_BYTES_MAX, LogOptions
from deltawire.apiserver.core.scale import selector_text
from deltawire.common.errors import StatusError

Tree = dict[str, Any]


def pod(name: str = "p", **spec: Any) -> Tree:
    return {
        "metadata": {"name": name, "labels": {"app": "x"}},
        "spec": {"containers": [{"name": "c"}], **spec},
    }


def budget(core: ApiCore, **spec: Any) -> None:
    spec = {"selector": {"matchLabels": {"app": "x"}}} | spec
    core.create(BUDGETS, {"metadata": {"name": "b"}, "spec": spec}, "default")


def code_of(error: pytest.ExceptionInfo[StatusError]) -> tuple[int, str]:
    return error.value.code, error.value.reason


def test_a_scale_shows_and_sets_replicas(core: ApiCore) -> None:
    spec = {"replicas": 2, "selector": {"matchLabels": {"a": "b"}}}
    core.create("deployments.apps", {"metadata": {"name": "d"}, "spec": spec}, "default")
    scale = core.get_scale("deployments.apps", "d", "default")
    assert (scale["spec"], scale["status"]) == ({"replicas": 2}, {"replicas": 0, "selector": "a=b"})
    changed = core.patch_scale("deployments.apps", lambda s: {**s, "spec": {"replicas": 5}}, "d", "default")
    assert changed["spec"]["replicas"] == 5
    stored = core.get("deployments.apps", "d", "default").decode()
    assert (stored["spec"]["replicas"], stored["metadata"]["generation"]) == (5, 2)


@pytest.mark.parametrize(
    ("scale", "code"),
    [
        ({"spec": {"replicas": -1}}, 422),
        ({"spec": {"replicas": "3"}}, 400),
        ({"spec": {"replicas": True}}, 400),
        ({"metadata": {"name": "other"}, "spec": {"replicas": 1}}, 400),
        ({"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 1}}, 409),
        ([], 400),
    ],
)
def test_a_bad_scale_changes_nothing(core: ApiCore, scale: Any, code: int) -> None:
    core.create("deployments.apps", {"metadata": {"name": "d"}}, "default")
    with pytest.raises(StatusError) as refused:
        core.patch_scale("deployments.apps", lambda _: scale, "d", "default")
    assert refused.value.code == code
    assert core.get_scale("deployments.apps", "d", "default")["spec"]["replicas"] == 1


@pytest.mark.parametrize(
    ("selector", "text"),
    [
        ({"b": "2", "a": "1"}, "a=1,b=2"),
        ({"matchExpressions": [{"key": "k", "operator": "In", "values": ["x", "y"]}]}, "k in (x,y)"),
        ({"matchExpressions": [{"key": "k", "operator": "DoesNotExist"}]}, "!k"),
        ("as=is", "as=is"),
        (None, ""),
    ],
)
def test_selectors_as_text(selector: Any, text: str) -> None:
    assert selector_text(selector) == text


@pytest.mark.parametrize("spec", [{"minAvailable": 1}, {"minAvailable": "100%"}, {"maxUnavailable": 0}])
def test_a_budget_without_room_keeps_the_pod(core: ApiCore, spec: Tree) -> None:
    core.create("pods", pod(), "default")
    budget(core, **spec)
    with pytest.raises(StatusError) as refused:
        core.evict("p", "default")
    assert code_of(refused) == (429, "TooManyRequests")
    assert refused.value.details is not None
    assert refused.value.details["causes"][0]["reason"] == "DisruptionBudget"
    assert core.get("pods", "p", "default").name == "p"


@pytest.mark.parametrize(
    "spec", [{"minAvailable": 1}, {"maxUnavailable": "50%"}, {"selector": {"matchLabels": {"app": "y"}}}]
)
def test_a_pod_that_no_budget_needs_goes(core: ApiCore, spec: Tree) -> None:
    core.create("pods", pod(), "default")
    core.create("pods", pod("q"), "default")
    budget(core, **spec)
    assert core.evict("p", "default").is_gone


def test_what_a_budgets_status_allows_wins_over_its_spec(core: ApiCore) -> None:
    core.create("pods", pod(), "default")
    budget(core, minAvailable=1)
    status = {"status": {"disruptionsAllowed": 1}}
    core.patch(BUDGETS, lambda b: b | status, "b", "default", subresource="status")
    assert core.evict("p", "default").is_gone


def test_a_pod_is_bound_once(core: ApiCore) -> None:
    core.create("pods", pod(), "default")
    bound = core.bind("p", "default", "n1").decode()
    assert bound["spec"]["nodeName"] == "n1"
    assert [c["type"] for c in bound["status"]["conditions"]] == ["PodScheduled"]
    with pytest.raises(StatusError) as refused:
        core.bind("p", "default", "n2")
    assert code_of(refused) == (409, "Conflict")


def test_ephemeral_containers_and_finalizers_are_written_through_their_own_door(core: ApiCore) -> None:
    core.create("pods", pod(), "default")
    debug = pod(nodeName="x", ephemeralContainers=[{"name": "debug"}])
    stored = core.update("pods", debug, "p", "default", subresource="ephemeralcontainers").decode()
    assert [c["name"] for c in stored["spec"]["ephemeralContainers"]] == ["debug"]
    assert "nodeName" not in stored["spec"]
    core.create("namespaces", {"metadata": {"name": "n"}})
    emptied = {"metadata": {"name": "n", "labels": {"a": "b"}}, "spec": {"finalizers": []}}
    done = core.update("namespaces", emptied, "n", subresource="finalize").decode()
    assert done["spec"]["finalizers"] == []
    assert done["metadata"]["labels"]["a"] == "b", "all but the status is written through finalize"


def test_a_log_is_what_was_scripted(core: ApiCore) -> None:
    core.create("pods", pod(), "default")
    assert core.read_log("p", "default") == b""
    core.script_log("p", "default", "one\ntwo\nthree")
    assert core.read_log("p", "default") == b"one\ntwo\nthree\n"
    assert core.read_log("p", "default", LogOptions(tail=1)) == b"three\n"
    assert core.read_log("p", "default", LogOptions(tail=0)) == b""
    assert core.read_log("p", "default", LogOptions(bytes_max=5)) == b"one\nt"
    assert core.read_log("p", "default", LogOptions(since_s=core.now() + 60)) == b""
    stamped = core.read_log("p", "default", LogOptions(tail=1, timestamps=True)).decode()
    assert stamped.endswith("Z three\n")


def test_a_log_needs_a_container_that_is_there(core: ApiCore) -> None:
    core.create("pods", pod(containers=[{"name": "a"}, {"name": "b"}]), "default")
    for options in (LogOptions(), LogOptions(container="z"), LogOptions(container="a", previous=True)):
        with pytest.raises(StatusError) as refused:
            core.read_log("p", "default", options)
        assert refused.value.code == 400
    core.script_log("p", "default", "x", container="b")
    assert core.read_log("p", "default", LogOptions(container="b")) == b"x\n"


def test_logs_are_bounded_and_those_of_gone_pods_make_room(core: ApiCore) -> None:
    core.create("pods", pod(), "default")
    core.create("pods", pod("q"), "default")
    core.script_log("p", "default", "x" * (LOG_BYTES_MAX - 10))
    with pytest.raises(StatusError) as refused:
        core.script_log("q", "default", "y" * 20)
    assert refused.value.code == 413
    core.delete("pods", "p", "default")
    core.script_log("q", "default", "y" * 20)
    assert core.read_log("q", "default") == b"y" * 20 + b"\n"


def test_events_are_one_storage_under_two_names(core: ApiCore) -> None:
    event = {"metadata": {"name": "e"}, "involvedObject": {"kind": "Pod", "name": "p"}, "message": "hi"}
    core.create("events", event, "default")
    events = core.catalogue.find("events.k8s.io", "v1", "events")
    assert events is not None

    def reworded(obj: Tree) -> Tree:
        assert (obj["note"], obj["regarding"]["name"]) == ("hi", "p")
        return {**obj, "note": "ho"}

    core.patch(events, reworded, "e", "default")
    assert core.get("events", "e", "default").decode()["message"] == "ho"
