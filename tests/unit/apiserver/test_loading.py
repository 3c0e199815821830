"""Objects from files: in which order they are made, what is kept of them, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.loading import load, read_files
from deltawire.common.errors import ConfigError

CUSTOM = """
apiVersion: example.net/v1
kind: Widget
metadata: {name: w, namespace: shop}
spec: {size: 3}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, namespace: shop}
data: {a: b}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.net}
spec:
  group: example.net
  scope: Namespaced
  names: {plural: widgets, kind: Widget}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
---
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {tier: web}}
"""


def written(folder: Path, text: str, name: str = "objects.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def loaded(core: ApiCore, *paths: Path) -> int:
    return load(core, read_files(paths))


def test_namespaces_and_definitions_are_made_before_what_needs_them(core: ApiCore, tmp_path: Path) -> None:
    assert loaded(core, written(tmp_path, CUSTOM)) == 4
    assert core.get("namespaces", "shop").labels["tier"] == "web"
    assert core.get("widgets.example.net", "w", "shop").decode()["spec"] == {"size": 3}


def dumped(kind: str, name: str, uid: str, **more: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "elsewhere", "uid": uid, "resourceVersion": "77", "generation": 4}
    version = "apps/v1" if kind == "ReplicaSet" else "v1"
    owners = more.pop("ownerReferences", None)
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {**metadata, **({"ownerReferences": owners} if owners else {})},
        **more,
    }


def test_a_dump_keeps_statuses_and_owners_and_makes_its_namespaces(core: ApiCore, tmp_path: Path) -> None:
    spec = {"containers": [{"name": "c", "image": "i"}], "nodeName": "n"}
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "old", "controller": True}
    pod = dumped("Pod", "web-1", "older", spec=spec, status={"phase": "Running"}, ownerReferences=[owner])
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    replicas = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    items = [pod, dumped("ReplicaSet", "web", "old", spec=replicas)]
    path = written(tmp_path, json.dumps({"apiVersion": "v1", "kind": "List", "items": items}), "dump.json")
    assert loaded(core, path) == 2
    made = core.get("pods", "web-1", "elsewhere")
    assert made.decode()["status"]["phase"] == "Running"
    assert made.owners == (core.get("replicasets.apps", "web", "elsewhere").uid,)
    assert made.uid != "older"


def test_items_of_a_typed_list_and_files_of_a_folder_are_loaded(core: ApiCore, tmp_path: Path) -> None:
    listed = {"apiVersion": "v1", "kind": "ConfigMapList", "items": [{"metadata": {"name": "a"}}]}
    written(tmp_path, json.dumps(listed), "a.json")
    written(tmp_path, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: b}\n", "b.yml")
    written(tmp_path, "not: read", "notes.txt")
    assert loaded(core, tmp_path) == 2
    assert [record.name for record in core.list("configmaps").records] == ["a", "b"]


def test_what_is_there_already_stays_as_it_is(core: ApiCore, tmp_path: Path) -> None:
    path = written(tmp_path, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {k: new}\n")
    core.create("configmaps", {"metadata": {"name": "a"}, "data": {"k": "old"}}, "default")
    assert loaded(core, path) == 0
    assert core.get("configmaps", "a", "default").decode()["data"] == {"k": "old"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "objects.yaml: while parsing"),
        ("just text", "document 1 is no object of Kubernetes"),
        ("apiVersion: v1\nkind: Nothing\nmetadata: {name: a}", "Nothing of v1 is not served"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: A_b}", "Invalid value"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: 7}", "cannot unmarshal number"),
    ],
)
def test_what_cannot_be_loaded_is_one_line_that_names_its_place(
    core: ApiCore, tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(core, written(tmp_path, text))
    assert told in str(refused.value)
    assert "objects.yaml" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_is_named(core: ApiCore, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read .*nosuch.yaml: No such file"):
        loaded(core, tmp_path / "nosuch.yaml")
