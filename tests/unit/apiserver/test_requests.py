"""What a request says: its path, its options, the form it wants, its token."""

import pytest

from deltawire.apiserver.core.builtin import BUILTIN_RESOURCES
from deltawire.apiserver.core.options import DeleteOptions
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.http import queries
from deltawire.apiserver.http.cells import age
from deltawire.apiserver.http.negotiate import Form, negotiate
from deltawire.apiserver.http.paths import ResourcePath, parse_path
from deltawire.apiserver.http.tables import table
from deltawire.common.errors import StatusError

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/pods", ResourcePath("", "v1", "pods")),
        ("/api/v1/pods/", ResourcePath("", "v1", "pods")),
        ("/api/v1/namespaces", ResourcePath("", "v1", "namespaces")),
        ("/api/v1/namespaces/n", ResourcePath("", "v1", "namespaces", name="n")),
        ("/api/v1/namespaces/n/status", ResourcePath("", "v1", "namespaces", name="n", subresource="status")),
        ("/api/v1/namespaces/n/pods", ResourcePath("", "v1", "pods", "n")),
        ("/api/v1/namespaces/n/pods/p", ResourcePath("", "v1", "pods", "n", "p")),
        ("/api/v1/namespaces/n/pods/p/status", ResourcePath("", "v1", "pods", "n", "p", "status")),
        ("/api/v1/nodes/a%2Fb", ResourcePath("", "v1", "nodes", name="a/b")),
        ("/api/v1/watch/pods", ResourcePath("", "v1", "pods", is_watch=True)),
        ("/apis/apps/v1/deployments", ResourcePath("apps", "v1", "deployments")),
        (
            "/apis/apps/v1/watch/namespaces/n/deployments",
            ResourcePath("apps", "v1", "deployments", "n", is_watch=True),
        ),
        ("/api/v1", None),
        ("/apis/apps/v1", None),
        ("/version", None),
        ("/", None),
        ("/api/v1/namespaces/n/pods/p/status/x", None),
        ("/api/v1/namespaces//pods", None),
    ],
)
def test_a_path_names_a_resource(path: str, expected: ResourcePath | None) -> None:
    assert parse_path(path) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("1", True), ("true", True), ("True", True), ("yes", True), ("", True), ("0", False), ("False", False)],
)
def test_everything_but_0_and_false_is_true(value: str, expected: bool) -> None:
    assert queries.flag({"x": value}, "x") is expected
    assert queries.flag({}, "x") is None


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Form.OBJECT),
        ("*/*", Form.OBJECT),
        ("application/json", Form.OBJECT),
        ("application/vnd.kubernetes.protobuf, application/json", Form.OBJECT),
        ("application/json;q=0.9,application/cbor;q=1", Form.OBJECT),
        (f"{TABLE},application/json", Form.TABLE),
        ("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", Form.TABLE_BETA),
        ("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", Form.METADATA),
        ("application/yaml", Form.YAML),
        ("application/json;q=0.1,application/yaml", Form.YAML),
    ],
)
def test_the_first_form_that_can_be_made_is_taken(accept: str, form: Form) -> None:
    assert negotiate(accept) is form


@pytest.mark.parametrize(
    "accept",
    ["text/html", "application/vnd.kubernetes.protobuf", "application/json;q=0", "application/json;q=x"],
)
def test_no_possible_form_is_406(accept: str) -> None:
    with pytest.raises(StatusError) as caught:
        negotiate(accept)
    assert caught.value.code == 406


def test_a_delete_body_outweighs_the_query() -> None:
    query = {"dryRun": "All", "propagationPolicy": "Orphan"}
    assert queries.delete_options(query, None) == DeleteOptions(propagation="Orphan", dry_run=True)
    assert queries.delete_options(query, {}) == DeleteOptions()
    assert queries.delete_options({}, {"orphanDependents": True}).propagation == "Orphan"


@pytest.mark.parametrize(
    ("past_s", "told"),
    [(0, "0s"), (119, "119s"), (120, "2m"), (3600, "60m"), (10_800, "3h"), (172_800, "2d"), (-5, "0s")],
)
def test_an_age_is_short(past_s: int, told: str) -> None:
    assert age("2023-11-14T22:13:20Z", 1_700_000_000 + past_s) == told


def test_every_table_can_show_an_object_that_has_nothing() -> None:
    for resource in BUILTIN_RESOURCES:
        columns, cells = _shown(resource, {})
        assert len(columns) == len(cells), resource.type.name


def test_a_pod_with_a_broken_status_is_shown_all_the_same() -> None:
    for status in ([], "x", {"containerStatuses": "x"}, {"containerStatuses": [{"restartCount": "x"}, 5]}):
        columns, cells = _shown(next(r for r in BUILTIN_RESOURCES if r.storage == "pods"), {"status": status})
        assert cells[columns.index("Restarts")] == "0"


def _shown(resource: Resource, obj: dict[str, object]) -> tuple[list[str], list[object]]:
    full = {"metadata": {"name": "x", "creationTimestamp": ""}} | obj
    shown = table(resource, [full], {}, now_s=0.0)
    return [column["name"] for column in shown["columnDefinitions"]], shown["rows"][0]["cells"]
