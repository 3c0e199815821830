"""Deleting: finalizers, preconditions, owners, namespaces, definitions."""

from collections.abc import Callable
from typing import Any

import pytest

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.options import DeleteOptions, WatchOptions
from deltawire.apiserver.core.selection import Selection, parse_selection
from deltawire.common.errors import StatusError

ConfigMap = Callable[..., dict[str, Any]]
ALL = 1 << 30


def definition(plural: str = "widgets", scope: str = "Namespaced", **version: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": f"{plural}.example.net"},
        "spec": {
            "group": "example.net",
            "scope": scope,
            "names": {"plural": plural, "kind": "Widget", "shortNames": ["wg"]},
            "versions": [{"name": "v1", "served": True, "storage": True} | version],
        },
    }


def widget(name: str) -> dict[str, Any]:
    return {"apiVersion": "example.net/v1", "kind": "Widget", "metadata": {"name": name}}


def names(core: ApiCore, resource: str) -> list[str]:
    return [record.name for record in core.list(resource).records]


def test_a_deletion_has_a_version_of_its_own(core: ApiCore, config_map: ConfigMap) -> None:
    record = core.create("configmaps", config_map("a", x="1"), "default")
    cursor = core.watch("configmaps", options=WatchOptions(version=str(record.version)))
    core.delete("configmaps", "a", "default")
    (change,) = cursor.take(ALL)
    assert change.type == "DELETED"
    assert b'"resourceVersion":"%d"' % (record.version + 1) in change.body
    assert b'"x":"1"' in change.body


def test_finalizers_hold_an_object_until_they_are_gone(core: ApiCore, config_map: ConfigMap) -> None:
    body = config_map("a")
    body["metadata"]["finalizers"] = ["example.net/hold"]
    core.create("configmaps", body, "default")
    cursor = core.watch("configmaps", options=WatchOptions(version=str(core.store.version)))
    first = core.delete("configmaps", "a", "default")
    assert not first.is_gone
    assert first.record.decode()["metadata"]["deletionTimestamp"] == "2023-11-14T22:13:20Z"
    assert not core.delete("configmaps", "a", "default").is_gone
    with pytest.raises(StatusError) as caught:
        core.patch(
            "configmaps", lambda o: _finalized(o, "example.net/hold", "example.net/new"), "a", "default"
        )
    assert caught.value.code == 422
    core.patch("configmaps", _finalized, "a", "default")
    assert [change.type for change in cursor.take(ALL)] == ["MODIFIED", "MODIFIED", "DELETED"]
    assert names(core, "configmaps") == []


def _finalized(obj: dict[str, Any], *finalizers: str) -> dict[str, Any]:
    return obj | {"metadata": obj["metadata"] | {"finalizers": list(finalizers)}}


@pytest.mark.parametrize("options", [DeleteOptions(uid="other"), DeleteOptions(version="1")])
def test_a_precondition_that_fails_keeps_the_object(
    core: ApiCore, config_map: ConfigMap, options: DeleteOptions
) -> None:
    core.create("configmaps", config_map("a"), "default")
    with pytest.raises(StatusError) as caught:
        core.delete("configmaps", "a", "default", options)
    assert caught.value.is_conflict
    assert names(core, "configmaps") == ["a"]


def test_preconditions_that_hold_let_it_go(core: ApiCore, config_map: ConfigMap) -> None:
    record = core.create("configmaps", config_map("a"), "default")
    options = DeleteOptions(uid=record.uid, version=str(record.version))
    assert core.delete("configmaps", "a", "default", options).is_gone


def test_a_dry_run_deletes_nothing(core: ApiCore, config_map: ConfigMap) -> None:
    core.create("configmaps", config_map("a"), "default")
    version = core.store.version
    core.delete("configmaps", "a", "default", DeleteOptions(dry_run=True))
    assert names(core, "configmaps") == ["a"]
    assert core.store.version == version


def test_a_collection_is_deleted_by_selector(core: ApiCore, config_map: ConfigMap) -> None:
    for name, app in (("a", "x"), ("b", "y"), ("c", "x")):
        core.create("configmaps", config_map(name, {"app": app}), "default")
    selection = parse_selection(core.resource("configmaps"), "default", labels="app=x")
    assert [gone.record.name for gone in core.delete_collection("configmaps", selection)] == ["a", "c"]
    assert names(core, "configmaps") == ["b"]


def test_what_an_object_owns_goes_with_it(core: ApiCore) -> None:
    owner = core.create("deployments.apps", {"metadata": {"name": "d"}}, "default")
    child = core.create("replicasets.apps", owned("r", owner.uid), "default")
    core.create("pods", owned("p", child.uid), "default")
    core.create("pods", owned("shared", child.uid, "another"), "default")
    core.delete("deployments.apps", "d", "default")
    assert names(core, "replicasets.apps") == []
    assert names(core, "pods") == ["shared"]
    references = core.get("pods", "shared", "default").decode()["metadata"]["ownerReferences"]
    assert [reference["uid"] for reference in references] == ["another"]


def test_orphans_stay_and_forget_their_owner(core: ApiCore) -> None:
    owner = core.create("replicasets.apps", {"metadata": {"name": "r"}}, "default")
    core.create("pods", owned("p", owner.uid), "default")
    core.delete("replicasets.apps", "r", "default", DeleteOptions(propagation="Orphan"))
    assert "ownerReferences" not in core.get("pods", "p", "default").decode()["metadata"]


