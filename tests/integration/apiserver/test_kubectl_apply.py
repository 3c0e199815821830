"""kubectl apply on both sides, patches of every type, and who owns what."""

import json
from typing import Any

import pytest
import requests

from deltawire.apiserver.server import ApiServer
from tests.support.servers import Kubectl

MAP = """
apiVersion: v1
kind: ConfigMap
metadata: {name: cm}
data: {a: "1"}
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: c, image: "nginx:1", ports: [{containerPort: 80}]}
      - {name: side, image: "side:1"}
"""
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
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
WIDGET = """
apiVersion: example.net/v1
kind: Widget
metadata: {name: w}
spec: {size: 1}
"""


def images(kubectl: Kubectl) -> str:
    return kubectl.run("get", "deploy", "web", "-o", "jsonpath={..containers[*].image}").stdout


def test_client_side_apply_creates_leaves_and_configures(kubectl: Kubectl, api_server: ApiServer) -> None:
    assert kubectl.run("apply", "-f", "-", stdin=MAP).stdout == "configmap/cm created\n"
    assert kubectl.run("apply", "-f", "-", stdin=MAP).stdout == "configmap/cm unchanged\n"
    assert api_server.requests.count("patch") == 0
    changed = MAP.replace('"1"', '"2"')
    assert kubectl.run("apply", "-f", "-", stdin=changed).stdout == "configmap/cm configured\n"


def test_containers_are_merged_not_duplicated(kubectl: Kubectl) -> None:
    kubectl.run("apply", "-f", "-", stdin=DEPLOYMENT)
    done = kubectl.run("apply", "-f", "-", stdin=DEPLOYMENT.replace("nginx:1", "nginx:2"))
    assert done.stdout == "deployment.apps/web configured\n"
    assert images(kubectl) == "nginx:2 side:1"
    kubectl.run("set", "image", "deploy/web", "side=side:3")
    assert images(kubectl) == "nginx:2 side:3"
    kubectl.run("rollout", "restart", "deploy/web")
    assert images(kubectl) == "nginx:2 side:3"


def test_apply_in_a_dry_run_and_diff_write_nothing(kubectl: Kubectl) -> None:
    kubectl.run("apply", "-f", "-", stdin=MAP)
    before = kubectl.run("get", "cm", "cm", "-o", "json").stdout
    changed = MAP.replace('"1"', '"2"')
    assert "server dry run" in kubectl.run("apply", "--dry-run=server", "-f", "-", stdin=changed).stdout
    assert kubectl.run("diff", "-f", "-", stdin=MAP).returncode == 0
    different = kubectl.run("diff", "-f", "-", stdin=changed, check=False)
    assert (different.returncode, '+  a: "2"' in different.stdout) == (1, True)
    assert kubectl.run("get", "cm", "cm", "-o", "json").stdout == before


def test_server_side_apply_meets_conflicts_and_forces(kubectl: Kubectl) -> None:
    done = kubectl.run("apply", "--server-side", "-f", "-", stdin=MAP)
    assert done.stdout == "configmap/cm serverside-applied\n"
    other = ("apply", "--server-side", "--field-manager=other", "-f", "-")
    changed = MAP.replace('"1"', '"2"')
    refused = kubectl.run(*other, stdin=changed, check=False)
    assert refused.returncode == 1
    assert 'Apply failed with 1 conflict: conflict with "kubectl": .data.a' in refused.stderr
    kubectl.run(*other, "--force-conflicts", stdin=changed)
    assert kubectl.run("get", "cm", "cm", "-o", "jsonpath={.data.a}").stdout == "2"


def test_a_field_dropped_from_the_manifest_is_removed(kubectl: Kubectl) -> None:
    kubectl.run("apply", "--server-side", "-f", "-", stdin=MAP.replace('"1"', '"1", b: "1"'))
    kubectl.run("apply", "--server-side", "--field-manager=other", "-f", "-", stdin=MAP)
    kubectl.run("apply", "--server-side", "-f", "-", stdin=MAP)
    assert kubectl.run("get", "cm", "cm", "-o", "jsonpath={.data}").stdout == '{"a":"1"}'
    shown = kubectl.run("get", "cm", "cm", "-o", "json", "--show-managed-fields").stdout
    assert {e["manager"] for e in json.loads(shown)["metadata"]["managedFields"]} == {"kubectl", "other"}


