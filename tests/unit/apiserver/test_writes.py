"""Creating and changing objects: what is refused, what the server sets, what counts as a change."""

from collections.abc import Callable
from typing import Any

import pytest

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.watches import WatchCursor
from deltawire.common.errors import StatusError

ConfigMap = Callable[..., dict[str, Any]]
ALL = 1 << 30


def types(cursor: WatchCursor) -> list[str]:
    return [change.type for change in cursor.take(ALL)]


def test_a_new_object_gets_identity_and_version(core: ApiCore, config_map: ConfigMap) -> None:
    before = core.store.version
    obj = core.create("configmaps", config_map("a", x="1"), "default").decode()
    assert (obj["kind"], obj["apiVersion"]) == ("ConfigMap", "v1")
    assert obj["metadata"] | {"uid": "-"} == {
        "name": "a",
        "namespace": "default",
        "uid": "-",
        "resourceVersion": str(before + 1),
        "creationTimestamp": "2023-11-14T22:13:20Z",
    }
    assert obj["data"] == {"x": "1"}


def test_what_a_client_says_of_identity_is_not_believed(core: ApiCore) -> None:
    said = {
        "name": "a",
        "uid": "mine",
        "creationTimestamp": None,
        "deletionTimestamp": "2020-01-01T00:00:00Z",
        "generation": 7,
        "selfLink": "/x",
    }
    meta = core.create("deployments.apps", {"metadata": said}, "default").decode()["metadata"]
    assert meta["uid"] != "mine"
    assert "deletionTimestamp" not in meta
    assert "selfLink" not in meta
    assert meta["generation"] == 1


def test_the_callers_object_is_not_changed(core: ApiCore, config_map: ConfigMap) -> None:
    body = config_map("a", x="1")
    before = repr(body)
    core.create("configmaps", body, "default")
    assert repr(body) == before


def test_generate_name_adds_five_letters_and_cuts_the_base(core: ApiCore) -> None:
    record = core.create("configmaps", {"metadata": {"generateName": "b" * 80}}, "default")
    assert record.name == "b" * 63


@pytest.mark.parametrize(
    ("resource", "body", "namespace", "code", "reason"),
    [
        ("configmaps", {"metadata": {"name": "a", "resourceVersion": "5"}}, "default", 500, ""),
        ("configmaps", {"metadata": {}}, "default", 422, "Invalid"),
        ("configmaps", {"metadata": {"name": "A_b"}}, "default", 422, "Invalid"),
        ("services", {"metadata": {"name": "1a"}}, "default", 422, "Invalid"),
        ("namespaces", {"metadata": {"name": "a.b"}}, "", 422, "Invalid"),
        ("configmaps", {"metadata": {"name": "a" * 254}}, "default", 422, "Invalid"),
        ("configmaps", {"metadata": {"name": "a", "namespace": "x"}}, "default", 400, "BadRequest"),
        ("configmaps", {"metadata": {"name": "a"}}, "nowhere", 404, "NotFound"),
        ("configmaps", {"kind": "Secret", "metadata": {"name": "a"}}, "default", 400, "BadRequest"),
        ("configmaps", {"apiVersion": "v2", "metadata": {"name": "a"}}, "default", 400, "BadRequest"),
        ("configmaps", {"metadata": "a"}, "default", 400, "BadRequest"),
        ("configmaps", {"metadata": {"name": 5}}, "default", 400, "BadRequest"),
        ("configmaps", {"metadata": {"name": "a", "labels": {"x": 1}}}, "default", 400, "BadRequest"),
        ("configmaps", {"metadata": {"name": "a", "labels": ["x"]}}, "default", 400, "BadRequest"),
        ("configmaps", {"metadata": {"name": "a", "finalizers": "x"}}, "default", 400, "BadRequest"),
        ("configmaps", {"metadata": {"name": "a", "ownerReferences": [1]}}, "default", 400, "BadRequest"),
        ("configmaps", ["a"], "default", 400, "BadRequest"),
        ("configmaps", None, "default", 400, "BadRequest"),
        ("deployments.apps", {"metadata": {"name": "a"}, "spec": [1]}, "default", 400, "BadRequest"),
        ("secrets", {"metadata": {"name": "a"}, "stringData": "x"}, "default", 400, "BadRequest"),
    ],
)
def test_a_bad_object_is_refused(
    core: ApiCore, resource: str, body: Any, namespace: str, code: int, reason: str
) -> None:
    before = core.store.version
    with pytest.raises(StatusError) as caught:
        core.create(resource, body, namespace)
    assert (caught.value.code, caught.value.reason) == (code, reason)
    assert core.store.version == before