def owned(name: str, *uids: str) -> dict[str, Any]:
    references = [{"apiVersion": "v1", "kind": "X", "name": "x", "uid": uid} for uid in uids]
    return {"metadata": {"name": name, "ownerReferences": references}}


def test_a_namespace_takes_its_contents_along(core: ApiCore, config_map: ConfigMap) -> None:
    core.create("namespaces", {"metadata": {"name": "n"}})
    core.create("configmaps", config_map("a"), "n")
    core.create("configmaps", config_map("keep"), "default")
    cursor = core.watch("namespaces", options=WatchOptions(version=str(core.store.version)))
    contents = core.watch("configmaps", options=WatchOptions(version=str(core.store.version)))
    core.delete("namespaces", "n")
    changes = cursor.take(ALL)
    assert [change.type for change in changes] == ["MODIFIED", "DELETED"]
    assert b'"phase":"Terminating"' in changes[0].body
    assert [change.type for change in contents.take(ALL)] == ["DELETED"]
    assert names(core, "configmaps") == ["keep"]
    assert core.list("serviceaccounts", Selection(namespace="n")).records == []


def test_a_terminating_namespace_takes_nothing_new_and_goes_last(
    core: ApiCore, config_map: ConfigMap
) -> None:
    core.create("namespaces", {"metadata": {"name": "n"}})
    body = config_map("held")
    body["metadata"]["finalizers"] = ["example.net/hold"]
    core.create("configmaps", body, "n")
    assert not core.delete("namespaces", "n").is_gone
    with pytest.raises(StatusError) as caught:
        core.create("configmaps", config_map("new"), "n")
    assert caught.value.code == 403
    assert caught.value.details["causes"][0]["reason"] == "NamespaceTerminating"
    core.patch("configmaps", _finalized, "held", "n")
    assert "n" not in names(core, "namespaces")


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
def test_the_first_namespaces_stay(core: ApiCore, name: str) -> None:
    with pytest.raises(StatusError) as caught:
        core.delete("namespaces", name)
    assert caught.value.code == 403


def test_a_definition_serves_its_resource_until_it_goes(core: ApiCore) -> None:
    definitions = "customresourcedefinitions.apiextensions.k8s.io"
    made = core.create(definitions, definition()).decode()
    assert made["status"]["conditions"] is None, "it is established a moment later"
    stored = core.get(definitions, made["metadata"]["name"]).decode()
    assert {c["type"]: c["status"] for c in stored["status"]["conditions"]}["Established"] == "True"
    core.create("widgets.example.net", widget("w"), "default")
    cursor = core.watch("widgets.example.net")
    cursor.take(ALL)
    core.delete("customresourcedefinitions.apiextensions.k8s.io", "widgets.example.net")
    assert [change.type for change in cursor.take(ALL)] == ["DELETED"]
    assert cursor.is_over
    with pytest.raises(StatusError) as caught:
        core.list("widgets.example.net")
    assert caught.value.is_not_found


def test_a_definition_waits_for_objects_with_finalizers(core: ApiCore) -> None:
    definitions = "customresourcedefinitions.apiextensions.k8s.io"
    core.create(definitions, definition())
    body = widget("w")
    body["metadata"]["finalizers"] = ["example.net/hold"]
    core.create("widgets.example.net", body, "default")
    assert not core.delete(definitions, "widgets.example.net").is_gone
    core.patch("widgets.example.net", _finalized, "w", "default")
    assert names(core, definitions) == []


def test_all_versions_of_a_custom_resource_share_their_objects(core: ApiCore) -> None:
    body = definition()
    body["spec"]["versions"].append({"name": "v1beta1", "served": True, "storage": False})
    core.create("customresourcedefinitions.apiextensions.k8s.io", body)
    core.create("widgets.example.net", widget("w"), "default")
    assert core.catalogue.versions("example.net") == ["v1", "v1beta1"]
    beta = core.catalogue.find("example.net", "v1beta1", "widgets")
    assert beta is not None
    changed = core.patch(beta, lambda o: o | {"spec": {"seen": o["apiVersion"]}}, "w", "default")
    assert changed.decode()["apiVersion"] == "example.net/v1"
    assert changed.decode()["spec"] == {"seen": "example.net/v1beta1"}


@pytest.mark.parametrize(
    "broken",
    [
        {"spec": {}},
        {"metadata": {"name": "other.example.net"}},
        {"spec": definition()["spec"] | {"scope": "Galaxy"}},
        {"spec": definition()["spec"] | {"versions": []}},
        {"spec": definition()["spec"] | {"versions": [{"name": "v1", "served": True}]}},
        {"spec": definition()["spec"] | {"versions": ["v1"]}},
        {"spec": definition()["spec"] | {"names": {"kind": "Widget"}}},
    ],
)
def test_a_definition_that_says_too_little_is_refused(core: ApiCore, broken: dict[str, Any]) -> None:
    with pytest.raises(StatusError) as caught:
        core.create("customresourcedefinitions.apiextensions.k8s.io", definition() | broken)
    assert caught.value.code == 422
