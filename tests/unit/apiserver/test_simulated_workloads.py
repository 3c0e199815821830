"""What controllers bring StatefulSets, DaemonSets, Jobs, services and budgets to, step by step."""

from collections.abc import Callable
from typing import Any

import pytest

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.options import DeleteOptions
from deltawire.apiserver.simulate import machines
from deltawire.apiserver.simulate.controllers import Controllers
from deltawire.common.errors import StatusError

LABELS = {"app": "x"}
SELECTOR = {"matchLabels": LABELS}


@pytest.fixture
def settle(core: ApiCore) -> Callable[[], None]:
    core.stops_pods = True
    for number in range(2):
        core.create("nodes", machines.node(number, "2026-01-01T00:00:00Z"))
    controllers = Controllers(core, seed=1, now=core.now, wake=lambda: None)

    def run() -> None:
        assert any(not controllers.step() for _ in range(5000)), "the controllers come to rest"

    return run


def template(image: str = "i:1", **spec: Any) -> dict[str, Any]:
    return {"metadata": {"labels": LABELS}, "spec": {"containers": [{"name": "c", "image": image}], **spec}}


def make(core: ApiCore, storage: str, name: str, **spec: Any) -> None:
    core.create(storage, {"metadata": {"name": name}, "spec": spec}, "default")


def change(core: ApiCore, storage: str, name: str, **spec: Any) -> None:
    core.patch(storage, lambda obj: obj | {"spec": obj["spec"] | spec}, name, "default")


def pods(core: ApiCore) -> dict[str, dict[str, Any]]:
    return {record.name: record.decode() for record in core.list("pods").records}


def images(core: ApiCore) -> dict[str, str]:
    return {name: pod["spec"]["containers"][0]["image"] for name, pod in pods(core).items()}