def test_a_name_is_given_once(core: ApiCore, config_map: ConfigMap) -> None:
    core.create("configmaps", config_map("a"), "default")
    with pytest.raises(StatusError) as caught:
        core.create("configmaps", config_map("a"), "default")
    assert caught.value.is_already_exists
    assert str(caught.value) == 'configmaps "a" already exists'


def test_an_update_with_an_old_version_conflicts(core: ApiCore, config_map: ConfigMap) -> None:
    first = core.create("configmaps", config_map("a"), "default").decode()
    core.update("configmaps", config_map("a", x="1"), "a", "default")
    with pytest.raises(StatusError) as caught:
        core.update("configmaps", first | {"data": {"x": "2"}}, "a", "default")
    assert caught.value.is_conflict


def test_an_update_of_another_uid_conflicts(core: ApiCore, config_map: ConfigMap) -> None:
    core.create("configmaps", config_map("a"), "default")
    with pytest.raises(StatusError) as caught:
        core.update("configmaps", {"metadata": {"name": "a", "uid": "other"}}, "a", "default")
    assert caught.value.is_conflict


def test_an_update_that_changes_nothing_is_not_written(core: ApiCore, config_map: ConfigMap) -> None:
    stored = core.create("configmaps", config_map("a", x="1"), "default")
    cursor = core.watch("configmaps")
    cursor.take(ALL)
    assert core.update("configmaps", stored.decode(), "a", "default") is stored
    assert core.store.version == stored.version
    assert types(cursor) == []


def test_status_and_the_rest_are_written_apart(core: ApiCore) -> None:
    body = {"metadata": {"name": "d"}, "spec": {"replicas": 2}}
    core.create("deployments.apps", body, "default")
    changed = {"metadata": {"name": "d"}, "spec": {"replicas": 5}, "status": {"replicas": 5}}
    after_status = core.update("deployments.apps", changed, "d", "default", subresource="status").decode()
    assert (after_status["spec"]["replicas"], after_status["status"]["replicas"]) == (2, 5)
    assert after_status["metadata"]["generation"] == 1
    after_spec = core.update(
        "deployments.apps", changed | {"status": {"replicas": 9}}, "d", "default"
    ).decode()
    assert (after_spec["spec"]["replicas"], after_spec["status"]["replicas"]) == (5, 5)
    assert after_spec["metadata"]["generation"] == 2


def test_a_write_of_the_status_takes_annotations_along_and_a_deployment_keeps_its_labels(
    core: ApiCore,
) -> None:
    body = {"metadata": {"name": "d", "labels": {"l": "1"}}, "spec": {"replicas": 2}}
    core.create("deployments.apps", body, "default")
    core.create("pods", body, "default")
    changed = {"metadata": {"name": "d", "annotations": {"a": "1"}, "labels": {"l": "2"}}}
    deployment = core.update("deployments.apps", changed, "d", "default", subresource="status").decode()
    pod = core.update("pods", changed, "d", "default", subresource="status").decode()
    assert [one["metadata"]["annotations"] for one in (deployment, pod)] == [{"a": "1"}, {"a": "1"}]
    assert [one["metadata"]["labels"] for one in (deployment, pod)] == [{"l": "1"}, {"l": "2"}]


def test_a_version_on_a_new_object_is_refused_by_the_storage_only(
    core: ApiCore, config_map: ConfigMap
) -> None:
    core.create("configmaps", config_map("there"), "default")
    said = {"metadata": {"name": "a", "resourceVersion": "7"}}
    assert core.create("configmaps", said, "default", dry_run=True).decode()["metadata"]["name"] == "a"
    for name in ("a", "there"):
        said["metadata"]["name"] = name
        with pytest.raises(StatusError, match="resourceVersion should not be set"):
            core.create("configmaps", said, "default")
    with pytest.raises(StatusError, match="already exists"):
        core.create("configmaps", said, "default", dry_run=True)


