"""OpenAPI v3 documents: built-in kinds from the models' sources, custom kinds from their schema."""

import gzip
from typing import Any

import msgspec
import pytest

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.openapi.documents import Documents
from deltawire.apiserver.openapi.models import components

Tree = dict[str, Any]
META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"


def document(core: ApiCore, group: str, version: str) -> Tree:
    found = Documents(core.catalogue, "v1").document(group, version)
    assert found is not None
    assert gzip.decompress(found[1]) == found[0]
    decoded: Tree = msgspec.json.decode(found[0])
    return decoded


def define(core: ApiCore, schema: Tree) -> None:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "widgets", "kind": "Widget"}
    spec = {"group": "ex.io", "scope": "Namespaced", "names": names, "versions": [version]}
    definition = {"metadata": {"name": "widgets.ex.io"}, "spec": spec}
    core.create("customresourcedefinitions.apiextensions.k8s.io", definition)


def test_a_model_has_types_descriptions_and_what_it_refers_to() -> None:
    found = components("core_v1", ["Pod"])
    container = found["io.k8s.api.core.v1.Container"]
    assert container["properties"]["ports"]["type"] == "array"
    assert container["properties"]["image"]["type"] == "string"
    assert "image" in container["properties"]["image"]["description"].lower()
    assert container["required"] == ["name"]
    reference = {"$ref": f"#/components/schemas/{META}"}
    assert found["io.k8s.api.core.v1.Pod"]["properties"]["metadata"]["allOf"] == [reference]


def test_every_reference_of_a_document_is_in_it(core: ApiCore) -> None:
    for group, version in [("", "v1"), ("apps", "v1"), ("autoscaling", "v2"), ("apiextensions.k8s.io", "v1")]:
        made = document(core, group, version)
        wanted: set[str] = set()

        def collect(tree: Any, wanted: set[str] = wanted) -> None:
            for key, value in tree.items() if isinstance(tree, dict) else ():
                if key == "$ref" and isinstance(value, str):
                    wanted.add(value.rpartition("/")[2])
                collect(value)
            for item in tree if isinstance(tree, list) else ():
                collect(item)

        collect(made)
        assert wanted <= made["components"]["schemas"].keys(), (group, version)


def test_a_field_whose_name_is_no_identifier_keeps_its_own(core: ApiCore) -> None:
    props = components("apiextensions_v1", ["JSONSchemaProps"])["io.k8s.api.apiextensions.v1.JSONSchemaProps"]
    assert {"$ref", "not", "x-kubernetes-list-type"} <= props["properties"].keys()


def test_a_kind_can_be_found_by_its_paths_and_patched_without_strategic_merge(core: ApiCore) -> None:
    path = document(core, "apps", "v1")["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]
    gvk = {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert path["get"]["x-kubernetes-group-version-kind"] == gvk
    assert path["get"]["x-kubernetes-action"] == "get"
    assert "fieldValidation" in [p["name"] for p in path["patch"]["parameters"]]
    types = path["patch"]["requestBody"]["content"]
    assert "application/merge-patch+json" in types
    assert "application/strategic-merge-patch+json" not in types


def test_a_custom_kind_is_described_by_its_own_schema(core: ApiCore) -> None:
    spec = {"type": "object", "properties": {"size": {"type": "integer", "description": "How large."}}}
    define(core, {"type": "object", "properties": {"spec": spec}})
    schema = document(core, "ex.io", "v1")["components"]["schemas"]["io.ex.v1.Widget"]
    assert schema["properties"]["spec"] == spec
    assert schema["x-kubernetes-group-version-kind"] == [
        {"group": "ex.io", "version": "v1", "kind": "Widget"}
    ]


def test_the_index_changes_with_what_is_served(core: ApiCore) -> None:
    documents = Documents(core.catalogue, "v1")
    before = documents.index()["paths"]
    assert before["api/v1"]["serverRelativeURL"].startswith("/openapi/v3/api/v1?hash=")
    define(core, {"type": "object"})
    first = documents.index()["paths"]
    assert first.keys() - before.keys() == {"apis/ex.io/v1"}
    assert first["apis/apps/v1"] == before["apis/apps/v1"]


@pytest.mark.parametrize(("group", "version"), [("none", "v1"), ("apps", "v9")])
def test_what_is_not_served_has_no_document(core: ApiCore, group: str, version: str) -> None:
    assert Documents(core.catalogue, "v1").document(group, version) is None