def test_the_applier_changes_sides(kubectl: Kubectl) -> None:
    kubectl.run("apply", "-f", "-", stdin=DEPLOYMENT)
    changed = DEPLOYMENT.replace("nginx:1", "nginx:2")
    done = kubectl.run("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=changed)
    assert done.stdout == "deployment.apps/web serverside-applied\n"
    assert images(kubectl) == "nginx:2 side:1"


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("strategic", '{"data":{"b":"2"}}'),
        ("merge", '{"data":{"b":"2"}}'),
        ("json", '[{"op":"add","path":"/data/b","value":"2"}]'),
    ],
)
def test_patches_of_every_type(kubectl: Kubectl, kind: str, patch: str) -> None:
    kubectl.run("create", "-f", "-", stdin=MAP)
    kubectl.run("patch", "cm", "cm", f"--type={kind}", "-p", patch)
    assert kubectl.run("get", "cm", "cm", "-o", "jsonpath={.data}").stdout == '{"a":"1","b":"2"}'


def test_custom_resources_have_no_strategic_patch_but_apply_on_both_sides(kubectl: Kubectl) -> None:
    kubectl.run("apply", "-f", "-", stdin=DEFINITION)
    assert kubectl.run("apply", "-f", "-", stdin=WIDGET).stdout == "widget.example.net/w created\n"
    changed = WIDGET.replace("size: 1", "size: 2")
    assert kubectl.run("apply", "-f", "-", stdin=changed).stdout == "widget.example.net/w configured\n"
    refused = kubectl.run("patch", "widget", "w", "-p", '{"spec":{"size":3}}', check=False)
    assert (refused.returncode, "not supported" in refused.stderr) == (1, True)
    kubectl.run("apply", "--server-side", "--field-manager=m", "--force-conflicts", "-f", "-", stdin=WIDGET)
    assert kubectl.run("get", "widget", "w", "-o", "jsonpath={.spec.size}").stdout == "1"


def test_edit_replace_label_and_annotate(kubectl: Kubectl) -> None:
    kubectl.run("create", "-f", "-", stdin=MAP)
    kubectl.run("replace", "-f", "-", stdin=MAP.replace('"1"', '"2"'))
    assert kubectl.run("replace", "--force", "-f", "-", stdin=MAP).returncode == 0
    assert kubectl.run("label", "cm", "cm", "x=y").stdout == "configmap/cm labeled\n"
    stale = kubectl.run("annotate", "cm", "cm", "a=b", "--resource-version=1", check=False)
    assert (stale.returncode, "Conflict" in stale.stderr or "modified" in stale.stderr) == (1, True)


def ask(server: ApiServer, content_type: str, body: Any, query: str = "") -> requests.Response:
    return requests.patch(
        f"{server.url}/api/v1/namespaces/default/configmaps/cm{query}",
        data=body if isinstance(body, str) else json.dumps(body),
        headers={"Content-Type": content_type},
        timeout=10,
    )


def test_an_apply_needs_a_manager_and_creates_with_201(api_server: ApiServer) -> None:
    refused = ask(api_server, "application/apply-patch+yaml", MAP)
    assert (refused.status_code, "fieldManager" in refused.json()["message"]) == (422, True)
    long = ask(api_server, "application/apply-patch+yaml", MAP, f"?fieldManager={'m' * 129}")
    assert long.status_code == 422
    assert ask(api_server, "application/apply-patch+yaml", MAP, "?fieldManager=m").status_code == 201
    assert ask(api_server, "application/apply-patch+yaml", MAP, "?fieldManager=m").status_code == 200


def test_an_unknown_patch_type_is_refused(api_server: ApiServer) -> None:
    answer = ask(api_server, "application/json", {})
    assert answer.status_code == 415
    assert answer.json()["message"] == "415: Unsupported Media Type"


def test_an_applied_scale_sizes_its_object_and_is_owned(api_server: ApiServer) -> None:
    api_server.create("deployments.apps", {"metadata": {"name": "d"}}, "default")

    def apply(replicas: int, manager: str) -> requests.Response:
        scale = {"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": replicas}}
        return requests.patch(
            f"{api_server.url}/apis/apps/v1/namespaces/default/deployments/d/scale?fieldManager={manager}",
            json={**scale, "metadata": {"name": "d"}},
            headers={"Content-Type": "application/apply-patch+yaml"},
            timeout=10,
        )

    applied = apply(4, "one")
    assert (applied.status_code, applied.json()["kind"], applied.json()["spec"]) == (
        200,
        "Scale",
        {"replicas": 4},
    )
    assert apply(4, "two").status_code == 200
    refused = apply(5, "two")
    assert (refused.status_code, refused.json()["reason"]) == (409, "Conflict")
    stored = api_server.call(lambda core: core.get("deployments.apps", "d", "default")).decode()
    owners = {(m["manager"], m["subresource"]) for m in stored["metadata"]["managedFields"]}
    assert owners == {("one", "scale"), ("two", "scale")}