def test_a_new_object_brings_no_status_but_nodes_do(core: ApiCore) -> None:
    said = {"metadata": {"name": "x"}, "status": {"phase": "Running", "replicas": 3}}
    assert core.create("pods", said, "default").decode()["status"] == {
        "phase": "Pending",
        "qosClass": "BestEffort",
    }
    assert core.create("deployments.apps", said, "default").decode()["status"] == {}
    assert core.create("nodes", said).decode()["status"] == said["status"]


def test_a_dry_run_writes_nothing(core: ApiCore, config_map: ConfigMap) -> None:
    before = core.store.version
    record = core.create("configmaps", config_map("a"), "default", dry_run=True)
    assert "resourceVersion" not in record.decode()["metadata"]
    assert core.store.version == before
    core.create("configmaps", config_map("a"), "default")
    changed = core.update("configmaps", config_map("a", x="1"), "a", "default", dry_run=True)
    assert changed.decode()["data"] == {"x": "1"}
    assert core.get("configmaps", "a", "default").decode()["data"] == {}


def test_secrets_take_plain_text_and_keep_base64(core: ApiCore) -> None:
    secret = {"metadata": {"name": "s"}, "stringData": {"a": "b"}}
    stored = core.create("secrets", secret, "default").decode()
    assert (stored["data"], stored["type"]) == ({"a": "Yg=="}, "Opaque")
    assert "stringData" not in stored


def test_a_lease_is_not_updated_blindly(core: ApiCore) -> None:
    core.create("leases.coordination.k8s.io", {"metadata": {"name": "l"}}, "default")
    with pytest.raises(StatusError) as caught:
        core.update("leases.coordination.k8s.io", {"metadata": {"name": "l"}}, "l", "default")
    assert caught.value.code == 422


def test_the_first_version_in_a_body_is_the_objects_own(core: ApiCore) -> None:
    trap = {"name": "a", "labels": {"resourceVersion": "1"}, "annotations": {"resourceVersion": "1"}}
    record = core.create("configmaps", {"metadata": trap, "resourceVersion": "1"}, "default")
    again = core.delete("configmaps", "a", "default").body
    assert b'"resourceVersion":"%d"' % (record.version + 1) in again
    assert again.count(b'"resourceVersion":"1"') == 3


@pytest.mark.parametrize(
    ("metadata", "field"),
    [
        ({"labels": {"a b": "c"}}, "metadata.labels"),
        ({"labels": {"a": "-"}}, "metadata.labels"),
        ({"labels": {"a": "x" * 64}}, "metadata.labels"),
        ({"labels": {"No.Dns_/a": "c"}}, "metadata.labels"),
        ({"labels": {"a/b/c": "d"}}, "metadata.labels"),
        ({"annotations": {"": "c"}}, "metadata.annotations"),
        ({"annotations": {"a": "x" * (256 << 10)}}, "metadata.annotations"),
        ({"finalizers": ["no name"]}, "metadata.finalizers"),
    ],
)
def test_marks_are_well_formed_on_create_and_update(
    core: ApiCore, metadata: dict[str, Any], field: str
) -> None:
    core.create("configmaps", {"metadata": {"name": "a"}}, "default")
    for write in (
        lambda: core.create("configmaps", {"metadata": {"name": "b", **metadata}}, "default"),
        lambda: core.update("configmaps", {"metadata": {"name": "a", **metadata}}, "a", "default"),
    ):
        with pytest.raises(StatusError) as refused:
            write()
        assert (refused.value.code, refused.value.details["causes"][0]["field"]) == (422, field)


def test_marks_as_tools_write_them_pass(core: ApiCore) -> None:
    metadata = {
        "name": "a",
        "labels": {"app.kubernetes.io/name": "A.b_c-1", "empty": "", "x" * 63: "y" * 63},
        "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
            "Mixed.Example/Case": "any thing",
        },
        "finalizers": ["kubernetes", "example.net/hold"],
    }
    assert core.create("configmaps", {"metadata": metadata}, "default").labels == metadata["labels"]
