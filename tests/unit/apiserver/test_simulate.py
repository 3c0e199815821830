"""The simulated cluster and the rate at which it writes."""

import hashlib

import msgspec
import pytest

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.options import WatchOptions
from deltawire.apiserver.core.selection import Selection, parse_selection
from deltawire.apiserver.options import parse_flags, parse_objects, parse_rate
from deltawire.apiserver.simulate import cluster as module
from deltawire.apiserver.simulate.cluster import SimulatedCluster
from deltawire.apiserver.simulate.names import TRIES_MAX, create_under_a_free_name
from deltawire.apiserver.simulate.pacing import Pace, RateMeter
from deltawire.common.errors import ConfigError, StatusError

ALL = 1 << 30


def cluster(core: ApiCore, seed: int = 1, **objects: int) -> SimulatedCluster:
    made = SimulatedCluster(core, objects, seed=seed, now=lambda: 1_700_000_000.0)
    made.populate()
    return made


def test_pods_bring_owners_and_nodes(core: ApiCore) -> None:
    cluster(core, pods=25)
    counts = core.counts()
    assert (counts["pods"], counts["deployments.apps"], counts["replicasets.apps"]) == (25, 3, 3)
    pod = core.list("pods").records[0].decode()
    replica_set = core.get(
        "replicasets.apps", pod["metadata"]["ownerReferences"][0]["name"], pod["metadata"]["namespace"]
    )
    assert pod["metadata"]["ownerReferences"][0]["uid"] == replica_set.uid
    (deployment,) = replica_set.owners
    assert deployment in {record.uid for record in core.list("deployments.apps").records}
    assert pod["spec"]["nodeName"] in {record.name for record in core.list("nodes").records}
    assert pod["status"]["phase"] == "Running"


def test_a_running_pod_is_as_large_as_a_real_one(core: ApiCore) -> None:
    cluster(core, pods=3)
    sizes = [len(record.body) for record in core.list("pods").records]
    assert all(3500 < size < 5000 for size in sizes), sizes


def test_any_other_resource_can_be_made_too(core: ApiCore) -> None:
    cluster(core, configmaps=3, nodes=2, **{"deployments.apps": 2})
    counts = core.counts()
    assert (counts["configmaps"], counts["nodes"], counts["deployments.apps"]) == (3, 2, 2)


def test_pods_live_through_all_phases_and_their_number_holds(core: ApiCore) -> None:
    simulated = cluster(core, pods=20)
    cursor = core.watch("pods", options=WatchOptions(version=str(core.store.version)))
    seen = []
    for _ in range(300):
        simulated.step()
        seen += cursor.take(ALL)
    phases = {
        msgspec.json.decode(change.body)["status"]["phase"] for change in seen if change.type == "ADDED"
    }
    assert phases == {"Pending"}
    assert {change.type for change in seen} == {"ADDED", "MODIFIED", "DELETED"}
    assert 10 <= core.counts()["pods"] <= 20
    for record in core.list("pods").records:
        assert record.owners


@pytest.mark.parametrize("seed", [1, 2])
def test_a_seed_makes_the_same_cluster_twice(seed: int) -> None:
    prints = []
    for _ in range(2):
        core = ApiCore(now=lambda: 1_700_000_000.0, new_uid=lambda: "uid", choice=lambda chars: chars[0])
        core.bootstrap()
        simulated = cluster(core, seed, pods=20)
        for _ in range(100):
            simulated.step()
        bodies = b"".join(record.body for record in core.list("pods").records)
        prints.append(hashlib.sha256(bodies).hexdigest())
    assert prints[0] == prints[1]


