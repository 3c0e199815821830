"""What contradicts itself is refused, whatever its kind, with the causes that a real API server gives.

`tests/vectors/apiserver/good_objects.json` has one good object a kind, `bad_objects.jsonl` what is set in it and the
causes to come: ``field: message``; a text that ends with … is the beginning of the cause. A path's numbers are places
in lists. `bad_changes.jsonl` has what is set in the good object once it is stored.
"""

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import requests

from deltawire.apiserver.options import ApiServerOptions
from deltawire.apiserver.server import ApiServer

VECTORS = Path(__file__).parents[2] / "vectors" / "apiserver"
GOOD: dict[str, Any] = json.loads((VECTORS / "good_objects.json").read_text())
BAD, CHANGES = (
    [json.loads(line) for line in (VECTORS / f"{name}.jsonl").read_text().splitlines()]
    for name in ("bad_objects", "bad_changes")
)


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with ApiServer(ApiServerOptions()) as running:
        yield running


@pytest.fixture(scope="module")
def session(server: ApiServer) -> Iterator[requests.Session]:
    with server.session() as asking:
        yield asking


def path_of(session: requests.Session, url: str, of: str) -> tuple[str, str, str]:
    """The URL of a kind's list, its version and its kind, by discovery."""
    group, _, plural = of.rpartition("/")
    if not group:
        base, version = f"{url}/api/v1", "v1"
    else:
        preferred = session.get(f"{url}/apis/{group}").json()["preferredVersion"]
        base, version = f"{url}/apis/{preferred['groupVersion']}", preferred["groupVersion"]
    known = next(r for r in session.get(base).json()["resources"] if r["name"] == plural)
    where = f"{base}/namespaces/default/{plural}" if known["namespaced"] else f"{base}/{plural}"
    return where, version, known["kind"]


def with_set(obj: dict[str, Any], path: str, value: Any) -> None:
    """Set ``value`` at a dotted path; None takes away what is there."""
    *before, last = path.split(".")
    place: Any = obj
    for step in before:
        place = place[int(step)] if isinstance(place, list) else place.setdefault(step, {})
    if value is None:
        place.pop(last, None)
    else:
        place[last] = value


def ask(
    session: requests.Session, url: str, of: str, changes: dict[str, Any], query: str = "?dryRun=All"
) -> requests.Response:
    where, version, kind = path_of(session, url, of)
    obj = deepcopy(GOOD[of])
    obj = {"apiVersion": version, "kind": kind, **obj, "metadata": {"name": "x", **obj.get("metadata", {})}}
    for path, value in changes.items():
        with_set(obj, path, value)
    return session.post(f"{where}{query}", json=obj)


def expect(answer: requests.Response, expected: list[str]) -> None:
    status = answer.json()
    assert (answer.status_code, status.get("reason")) == (422, "Invalid"), status
    causes = [f"{cause['field']}: {cause['message']}" for cause in status["details"]["causes"]]
    fitting = [
        told.startswith(wanted.removesuffix("…")) if wanted.endswith("…") else told == wanted
        for told, wanted in zip(causes, expected, strict=False)
    ]
    assert len(causes) == len(expected), causes
    assert all(fitting), causes


@pytest.mark.parametrize("of", GOOD)
def test_a_good_object_of_each_kind_is_taken(server: ApiServer, session: requests.Session, of: str) -> None:
    answer = ask(session, server.url, of, {})
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    "case", BAD, ids=[f"{n}-{case['of']}-{'+'.join(case['set'])}" for n, case in enumerate(BAD)]
)
def test_an_object_that_breaks_a_rule_is_refused_with_the_causes_of_a_real_server(
    server: ApiServer, session: requests.Session, case: dict[str, Any]
) -> None:
    expect(ask(session, server.url, case["of"], case["set"]), case["causes"])


@pytest.mark.parametrize(
    "case", CHANGES, ids=[f"{n}-{case['of']}-{'+'.join(case['set'])}" for n, case in enumerate(CHANGES)]
)
def test_a_change_that_the_kind_does_not_allow_is_refused_with_the_causes_of_a_real_server(
    server: ApiServer, session: requests.Session, case: dict[str, Any]
) -> None:
    where, _, _ = path_of(session, server.url, case["of"])
    ask(session, server.url, case["of"], {}, query="")
    name = GOOD[case["of"]].get("metadata", {}).get("name", "x")
    stored = session.get(f"{where}/{name}").json()
    for path, value in case["set"].items():
        with_set(stored, path, value)
    expect(session.put(f"{where}/{name}", json=stored), case["causes"])


def test_a_service_that_becomes_one_of_another_type_loses_what_only_the_former_type_had(
    server: ApiServer, session: requests.Session
) -> None:
    services = f"{server.url}/api/v1/namespaces/default/services"
    merge = {"Content-Type": "application/merge-patch+json"}
    made = {"metadata": {"name": "turned"}, "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]}}
    assert session.post(services, json=made).status_code == 201
    for kind, gone in (
        ("ClusterIP", ("externalTrafficPolicy", "allocateLoadBalancerNodePorts")),
        ("ExternalName", ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")),
    ):
        patch = {"spec": {"type": kind, "externalName": "a.b"}}
        answer = session.patch(f"{services}/turned", json=patch, headers=merge)
        assert answer.status_code == 200, answer.text
        spec = answer.json()["spec"]
        assert not spec.keys() & set(gone)
        assert "nodePort" not in spec["ports"][0]


def test_a_status_whose_numbers_contradict_each_other_is_refused(
    server: ApiServer, session: requests.Session
) -> None:
    ask(session, server.url, "apps/deployments", {"metadata.name": "counted"}, query="")
    status = f"{server.url}/apis/apps/v1/namespaces/default/deployments/counted/status"
    patch = {"status": {"replicas": 1, "updatedReplicas": 2, "availableReplicas": -1}}
    answer = session.patch(status, json=patch, headers={"Content-Type": "application/merge-patch+json"})
    expect(
        answer,
        [
            "status.availableReplicas: Invalid value: -1: must be greater than or equal to 0",
            "status.updatedReplicas: Invalid value: 2: cannot be greater than status.replicas",
        ],
    )
