"""What programs do with the official Python client, against the cluster of $KUBECONFIG."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client import exceptions
from kubernetes.stream import portforward, stream

PATIENCE_S = 30.0
CONTAINER = {"name": "main", "image": "busybox"}


@pytest.fixture(scope="module")
def api() -> Iterator[client.ApiClient]:
    with config.new_client_from_config() as made:
        yield made


@pytest.fixture(scope="module")
def core(api: client.ApiClient) -> client.CoreV1Api:
    return client.CoreV1Api(api)


@pytest.fixture
def ns(core: client.CoreV1Api) -> Iterator[str]:
    name = f"official-{uuid.uuid4().hex[:8]}"
    core.create_namespace({"metadata": {"name": name}})
    yield name
    core.delete_namespace(name)


def eventually(holds: Callable[[], Any]) -> Any:
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        if found := holds():
            return found
        time.sleep(0.05)
    return pytest.fail("it never came about")


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(name: str, replicas: int = 1) -> dict[str, Any]:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [CONTAINER]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def running(core: client.CoreV1Api, ns: str, **container: Any) -> str:
    core.create_namespaced_pod(
        ns, {"metadata": {"name": "p"}, "spec": {"containers": [CONTAINER | container]}}
    )
    eventually(lambda: core.read_namespaced_pod("p", ns).status.phase == "Running")
    return "p"


def code(call: Callable[[], Any]) -> int:
    with pytest.raises(exceptions.ApiException) as raised:
        call()
    return int(raised.value.status)


def test_a_config_map_is_made_read_patched_listed_and_deleted(core: client.CoreV1Api, ns: str) -> None:
    core.create_namespaced_config_map(ns, config_map("a", k="1"))
    assert core.patch_namespaced_config_map("a", ns, {"data": {"k": "2"}}).data == {"k": "2"}
    listed = core.list_namespaced_config_map(ns, field_selector="metadata.name=a")
    assert [item.metadata.name for item in listed.items] == ["a"]
    core.delete_namespaced_config_map("a", ns)
    assert code(lambda: core.read_namespaced_config_map("a", ns)) == 404


def test_an_object_is_replaced_only_from_its_newest_version(core: client.CoreV1Api, ns: str) -> None:
    old = core.create_namespaced_config_map(ns, config_map("a", k="1"))
    core.replace_namespaced_config_map("a", ns, config_map("a", k="2"))
    assert code(lambda: core.replace_namespaced_config_map("a", ns, old)) == 409


def test_a_second_creation_is_refused(core: client.CoreV1Api, ns: str) -> None:
    core.create_namespaced_config_map(ns, config_map("a"))
    assert code(lambda: core.create_namespaced_config_map(ns, config_map("a"))) == 409


def test_a_bad_object_is_refused_with_a_status(core: client.CoreV1Api, ns: str) -> None:
    with pytest.raises(exceptions.ApiException) as raised:
        core.create_namespaced_service(ns, {"metadata": {"name": "a"}, "spec": {"ports": [{"port": 0}]}})
    status = json.loads(raised.value.body)
    assert (status["code"], status["reason"]) == (422, "Invalid")


def test_a_dry_run_leaves_nothing(core: client.CoreV1Api, ns: str) -> None:
    core.create_namespaced_config_map(ns, config_map("a"), dry_run="All")
    assert code(lambda: core.read_namespaced_config_map("a", ns)) == 404


def test_a_list_comes_in_pages(core: client.CoreV1Api, ns: str) -> None:
    for number in range(5):
        core.create_namespaced_secret(ns, {"metadata": {"name": f"s{number}"}})
    names, token = [], ""
    while True:
        page = core.list_namespaced_secret(ns, limit=2, _continue=token)
        names += [item.metadata.name for item in page.items]
        token = page.metadata._continue
        if not token:
            break
    assert names == [f"s{number}" for number in range(5)]


def test_a_collection_is_deleted_by_its_labels(core: client.CoreV1Api, ns: str) -> None:
    for name in "ab":
        made = config_map(name)
        made["metadata"]["labels"] = {"name": name}
        core.create_namespaced_config_map(ns, made)
    core.delete_collection_namespaced_config_map(ns, label_selector="name=a")
    assert code(lambda: core.read_namespaced_config_map("a", ns)) == 404
    core.read_namespaced_config_map("b", ns)


def test_a_service_is_made_patched_and_deleted(core: client.CoreV1Api, ns: str) -> None:
    ports = [{"port": 80, "targetPort": 8080, "name": "http"}]
    made = core.create_namespaced_service(ns, {"metadata": {"name": "s"}, "spec": {"ports": ports}})
    assert made.spec.cluster_ip
    changed = core.patch_namespaced_service("s", ns, {"spec": {"ports": [{"port": 80, "name": "web"}]}})
    assert [port.name for port in changed.spec.ports] == ["web"]
    core.delete_namespaced_service("s", ns)


def test_a_replication_controller_gets_its_pods(core: client.CoreV1Api, ns: str) -> None:
    template = {"metadata": {"labels": {"app": "rc"}}, "spec": {"containers": [CONTAINER]}}
    spec = {"replicas": 2, "selector": {"app": "rc"}, "template": template}
    core.create_namespaced_replication_controller(ns, {"metadata": {"name": "rc"}, "spec": spec})
    eventually(lambda: core.read_namespaced_replication_controller("rc", ns).status.ready_replicas == 2)
    core.delete_namespaced_replication_controller("rc", ns, propagation_policy="Foreground")
    eventually(lambda: not core.list_namespaced_pod(ns).items)


def test_nodes_are_listed_and_read(core: client.CoreV1Api) -> None:
    nodes = core.list_node().items
    assert core.read_node(nodes[0].metadata.name).status.node_info.kubelet_version


def test_a_deployment_is_rolled_out_scaled_and_deleted(api: client.ApiClient, ns: str) -> None:
    apps = client.AppsV1Api(api)
    apps.create_namespaced_deployment(ns, deployment("d"))
    eventually(lambda: apps.read_namespaced_deployment("d", ns).status.ready_replicas == 1)
    apps.patch_namespaced_deployment_scale("d", ns, {"spec": {"replicas": 3}})
    eventually(lambda: apps.read_namespaced_deployment("d", ns).status.ready_replicas == 3)
    apps.delete_namespaced_deployment("d", ns)
    eventually(lambda: not apps.list_namespaced_replica_set(ns).items)


def test_a_daemon_set_runs_on_each_node(api: client.ApiClient, ns: str) -> None:
    apps = client.AppsV1Api(api)
    body = deployment("d") | {"kind": "DaemonSet"}
    del body["spec"]["replicas"]
    apps.create_namespaced_daemon_set(ns, body)
    eventually(lambda: apps.read_namespaced_daemon_set("d", ns).status.number_ready == 1)


def test_a_job_is_complete(api: client.ApiClient, ns: str) -> None:
    batch = client.BatchV1Api(api)
    template = {"spec": {"containers": [CONTAINER], "restartPolicy": "Never"}}
    batch.create_namespaced_job(ns, {"metadata": {"name": "j"}, "spec": {"template": template}})
    eventually(lambda: batch.read_namespaced_job("j", ns).status.succeeded == 1)


def test_a_watch_tells_each_change_and_can_be_stopped(core: client.CoreV1Api, ns: str) -> None:
    def write() -> None:
        core.create_namespaced_secret(ns, {"metadata": {"name": "a"}})
        core.patch_namespaced_secret("a", ns, {"metadata": {"labels": {"a": "b"}}})
        core.delete_namespaced_secret("a", ns)

    version = core.list_namespaced_secret(ns).metadata.resource_version
    write()
    watching, kinds = watch.Watch(), []
    for event in watching.stream(
        core.list_namespaced_secret, ns, resource_version=version, timeout_seconds=20
    ):
        kinds.append(event["type"])
        if event["type"] == "DELETED":
            watching.stop()
    assert kinds == ["ADDED", "MODIFIED", "DELETED"]


def test_logs_are_read(core: client.CoreV1Api, ns: str) -> None:
    running(core, ns, command=["sh", "-c", "echo hello; sleep 3600"])
    eventually(lambda: "hello" in core.read_namespaced_pod_log("p", ns))


def test_a_command_answers_on_both_outputs(core: client.CoreV1Api, ns: str) -> None:
    running(core, ns)
    said = stream(
        core.connect_get_namespaced_pod_exec,
        "p",
        ns,
        command=["sh", "-c", "echo out; echo wrong >&2"],
        stdout=True,
        stderr=True,
        _preload_content=False,
    )
    said.run_forever(timeout=PATIENCE_S)
    assert (said.read_stdout(), said.read_stderr(), said.returncode) == ("out\n", "wrong\n", 0)


@pytest.mark.parametrize(("command", "wanted"), [("exit 7", 7), ("true", 0), ("false", 1)])
def test_a_command_has_its_exit_code(core: client.CoreV1Api, ns: str, command: str, wanted: int) -> None:
    running(core, ns)
    said = stream(
        core.connect_get_namespaced_pod_exec,
        "p",
        ns,
        command=["sh", "-c", command],
        stdout=True,
        _preload_content=False,
    )
    said.run_forever(timeout=PATIENCE_S)
    assert said.returncode == wanted


def test_a_shell_reads_what_is_typed(core: client.CoreV1Api, ns: str) -> None:
    running(core, ns)
    said = stream(
        core.connect_get_namespaced_pod_exec,
        "p",
        ns,
        command=["sh"],
        stdin=True,
        stdout=True,
        _preload_content=False,
    )
    said.write_stdin("echo typed\n")
    assert said.readline_stdout(timeout=PATIENCE_S) == "typed"
    said.write_stdin("exit 2\n")
    said.run_forever(timeout=PATIENCE_S)
    assert said.returncode == 2


def test_a_port_is_forwarded(core: client.CoreV1Api, ns: str) -> None:
    running(core, ns, ports=[{"containerPort": 8080}])
    forwarded = portforward(core.connect_get_namespaced_pod_portforward, "p", ns, ports="8080")
    opened = forwarded.socket(8080)
    opened.setblocking(True)
    opened.settimeout(PATIENCE_S)
    opened.sendall(b"GET / HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n")
    assert opened.recv(4096).startswith(b"HTTP/1.1 200")
    opened.close()


def test_a_port_without_a_listener_says_so(core: client.CoreV1Api, ns: str) -> None:
    running(core, ns)
    forwarded = portforward(core.connect_get_namespaced_pod_portforward, "p", ns, ports="81")
    eventually(lambda: forwarded.error(81))


def test_manifests_are_created_from_a_list(api: client.ApiClient, core: client.CoreV1Api, ns: str) -> None:
    utils.create_from_dict(
        api, {"apiVersion": "v1", "kind": "List", "items": [config_map("a"), config_map("b")]}, namespace=ns
    )
    core.read_namespaced_config_map("b", ns)


def test_a_manifest_that_is_there_already_is_told(api: client.ApiClient, ns: str) -> None:
    utils.create_from_dict(api, deployment("d"), namespace=ns)
    with pytest.raises(utils.FailToCreateError, match="AlreadyExists"):
        utils.create_from_dict(api, deployment("d"), namespace=ns)


def test_a_manifest_is_applied_twice(api: client.ApiClient, ns: str) -> None:
    for replicas in (1, 2):
        utils.create_from_dict(api, deployment("d", replicas), namespace=ns, apply=True)
    assert client.AppsV1Api(api).read_namespaced_deployment("d", ns).spec.replicas == 2


def test_rights_are_asked_for(api: client.ApiClient) -> None:
    wanted = {"spec": {"resourceAttributes": {"verb": "list", "resource": "pods"}}}
    assert client.AuthorizationV1Api(api).create_self_subject_access_review(wanted).status.allowed


def test_a_token_of_an_account_is_made(core: client.CoreV1Api, ns: str) -> None:
    body = {"spec": {"audiences": ["a"], "expirationSeconds": 600}}
    assert core.create_namespaced_service_account_token("default", ns, body).status.token.count(".") == 2


def test_a_pod_is_evicted(core: client.CoreV1Api, ns: str) -> None:
    running(core, ns)
    core.create_namespaced_pod_eviction("p", ns, {"metadata": {"name": "p", "namespace": ns}})
    eventually(lambda: not core.list_namespaced_pod(ns).items)


def test_custom_objects_are_defined_made_and_patched(api: client.ApiClient, ns: str) -> None:
    group = f"g{uuid.uuid4().hex[:8]}.example.net"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget"}
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": [version]}
    definitions, custom = client.ApiextensionsV1Api(api), client.CustomObjectsApi(api)
    definitions.create_custom_resource_definition({"metadata": {"name": f"widgets.{group}"}, "spec": spec})

    def is_served() -> bool:
        found = definitions.read_custom_resource_definition(f"widgets.{group}")
        return any(c.type == "Established" and c.status == "True" for c in found.status.conditions or ())

    eventually(is_served)
    where = (group, "v1", ns, "widgets")
    body = {"apiVersion": f"{group}/v1", "kind": "Widget", "metadata": {"name": "w"}, "size": 1}
    custom.create_namespaced_custom_object(*where, body)
    assert custom.patch_namespaced_custom_object(*where, "w", {"size": 2})["size"] == 2
    definitions.delete_custom_resource_definition(f"widgets.{group}")


def test_a_dynamic_client_applies_and_watches(api: client.ApiClient, ns: str) -> None:
    maps = dynamic.DynamicClient(api).resources.get(api_version="v1", kind="ConfigMap")
    applied = maps.server_side_apply(body=config_map("a", k="1"), namespace=ns, field_manager="program")
    seen = next(iter(maps.watch(namespace=ns, name="a", timeout=20)))
    assert seen["object"].metadata.uid == applied.metadata.uid


def test_a_pods_port_is_reached_through_the_proxy(core: client.CoreV1Api, ns: str) -> None:
    running(core, ns, ports=[{"containerPort": 8080}])
    assert ns in core.connect_get_namespaced_pod_proxy("p:8080", ns)


def test_the_version_and_the_groups_are_told(api: client.ApiClient) -> None:
    assert client.VersionApi(api).get_code().major == "1"
    assert "apps" in [group.name for group in client.ApisApi(api).get_api_versions().groups]
