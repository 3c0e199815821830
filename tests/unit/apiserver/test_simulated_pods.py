"""Which node a pod goes to, which address it gets, and when a schedule is due."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.simulate import machines, scheduling
from deltawire.apiserver.simulate.controllers import Controllers
from deltawire.apiserver.simulate.instants import parse_schedule
from deltawire.apiserver.simulate.kubelet import ORPHANED_S

NOW = "2026-01-01T00:00:00Z"
TAINT = {"key": "k", "value": "v", "effect": "NoSchedule"}


def node(number: int, *, ready: bool = True, **spec: Any) -> dict[str, Any]:
    made = machines.node(number, NOW)
    made["spec"] |= spec
    if not ready:
        made["status"]["conditions"] = []
    return made


def affinity(operator: str, *values: str) -> dict[str, Any]:
    expression = {"key": "kubernetes.io/hostname", "operator": operator, "values": list(values)}
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    return {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": terms}}}


@pytest.mark.parametrize(
    ("spec", "first", "is_taken"),
    [
        ({}, node(0), True),
        ({}, node(0, ready=False), False),
        ({}, node(0, unschedulable=True), False),
        ({}, node(0, taints=[TAINT]), False),
        ({"tolerations": [{"key": "k", "operator": "Exists"}]}, node(0, taints=[TAINT]), True),
        ({"tolerations": [{"key": "k", "value": "w"}]}, node(0, taints=[TAINT]), False),
        ({"tolerations": [{"operator": "Exists"}]}, node(0, unschedulable=True), True),
        ({"nodeSelector": {"kubernetes.io/hostname": "node-0"}}, node(0), True),
        ({"nodeSelector": {"kubernetes.io/hostname": "node-1"}}, node(0), False),
        (affinity("In", "node-0"), node(0), True),
        (affinity("NotIn", "node-0"), node(0), False),
        (affinity("Exists"), node(0), True),
        (affinity("DoesNotExist"), node(0), False),
    ],
)
def test_a_pod_goes_only_where_it_may(spec: dict[str, Any], first: dict[str, Any], is_taken: bool) -> None:
    name, why = scheduling.choose({"spec": spec}, [first], {})
    assert (name == "node-0") is is_taken
    assert bool(why) is not is_taken


def test_the_emptiest_node_is_taken_and_a_full_one_never() -> None:
    nodes = [node(0), node(1), node(2)]
    assert scheduling.choose({}, nodes, {"node-0": 2, "node-1": 1, "node-2": 3})[0] == "node-1"
    full = dict.fromkeys(("node-0", "node-1", "node-2"), 110)
    told = "0/3 nodes are available: 3 Too many pods. preemption: not eligible."
    assert scheduling.choose({}, nodes, full) == ("", told)


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("line", "since", "due"),
    [
        ("* * * * *", "2026-03-01 10:00:30", "2026-03-01 10:01:00"),
        ("*/15 * * * *", "2026-03-01 10:50:00", "2026-03-01 11:00:00"),
        ("30 4 1,15 * *", "2026-03-02 00:00:00", "2026-03-15 04:30:00"),
        ("0 22 * * 1-5", "2026-11-27 23:00:00", "2026-11-30 22:00:00"),
        ("0 0 * * 0", "2026-11-27 23:00:00", "2026-11-29 00:00:00"),
        ("0 0 13 * fri", "2026-11-09 00:00:00", "2026-11-13 00:00:00"),
        ("5 4 * feb,dec *", "2026-03-01 00:00:00", "2026-12-01 04:05:00"),
        ("@daily", "2026-12-31 00:00:00", "2027-01-01 00:00:00"),
    ],
)
def test_a_schedule_is_due_at_the_next_time_of_its_fields(line: str, since: str, due: str) -> None:
    assert parse_schedule(line).after(at(since)) == at(due)


def test_a_schedule_follows_its_zone_and_may_never_be_due() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    assert parse_schedule("0 6 * * *").after(at("2026-07-01 00:00:00"), berlin) == at("2026-07-01 04:00:00")
    assert parse_schedule("0 0 30 2 *").after(at("2026-01-01 00:00:00")) is None


@pytest.mark.parametrize(
    "line", ["", "* * * *", "61 * * * *", "a * * * *", "*/0 * * * *", "5-1 * * * *", "0 0 * * 7"]
)
def test_what_is_no_schedule_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_schedule(line)


@pytest.fixture
def settle(core: ApiCore) -> Callable[[], None]:
    core.stops_pods = True
    controllers = Controllers(core, seed=1, now=core.now, wake=lambda: None)

    def run() -> None:
        assert any(not controllers.step() for _ in range(5000)), "the controllers come to rest"

    return run


def make(core: ApiCore, name: str, **spec: Any) -> None:
    body = {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}
    core.create("pods", body, "default")


def test_pods_have_addresses_of_their_own_on_their_nodes(core: ApiCore, settle: Callable[[], None]) -> None:
    for number in range(2):
        core.create("nodes", node(number))
    for number in range(20):
        make(core, f"p{number}")
    make(core, "of-the-host", hostNetwork=True)
    settle()
    pods = [record.decode() for record in core.list("pods").records]
    addresses = [p["status"]["podIP"] for p in pods if not p["spec"].get("hostNetwork")]
    assert len(set(addresses)) == 20
    for pod in pods:
        number = pod["spec"]["nodeName"].rpartition("-")[2]
        assert pod["status"]["hostIP"] == f"10.0.0.{int(number) + 1}"
        is_of_host = pod["spec"].get("hostNetwork")
        of_node = pod["status"]["hostIP"] if is_of_host else f"10.1.{number}."
        assert pod["status"]["podIP"].startswith(of_node)


def test_without_a_node_that_runs_pods_they_stay_as_they_were_made(
    core: ApiCore, settle: Callable[[], None]
) -> None:
    core.create("nodes", node(0, ready=False))
    make(core, "p")
    before = core.get("pods", "p", "default")
    settle()
    assert core.get("pods", "p", "default") == before


def test_a_pod_that_fits_nowhere_says_so_and_goes_where_room_comes_free(
    core: ApiCore, settle: Callable[[], None]
) -> None:
    core.create("nodes", node(0, taints=[TAINT]))
    make(core, "p")
    settle()
    conditions = core.get("pods", "p", "default").decode()["status"]["conditions"]
    assert [(c["type"], c["status"], c["reason"]) for c in conditions] == [
        ("PodScheduled", "False", "Unschedulable")
    ]
    core.patch("nodes", lambda n: n | {"spec": {}}, "node-0")
    settle()
    assert core.get("pods", "p", "default").decode()["status"]["phase"] == "Running"


def test_a_pod_whose_node_is_not_there_goes_after_a_while(
    core: ApiCore, settle: Callable[[], None], clock: Any
) -> None:
    make(core, "p", nodeName="nowhere")
    settle()
    clock.now_s += ORPHANED_S - 1
    settle()
    assert core.exists("pods", "p", "default")
    clock.now_s += 1
    settle()
    assert not core.exists("pods", "p", "default")


def test_a_cron_job_makes_a_job_a_minute_and_forgets_old_ones(
    core: ApiCore, settle: Callable[[], None], clock: Any
) -> None:
    template = {"spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c"}]}}}}
    spec = {"schedule": "* * * * *", "jobTemplate": template, "successfulJobsHistoryLimit": 2}
    core.create("nodes", node(0))
    core.create("cronjobs.batch", {"metadata": {"name": "c"}, "spec": spec}, "default")
    settle()
    assert core.list("jobs.batch").records == []
    made = []
    for _ in range(4):
        clock.now_s += 60
        settle()
        made.append(len(core.list("jobs.batch").records))
        for record in core.list("pods").records:
            if record.fields["status.phase"] == "Running":
                core.end_container(record.name, "default")
        settle()
    assert made == [1, 2, 3, 3]
    status = core.get("cronjobs.batch", "c", "default").decode()["status"]
    assert status["lastScheduleTime"] == "2023-11-14T22:17:00Z"


def test_an_autoscaler_keeps_its_target_within_its_bounds(
    core: ApiCore, settle: Callable[[], None], clock: Any
) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    core.create("nodes", node(0))
    core.create("deployments.apps", {"metadata": {"name": "d"}, "spec": spec}, "default")
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}
    bounds = {"scaleTargetRef": target, "minReplicas": 3, "maxReplicas": 5}
    core.create(
        "horizontalpodautoscalers.autoscaling", {"metadata": {"name": "h"}, "spec": bounds}, "default"
    )
    settle()
    clock.now_s += 15
    settle()
    clock.now_s += 15
    settle()
    assert len(core.list("pods").records) == 3
    status = core.get("horizontalpodautoscalers.autoscaling", "h", "default").decode()["status"]
    assert (status["currentReplicas"], status["desiredReplicas"]) == (3, 3)
