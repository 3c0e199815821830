"""What kubectl shows: discovery, tables, logs, and the subresources behind its commands."""

import json

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
  names: {plural: widgets, kind: Widget, shortNames: [wg], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
WIDGET = """
apiVersion: example.net/v1
kind: Widget
metadata: {name: w}
spec: {size: 7}
"""
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def test_discovery_takes_two_requests_and_lists_custom_resources(
    kubectl: Kubectl, api_server: ApiServer
) -> None:
    kubectl.run("apply", "-f", "-", stdin=DEFINITION)
    shown = kubectl.run("api-resources", "--api-group=example.net", "-o", "wide").stdout
    assert shown.splitlines()[1].split()[:5] == ["widgets", "wg", "example.net/v1", "true", "Widget"]
    answer = requests.get(api_server.url + "/apis", headers={"Accept": AGGREGATED}, timeout=10)
    assert answer.headers["Content-Type"] == AGGREGATED
    again = {"Accept": AGGREGATED, "If-None-Match": answer.headers["ETag"]}
    assert requests.get(api_server.url + "/apis", headers=again, timeout=10).status_code == 304


def test_tables_of_custom_and_built_in_kinds_in_one_category(kubectl: Kubectl) -> None:
    kubectl.run("apply", "-f", "-", stdin=DEFINITION)
    kubectl.run("apply", "-f", "-", stdin=WIDGET)
    kubectl.run("create", "deployment", "web", "--image=nginx")
    shown = kubectl.run("get", "all").stdout.splitlines()
    assert [line.split() for line in shown if "widget" in line] == [["widget.example.net/w", "7"]]
    assert ["NAME", "SIZE"] in [line.split() for line in shown]
    wide = kubectl.run("get", "deploy", "-o", "wide").stdout.splitlines()
    assert wide[0].split()[-3:] == ["CONTAINERS", "IMAGES", "SELECTOR"]
    assert wide[1].split()[-3:] == ["nginx", "nginx", "app=web"]
    assert kubectl.run("scale", "widget", "w", "--replicas=3").stdout == "widget.example.net/w scaled\n"
    kubectl.run(
        "patch", "widget", "w", "--subresource=status", "--type=merge", "-p", '{"status":{"replicas":2}}'
    )
    both = kubectl.run("get", "wg", "w", "-o", "jsonpath={.spec.replicas} {.status.replicas}").stdout
    assert both == "3 2"


def test_a_watch_as_table_names_its_columns_once(api_server: ApiServer) -> None:
    api_server.create("configmaps", {"metadata": {"name": "a"}, "data": {"x": "1"}}, "default")
    api_server.create("configmaps", {"metadata": {"name": "b"}}, "default")
    answer = requests.get(
        api_server.url + "/api/v1/configmaps?watch=1&timeoutSeconds=1",
        headers={"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"},
        timeout=10,
    )
    tables = [json.loads(line)["object"] for line in answer.text.splitlines()]
    assert [[row["cells"][:2] for row in table["rows"]] for table in tables] == [[["a", 1]], [["b", 0]]]
    assert [bool(table["columnDefinitions"]) for table in tables] == [True, False]


def test_metadata_clients_get_metadata_only(api_server: ApiServer) -> None:
    api_server.create("configmaps", {"metadata": {"name": "a"}, "data": {"x": "1"}}, "default")
    kind = "as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    accept = f"application/vnd.kubernetes.protobuf;{kind},application/json;{kind}"
    listed = requests.get(
        api_server.url + "/api/v1/configmaps", headers={"Accept": accept}, timeout=10
    ).json()
    assert (listed["kind"], listed["apiVersion"]) == ("PartialObjectMetadataList", "meta.k8s.io/v1")
    assert {name for item in listed["items"] for name in item} == {"kind", "apiVersion", "metadata"}


def test_run_logs_scale_expose_and_debug(kubectl: Kubectl, api_server: ApiServer) -> None:
    kubectl.run("run", "p", "--image=nginx")
    api_server.script_log("p", "one\ntwo")
    assert kubectl.run("logs", "p").stdout == "one\ntwo\n"
    assert kubectl.run("logs", "-f", "p", "--tail=1").stdout == "two\n"
    kubectl.run("debug", "p", "--image=busybox", "-c", "dbg", "--attach=false", "--profile=general")
    named = kubectl.run("get", "pod", "p", "-o", "jsonpath={.spec.ephemeralContainers[*].name}").stdout
    assert named == "dbg"
    kubectl.run("create", "deployment", "web", "--image=nginx")
    assert kubectl.run("scale", "deploy", "web", "--replicas=3").stdout == "deployment.apps/web scaled\n"
    assert kubectl.run("expose", "deploy", "web", "--port=80").stdout == "service/web exposed\n"
    assert kubectl.run("get", "deploy", "web").stdout.splitlines()[1].split()[1] == "0/3"


def test_drain_evicts_what_no_budget_holds(kubectl: Kubectl, api_server: ApiServer) -> None:
    api_server.create("nodes", {"metadata": {"name": "n"}})
    for name in ("p", "q"):
        pod = {
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"nodeName": "n", "containers": []},
        }
        api_server.create("pods", pod, "default")
    kubectl.run("create", "pdb", "keep", "--selector=app=q", "--min-available=1")
    path = f"{api_server.url}/api/v1/namespaces/default/pods/q/eviction"
    refused = requests.post(path, json={"metadata": {"name": "q"}}, timeout=10)
    assert (refused.status_code, "Retry-After" in refused.headers) == (429, False)
    kubectl.run("delete", "pdb", "keep")
    assert "node/n drained" in kubectl.run("drain", "n", "--force").stdout
    assert api_server.requests.count("create", "pods") == 3
    assert kubectl.run("get", "pods", "-o", "name").stdout == ""
    assert kubectl.run("get", "node", "n").stdout.splitlines()[1].split()[1] == "Unknown,SchedulingDisabled"