def test_a_name_that_is_taken_is_not_given_again(core: ApiCore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SUFFIX", "ab")
    simulated = cluster(core, pods=28, **{"deployments.apps": 1})
    assert core.counts()["pods"] == 28, "of the 32 names that there are"
    for _ in range(300):
        simulated.step()
    assert core.counts()["pods"] >= 25


def test_names_come_to_an_end_only_after_so_many_tries() -> None:
    drawn: list[str] = []

    def create(name: str) -> None:
        drawn.append(name)
        raise StatusError(409, "AlreadyExists", "it is there")

    with pytest.raises(StatusError):
        create_under_a_free_name(lambda: "b", {"a"}, create)
    assert len(drawn) == TRIES_MAX
    names = iter("abc")
    assert create_under_a_free_name(lambda: next(names), {"a", "b"}, str.upper) == ("c", "C")


def test_the_cluster_lives_on_when_others_delete_its_objects(core: ApiCore) -> None:
    simulated = cluster(core, pods=20)
    for record in core.list("pods").records[:10]:
        core.delete("pods", record.name, record.namespace)
    for _ in range(400):
        simulated.step()
    assert core.counts()["pods"] >= 15, "a deleted pod is replaced"
    for record in core.list("deployments.apps").records:
        core.delete("deployments.apps", record.name, record.namespace)
    before = core.store.version
    for _ in range(200):
        simulated.step()
    assert "pods" not in core.counts()
    assert core.store.version == before, "and nothing is made for an owner that is gone"


def test_a_restarted_simulation_takes_over_its_objects(core: ApiCore) -> None:
    first = cluster(core, pods=20)
    for _ in range(50):
        first.step()
    objects = core.counts()
    second = cluster(core, pods=20)
    assert core.counts() == objects, "nothing is made twice"
    for _ in range(300):
        second.step()
    selection = parse_selection(core.resource("pods"), "", fields="status.phase=Running")
    assert len(core.list("pods", selection).records) >= 15
    assert len(core.list("pods", Selection()).records) <= 20


def test_the_pace_keeps_the_rate_over_uneven_turns() -> None:
    pace, now, written = Pace(200.0, 0.0), 0.0, 0
    for turn in range(1000):
        now += (0.001, 0.02, 0.0001)[turn % 3]
        due = pace.due(now)
        pace.spend(due)
        written += due
    assert written == pytest.approx(200 * now, abs=1)


def test_a_step_of_several_writes_delays_the_next() -> None:
    pace = Pace(100.0, 0.0)
    assert pace.due(0.01) == 1
    pace.spend(3)
    assert pace.due(0.02) == 0
    assert pace.due(0.05) == 2


def test_a_long_pause_is_not_made_up_for_and_is_counted() -> None:
    pace = Pace(100.0, 0.0)
    assert pace.due(60.0) == 50
    assert pace.missed == 5950


def test_no_rate_means_never() -> None:
    pace = Pace(0.0, 0.0)
    assert pace.due(100.0) == 0
    assert pace.delay_s() == float("inf")


def test_the_meter_shows_the_last_seconds() -> None:
    meter = RateMeter()
    for tenth in range(200):
        meter.mark(tenth / 10, tenth * 20)
    assert meter.per_s(20.0, 4000) == pytest.approx(200, rel=0.01)


@pytest.mark.parametrize(("text", "rate"), [("200/s", 200.0), ("200", 200.0), ("30/m", 0.5), ("0.5/s", 0.5)])
def test_a_rate_is_written_as_people_write_it(text: str, rate: float) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "x", "-1/s", "1/h", "1e9/s", "inf", "1/ s"])
def test_another_rate_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="not a rate"):
        parse_rate(text)


def test_objects_are_named_with_their_number() -> None:
    assert parse_objects(["pods=1000", "configmaps=5, nodes=3"]) == {
        "pods": 1000,
        "configmaps": 5,
        "nodes": 3,
    }


@pytest.mark.parametrize("text", ["pods", "=3", "pods=x", "pods=-1", "pods=99999999999", "pods=1,"])
def test_other_numbers_of_objects_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="RESOURCE=NUMBER"):
        parse_objects([text])


@pytest.mark.parametrize("flags", [["--port", "70000"], ["--bookmark-interval", "0"], ["--churn", "fast"]])
def test_flags_without_sense_are_a_config_error(flags: list[str]) -> None:
    with pytest.raises(ConfigError):
        parse_flags(flags)