def status(core: ApiCore, storage: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = core.get(storage, name, "default").decode()["status"]
    return found


def test_a_stateful_set_keeps_its_numbers_and_renews_from_its_partition_on(
    core: ApiCore, settle: Callable[[], None]
) -> None:
    name = "statefulsets.apps"
    make(core, name, "db", replicas=3, selector=SELECTOR, serviceName="db", template=template())
    settle()
    assert list(pods(core)) == ["db-0", "db-1", "db-2"]
    assert pods(core)["db-1"]["spec"]["hostname"] == "db-1"
    change(core, name, "db", template=template("i:2"), updateStrategy={"rollingUpdate": {"partition": 1}})
    settle()
    assert images(core) == {"db-0": "i:1", "db-1": "i:2", "db-2": "i:2"}
    told = status(core, name, "db")
    assert (told["updatedReplicas"], told["currentReplicas"], told["readyReplicas"]) == (2, 1, 3)
    assert told["currentRevision"] != told["updateRevision"]
    core.delete("pods", "db-1", "default")
    settle()
    assert list(pods(core)) == ["db-0", "db-1", "db-2"]
    change(core, name, "db", replicas=1)
    settle()
    assert list(pods(core)) == ["db-0"]


def test_a_pod_that_is_not_ready_holds_up_those_after_it(core: ApiCore, settle: Callable[[], None]) -> None:
    gate = {"readinessGates": [{"conditionType": "example.net/up"}]}
    make(core, "statefulsets.apps", "db", replicas=2, selector=SELECTOR, template=template(**gate))
    settle()
    assert list(pods(core)) == ["db-0"]
    up = {"type": "example.net/up", "status": "True"}

    def gated(pod: dict[str, Any]) -> dict[str, Any]:
        told = pod["status"]
        return {**pod, "status": {**told, "conditions": [*told["conditions"], up]}}

    core.patch("pods", gated, "db-0", "default", subresource="status")
    settle()
    assert list(pods(core)) == ["db-0", "db-1"]


def test_a_daemon_set_follows_the_nodes(core: ApiCore, settle: Callable[[], None]) -> None:
    make(core, "daemonsets.apps", "agent", selector=SELECTOR, template=template())
    settle()
    assert sorted(pod["spec"]["nodeName"] for pod in pods(core).values()) == ["node-0", "node-1"]
    core.create("nodes", machines.node(2, "2026-01-01T00:00:00Z"))
    settle()
    assert status(core, "daemonsets.apps", "agent")["numberReady"] == 3
    change(core, "daemonsets.apps", "agent", template=template(nodeSelector={"no": "such"}))
    settle()
    assert pods(core) == {}
    assert status(core, "daemonsets.apps", "agent")["desiredNumberScheduled"] == 0


def end(core: ApiCore, code: int = 0) -> None:
    for name, pod in pods(core).items():
        if pod["status"]["phase"] == "Running":
            core.end_container(name, "default", code)


def test_an_indexed_job_runs_each_number_once_and_goes_after_its_time(
    core: ApiCore, settle: Callable[[], None], clock: Any
) -> None:
    make(
        core, "jobs.batch", "j", completions=3, parallelism=2, completionMode="Indexed",
        ttlSecondsAfterFinished=30, template=template(restartPolicy="Never"),
    )  # fmt: skip
    settle()
    assert len(pods(core)) == 2
    for _ in range(3):
        end(core)
        settle()
    told = status(core, "jobs.batch", "j")
    assert (told["succeeded"], told["completedIndexes"]) == (3, "0,1,2")
    assert told["conditions"][-1]["type"] == "Complete"
    clock.now_s += 31
    settle()
    assert core.list("jobs.batch").records == []
    assert pods(core) == {}


def test_a_job_fails_past_its_limit_and_past_its_deadline(
    core: ApiCore, settle: Callable[[], None], clock: Any
) -> None:
    never = template(restartPolicy="Never")
    make(core, "jobs.batch", "bad", backoffLimit=1, template=never)
    make(core, "jobs.batch", "late", activeDeadlineSeconds=60, template=never)
    settle()
    reasons = {}
    for _ in range(2):
        for name in [name for name in pods(core) if name.startswith("bad")]:
            if pods(core)[name]["status"]["phase"] == "Running":
                core.end_container(name, "default", 1)
        settle()
    clock.now_s += 60
    settle()
    for name in ("bad", "late"):
        reasons[name] = status(core, "jobs.batch", name)["conditions"][-1]["reason"]
    assert reasons == {"bad": "BackoffLimitExceeded", "late": "DeadlineExceeded"}


def test_a_suspended_job_has_no_pods_and_goes_on_when_it_is_resumed(
    core: ApiCore, settle: Callable[[], None]
) -> None:
    make(core, "jobs.batch", "j", suspend=True, template=template(restartPolicy="Never"))
    settle()
    assert pods(core) == {}
    change(core, "jobs.batch", "j", suspend=False)
    settle()
    assert len(pods(core)) == 1


def test_a_services_endpoints_follow_its_pods(core: ApiCore, settle: Callable[[], None]) -> None:
    container = {"name": "c", "image": "i", "ports": [{"name": "web", "containerPort": 8080}]}
    pod_template = {"metadata": {"labels": LABELS}, "spec": {"containers": [container]}}
    make(core, "services", "s", selector=LABELS, ports=[{"port": 80, "targetPort": "web"}])
    make(core, "deployments.apps", "d", replicas=2, selector=SELECTOR, template=pod_template)
    settle()

    def found() -> tuple[list[str], list[int]]:
        pieces = [r.decode() for r in core.list("endpointslices.discovery.k8s.io").records]
        of = [piece for piece in pieces if piece["metadata"]["name"].startswith("s-")]
        assert len(of) == 1
        endpoints, ports = of[0].get("endpoints") or [], of[0].get("ports") or []
        return [e["addresses"][0] for e in endpoints], [port["port"] for port in ports]

    assert found() == ([pod["status"]["podIP"] for pod in pods(core).values()], [8080])
    endpoints = core.get("endpoints", "s", "default").decode()["subsets"][0]
    assert [address["ip"] for address in endpoints["addresses"]] == found()[0]
    change(core, "deployments.apps", "d", replicas=0)
    settle()
    assert found()[0] == []
    core.delete("services", "s", "default")
    settle()
    names = [r.name for r in core.list("endpointslices.discovery.k8s.io").records]
    assert not [name for name in names if name.startswith("s-")]


def test_a_budget_is_honoured_also_between_two_looks_of_its_controller(
    core: ApiCore, settle: Callable[[], None]
) -> None:
    make(core, "deployments.apps", "d", replicas=3, selector=SELECTOR, template=template())
    make(core, "poddisruptionbudgets.policy", "b", minAvailable=2, selector=SELECTOR)
    settle()
    told = status(core, "poddisruptionbudgets.policy", "b")
    assert (told["disruptionsAllowed"], told["expectedPods"], told["currentHealthy"]) == (1, 3, 3)
    first, second, _ = pods(core)
    core.evict(first, "default")
    with pytest.raises(StatusError, match="disruption budget") as refused:
        core.evict(second, "default")
    assert refused.value.code == 429
    settle()
    core.evict(second, "default")


def test_orphans_are_adopted(core: ApiCore, settle: Callable[[], None]) -> None:
    make(core, "deployments.apps", "d", replicas=2, selector=SELECTOR, template=template())
    settle()
    before = set(pods(core))
    core.delete("deployments.apps", "d", "default", DeleteOptions(propagation="Orphan"))
    settle()
    make(core, "deployments.apps", "d", replicas=2, selector=SELECTOR, template=template())
    settle()
    assert set(pods(core)) == before
