"""Tables: columns of built-in and custom kinds, and the shape of a cell."""

from typing import Any

import pytest

from deltawire.apiserver.core.builtin import BUILTIN_RESOURCES
from deltawire.apiserver.core.resource import PrinterColumn, Resource
from deltawire.apiserver.http.cells import duration
from deltawire.apiserver.http.columns import columns_of
from deltawire.apiserver.http.tables import table
from deltawire.common.meta.resources import ResourceType

Tree = dict[str, Any]
NOW_S = 1_700_000_000.0
BUILT_IN = {resource.storage: resource for resource in BUILTIN_RESOURCES}


def rows(resource: Resource, obj: Tree) -> dict[str, Any]:
    obj = {"metadata": {"name": "a", "creationTimestamp": "2023-11-14T22:13:10Z"}} | obj
    made = table(resource, [obj], {}, now_s=NOW_S)
    names = [column["name"] for column in made["columnDefinitions"]]
    return dict(zip(names, made["rows"][0]["cells"], strict=True))


@pytest.mark.parametrize(
    ("storage", "obj", "expected"),
    [
        (
            "deployments.apps",
            {"spec": {"replicas": 3}, "status": {"readyReplicas": 1}},
            {"Ready": "1/3", "Age": "10s"},
        ),
        (
            "services",
            {"spec": {"type": "LoadBalancer", "ports": [{"port": 80, "nodePort": 30000}]}},
            {"External-IP": "<pending>", "Port(s)": "80:30000/TCP"},
        ),
        (
            "jobs.batch",
            {
                "spec": {},
                "status": {
                    "succeeded": 1,
                    "conditions": [{"type": "Complete", "status": "True"}],
                    "startTime": "2023-11-14T22:13:00Z",
                    "completionTime": "2023-11-14T22:13:05Z",
                },
            },
            {"Status": "Complete", "Completions": "1/1", "Duration": "5s"},
        ),
        (
            "cronjobs.batch",
            {"spec": {"schedule": "* * * * *"}},
            {"Schedule": "* * * * *", "Suspend": "False", "Active": 0, "Last Schedule": "<none>"},
        ),
        (
            "horizontalpodautoscalers.autoscaling",
            {"spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d"}}},
            {"Reference": "Deployment/d", "Targets": "<none>", "MinPods": "<unset>", "MaxPods": 3},
        ),
        (
            "ingresses.networking.k8s.io",
            {"spec": {"rules": [{"host": "a.b"}], "tls": [{}]}},
            {"Hosts": "a.b", "Ports": "80, 443"},
        ),
        (
            "poddisruptionbudgets.policy",
            {"spec": {"minAvailable": "50%"}},
            {"Min Available": "50%", "Max Unavailable": "N/A"},
        ),
        (
            "resourcequotas",
            {"spec": {"hard": {"cpu": "1", "limits.cpu": "2"}}},
            {"Request": "cpu: 0/1", "Limit": "limits.cpu: 0/2"},
        ),
        (
            "endpoints",
            {"subsets": [{"addresses": [{"ip": f"10.0.0.{n}"} for n in range(4)], "ports": [{"port": 80}]}]},
            {"Endpoints": "10.0.0.0:80,10.0.0.1:80,10.0.0.2:80 + 1 more..."},
        ),
        (
            "pods",
            {
                "status": {
                    "phase": "Running",
                    "containerStatuses": [
                        {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "restartCount": 4}
                    ],
                },
                "spec": {"containers": [{}]},
            },
            {"Ready": "0/1", "Status": "CrashLoopBackOff", "Restarts": "4"},
        ),
        (
            "networkpolicies.networking.k8s.io",
            {"spec": {"podSelector": {"matchLabels": {"a": "b"}}}},
            {"Pod-Selector": "a=b"},
        ),
    ],
)
def test_common_kinds_show_what_kubectl_users_expect(storage: str, obj: Tree, expected: Tree) -> None:
    shown = rows(BUILT_IN[storage], obj)
    assert {name: shown[name] for name in expected} == expected


@pytest.mark.parametrize("resource", [r for r in BUILTIN_RESOURCES if r.is_stored], ids=lambda r: r.storage)
def test_every_kind_has_a_row_for_an_object_without_anything(resource: Resource) -> None:
    shown = rows(resource, {})
    assert shown["Name"] == "a"


def custom(*columns: PrinterColumn) -> Resource:
    kind = ResourceType("ex.io", "v1", "widgets", "Widget", True)
    return Resource(kind, is_custom=True, columns=columns)


def test_a_custom_resource_shows_its_own_columns_and_no_age_beside_them() -> None:
    resource = custom(
        PrinterColumn("Size", "integer", ".spec.size"),
        PrinterColumn("Since", "date", ".metadata.creationTimestamp"),
        PrinterColumn("Ready", "string", '.status.conditions[?(@.type=="Ready")].status'),
        PrinterColumn("Wide", "string", ".spec.none", priority=1),
    )
    assert rows(resource, {"spec": {"size": 3}}) == {
        "Name": "a",
        "Size": 3,
        "Since": "10s",
        "Ready": None,
        "Wide": None,
    }
    assert [column.priority for column in columns_of(resource)] == [0, 0, 0, 0, 1]
    assert list(rows(custom(), {})) == ["Name", "Age"]


@pytest.mark.parametrize(
    ("seconds_s", "told"),
    [(125, "2m5s"), (600, "10m"), (12_000, "3h20m"), (36_000, "10h"), (183_600, "2d3h"), (10 * 86_400, "10d"),
     (800 * 86_400, "2y70d"), (9 * 365 * 86_400, "9y")],
)  # fmt: skip
def test_durations_get_coarser(seconds_s: int, told: str) -> None:
    assert duration(seconds_s) == told
