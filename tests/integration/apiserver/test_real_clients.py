"""kubectl and the official Python client, unchanged."""

# Types of the official client are named, not loaded: that takes a second in each process that collects the tests.
from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config, watch

from deltawire.apiserver.server import ApiServer
from tests.support.servers import Kubectl, ServerFactory, eventually

POD = """
apiVersion: v1
kind: Pod
metadata: {name: p1, labels: {app: p}}
spec: {containers: [{name: c, image: nginx}]}
"""
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: c, image: nginx}]}
"""
DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.net}
spec:
  group: example.net
  scope: Namespaced
  names: {plural: widgets, kind: Widget, shortNames: [wg]}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
"""
WIDGET = """
apiVersion: example.net/v1
kind: Widget
metadata: {name: w1}
"""


def test_kubectl_sees_the_first_namespaces(kubectl: Kubectl) -> None:
    listed = kubectl.run("get", "ns").stdout.split()
    assert {"default", "kube-system", "kube-public", "kube-node-lease", "Active"} <= set(listed)
    assert "v1.35" in kubectl.run("version").stdout


def test_kubectl_creates_gets_and_deletes(kubectl: Kubectl) -> None:
    assert kubectl.run("create", "-f", "-", stdin=POD).stdout == "pod/p1 created\n"
    again = kubectl.run("create", "-f", "-", stdin=POD, check=False)
    assert (again.returncode, "already exists" in again.stderr) == (1, True)
    table = kubectl.run("get", "pods").stdout.splitlines()
    assert table[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert table[1].split()[:4] == ["p1", "0/1", "Pending", "0"]
    assert kubectl.run("get", "pods", "-A", "-l", "app=p", "-o", "name").stdout == "pod/p1\n"
    named = kubectl.run(
        "get", "pods", "--field-selector", "metadata.name=p1", "-o", "jsonpath={.items[0].kind}"
    )
    assert named.stdout == "Pod"
    assert "image: nginx" in kubectl.run("get", "pod", "p1", "-o", "yaml").stdout
    assert kubectl.run("label", "pod", "p1", "x=y").stdout == "pod/p1 labeled\n"
    assert "Labels:" in kubectl.run("describe", "pod", "p1").stdout
    assert kubectl.run("delete", "pod", "p1").stdout == 'pod "p1" deleted\n'
    missing = kubectl.run("get", "pod", "p1", check=False)
    assert (missing.returncode, "NotFound" in missing.stderr) == (1, True)


def test_kubectl_pages_sorts_and_finds_nothing(kubectl: Kubectl, api_server: ApiServer) -> None:
    for name in "cab":
        api_server.create("configmaps", {"metadata": {"name": name}}, "default")
    paged = kubectl.run("get", "cm", "--chunk-size=1", "-o", "name").stdout.split()
    assert paged == ["configmap/a", "configmap/b", "configmap/c"]
    assert api_server.requests.count("list", "configmaps") == 3
    by_name = kubectl.run("get", "cm", "--sort-by=.metadata.name", "--no-headers").stdout.split()
    assert by_name[0] == "a"
    unknown = kubectl.run("get", "nosuch", check=False)
    assert (unknown.returncode, "doesn't have a resource type" in unknown.stderr) == (1, True)


def test_kubectl_changes_a_deployment(kubectl: Kubectl) -> None:
    kubectl.run("create", "-f", "-", stdin=DEPLOYMENT)
    kubectl.run("patch", "deployment", "web", "--type=merge", "-p", '{"spec":{"replicas":3}}')
    assert kubectl.run("get", "deploy", "web").stdout.splitlines()[1].split()[:4] == ["web", "0/3", "0", "0"]
    failed = kubectl.run(
        "patch",
        "deploy",
        "web",
        "--type=json",
        "-p",
        '[{"op":"test","path":"/spec/replicas","value":9}]',
        check=False,
    )
    assert failed.returncode == 1
    replaced = kubectl.run("get", "deploy", "web", "-o", "yaml").stdout.replace("replicas: 3", "replicas: 4")
    kubectl.run("replace", "-f", "-", stdin=replaced)
    assert kubectl.run("get", "deploy", "web", "-o", "jsonpath={.spec.replicas}").stdout == "4"
    dry = kubectl.run("delete", "deploy", "web", "--dry-run=server").stdout
    assert "server dry run" in dry
    kubectl.run("delete", "deploy", "web")


def test_kubectl_works_with_custom_resources(kubectl: Kubectl) -> None:
    kubectl.run("create", "-f", "-", stdin=DEFINITION)
    kubectl.run("wait", "--for=condition=Established", "crd/widgets.example.net", "--timeout=5s")
    kubectl.run("create", "-f", "-", stdin=WIDGET)
    assert kubectl.run("get", "wg", "-o", "name").stdout == "widget.example.net/w1\n"
    kubectl.run("delete", "crd", "widgets.example.net")
    gone = kubectl.run("get", "wg", check=False)
    assert gone.returncode == 1


def test_kubectl_deletes_a_namespace_with_its_contents(kubectl: Kubectl, api_server: ApiServer) -> None:
    api_server.create("namespaces", {"metadata": {"name": "n"}})
    api_server.create("configmaps", {"metadata": {"name": "a"}}, "n")
    assert "deleted" in kubectl.run("delete", "ns", "n").stdout
    assert "configmaps" not in api_server.call(lambda core: core.counts())


def test_kubectl_follows_changes(kubectl: Kubectl, api_server: ApiServer) -> None:
    api_server.create("configmaps", {"metadata": {"name": "a"}}, "default")
    process = kubectl.start("get", "cm", "-w", "--no-headers", "-o", "name")
    try:
        eventually(lambda: api_server.requests.count("watch", "configmaps") == 1, "kubectl watches")
        api_server.create("configmaps", {"metadata": {"name": "b"}}, "default")
        assert process.stdout is not None
        assert [process.stdout.readline(), process.stdout.readline()] == ["configmap/a\n", "configmap/b\n"]
    finally:
        _end(process)


@pytest.mark.parametrize("streaming", ["true", "false"])
def test_client_go_waits_with_both_kinds_of_list(
    kubectl: Kubectl, api_server: ApiServer, streaming: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kubectl wait uses client-go's informer; the gate makes it use the streaming list."""
    api_server.create("pods", {"metadata": {"name": "p"}, "spec": {"containers": []}}, "default")
    process = subprocess.Popen(
        ["kubectl", "wait", "--for=jsonpath={.status.phase}=Running", "pod/p", "--timeout=10s"],
        env=kubectl.environment | {"KUBE_FEATURE_WatchListClient": streaming},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        eventually(lambda: api_server.requests.count("watch", "pods") > 0, "the informer watches")

        def run(pod: dict[str, Any]) -> dict[str, Any]:
            return pod | {"status": {"phase": "Running"}}

        api_server.call(lambda core: core.patch("pods", run, "p", "default", subresource="status"))
        out, _ = process.communicate(timeout=10)
    finally:
        _end(process)
    assert (process.returncode, out) == (0, "pod/p condition met\n")
    query = api_server.requests.entries[-1].query
    assert ("sendInitialEvents" in query) is (streaming == "true")


@pytest.fixture
def core_v1(kubeconfig: Path) -> Iterator[client.CoreV1Api]:
    with config.new_client_from_config(str(kubeconfig)) as api_client:
        yield client.CoreV1Api(api_client)


def test_the_official_client_does_all_verbs(core_v1: client.CoreV1Api) -> None:
    body = client.V1ConfigMap(metadata=client.V1ObjectMeta(name="a"), data={"x": "1"})
    created = core_v1.create_namespaced_config_map("default", body)
    assert core_v1.read_namespaced_config_map("a", "default").data == {"x": "1"}
    created.data = {"x": "2"}
    replaced = core_v1.replace_namespaced_config_map("a", "default", created)
    with pytest.raises(client.ApiException) as stale:
        core_v1.replace_namespaced_config_map("a", "default", created)
    assert stale.value.status == 409
    assert int(replaced.metadata.resource_version) > int(created.metadata.resource_version)
    listed = core_v1.list_namespaced_config_map("default", limit=1)
    assert [item.metadata.name for item in listed.items] == ["a"]
    core_v1.delete_namespaced_config_map("a", "default")
    with pytest.raises(client.ApiException) as missing:
        core_v1.read_namespaced_config_map("a", "default")
    assert missing.value.status == 404
    core_v1.create_namespaced_config_map("default", body)
    core_v1.delete_collection_namespaced_config_map("default")
    assert core_v1.list_config_map_for_all_namespaces().items == []


def test_the_official_clients_watch_sees_objects_come_and_go_by_label(
    core_v1: client.CoreV1Api, api_server: ApiServer
) -> None:
    def write(value: str) -> None:
        body = {"metadata": {"name": "a", "labels": {"l": value}}}
        api_server.call(lambda core: core.update("configmaps", body, "a", "default"))

    stream = watch.Watch().stream(
        core_v1.list_namespaced_config_map, "default", label_selector="l=1", timeout_seconds=5
    )
    api_server.create("configmaps", {"metadata": {"name": "a", "labels": {"l": "1"}}}, "default")
    seen = [next(stream)["type"]]
    write("2")
    seen.append(next(stream)["type"])
    write("1")
    seen.append(next(stream)["type"])
    api_server.call(lambda core: core.delete("configmaps", "a", "default"))
    seen.append(next(stream)["type"])
    assert seen == ["ADDED", "DELETED", "ADDED", "DELETED"]
    stream.close()


def test_the_official_client_learns_of_a_lost_place(core_v1: client.CoreV1Api, api_server: ApiServer) -> None:
    first = api_server.create("configmaps", {"metadata": {"name": "a"}}, "default")
    api_server.create("configmaps", {"metadata": {"name": "b"}}, "default")
    api_server.compact()
    stream = watch.Watch().stream(
        core_v1.list_namespaced_config_map,
        "default",
        resource_version=first["metadata"]["resourceVersion"],
        timeout_seconds=2,
    )
    with pytest.raises(client.ApiException) as lost:
        next(stream)
    assert lost.value.status == 410


def test_tls_and_a_token_work_for_both(api_server_factory: ServerFactory, tmp_path: Path) -> None:
    server = api_server_factory(tls=True, tokens=("first-token", "second-token"))
    assert server.url.startswith("https://")
    path = server.write_kubeconfig(tmp_path / "tls")
    assert path.stat().st_mode & 0o077 == 0
    with config.new_client_from_config(str(path)) as api_client:
        assert len(client.CoreV1Api(api_client).list_namespace().items) == 4
    kubectl = Kubectl(path, tmp_path)
    assert "default" in kubectl.run("get", "ns").stdout
    assert kubectl.run("get", "ns", "--token=second-token").returncode == 0
    refused = kubectl.run("get", "ns", "--token=wrong", check=False)
    assert (refused.returncode, "You must be logged in" in refused.stderr) == (1, True)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    process.wait(10)
    if process.stdout is not None:
        process.stdout.close()
