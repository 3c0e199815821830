"""kubectl with custom resources that have a schema."""

import pytest
import requests

from deltawire.apiserver.server import ApiServer
from tests.support.servers import Kubectl

DEFINITION = """
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
    selectableFields: [{jsonPath: .spec.color}]
    schema:
      openAPIV3Schema:
        type: object
        description: A widget turns.
        properties:
          spec:
            type: object
            description: What is wanted.
            required: [size]
            properties:
              size: {type: integer, minimum: 1, description: How large it is.}
              color: {type: string, default: red}
  - name: v1beta1
    served: true
    storage: false
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""


def widget(spec: str) -> str:
    return f"apiVersion: example.net/v1\nkind: Widget\nmetadata: {{name: w}}\nspec: {spec}\n"


@pytest.fixture
def widgets(kubectl: Kubectl) -> Kubectl:
    kubectl.run("apply", "-f", "-", stdin=DEFINITION)
    return kubectl


def test_bad_values_unknown_fields_and_defaults(widgets: Kubectl) -> None:
    refused = widgets.run("create", "-f", "-", stdin=widget("{size: big}"), check=False)
    assert refused.returncode == 1
    assert 'spec.size: Invalid value: "string": spec.size in body must be of type integer' in refused.stderr
    strict = widgets.run("create", "-f", "-", stdin=widget("{size: 1, nope: 2}"), check=False)
    assert (strict.returncode, 'unknown field "spec.nope"' in strict.stderr) == (1, True)
    warned = widgets.run("create", "-f", "-", "--validate=warn", stdin=widget("{size: 1, nope: 2}"))
    assert 'unknown field "spec.nope"' in warned.stderr
    assert widgets.run("get", "widget", "w", "-o", "jsonpath={.spec}").stdout == '{"color":"red","size":1}'
    quiet = widgets.run("apply", "-f", "-", "--validate=ignore", stdin=widget("{size: 2, nope: 2}"))
    assert "unknown field" not in quiet.stderr
    by_color = widgets.run("get", "widgets", "--field-selector=spec.color=red", "-o", "name").stdout
    assert by_color == "widget.example.net/w\n"


def test_both_versions_are_read_and_both_go_with_the_definition(widgets: Kubectl) -> None:
    widgets.run("create", "-f", "-", stdin=widget("{size: 1}"))
    read = widgets.run(
        "get", "widgets.v1beta1.example.net", "w", "-o", "jsonpath={.apiVersion} {.spec.size}"
    ).stdout
    assert read == "example.net/v1beta1 1"
    widgets.run("delete", "crd", "widgets.example.net")
    assert widgets.run("api-resources", "--api-group=example.net", "-o", "name").stdout == ""


def test_a_patch_with_unknown_fields_is_invalid_where_that_is_strict(
    widgets: Kubectl, api_server: ApiServer
) -> None:
    widgets.run("create", "-f", "-", stdin=widget("{size: 1}"))
    answer = requests.patch(
        f"{api_server.url}/apis/example.net/v1/namespaces/default/widgets/w?fieldValidation=Strict",
        json={"spec": {"nope": 1}},
        headers={"Content-Type": "application/merge-patch+json"},
        timeout=10,
    )
    assert (answer.status_code, answer.json()["reason"]) == (422, "Invalid")
    assert 'unknown field "spec.nope"' in answer.json()["message"]


def test_explain_knows_built_in_and_custom_kinds(widgets: Kubectl) -> None:
    size = widgets.run("explain", "widget.spec.size").stdout
    assert "size <integer>" in size
    assert "How large it is." in size
    assert "A widget turns." in widgets.run("explain", "widget").stdout
    ports = widgets.run("explain", "pod.spec.containers.ports").stdout
    assert "containerPort\t<integer> -required-" in ports
    unknown = widgets.run("explain", "pod.nope", check=False)
    assert (unknown.returncode, "does not exist" in unknown.stderr) == (1, True)
    missing = widgets.run(
        "create", "-f", "-", stdin="apiVersion: v2\nkind: Nope\nmetadata: {name: x}", check=False
    )
    assert (missing.returncode, 'no matches for kind "Nope"' in missing.stderr) == (1, True)
