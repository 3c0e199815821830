"""Items of the acceptance list that no other test covers (`items` says which test belongs to which)."""

import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml
from kubernetes import client, config, utils
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock

from deltawire.apiserver.server import ApiServer
from tests.acceptance.apiserver import manifests
from tests.support.servers import Kubectl, WatchLines, eventually

MAPS = "/api/v1/namespaces/default/configmaps"
PATIENCE_S = 40.0


def test_describe_shows_the_events_of_this_very_object(kubectl: Kubectl, api_server: ApiServer) -> None:
    pod = api_server.create("pods", yaml.safe_load(manifests.WEB_POD), "default")
    event = yaml.safe_load(manifests.EVENT)
    event["involvedObject"]["uid"] = pod["metadata"]["uid"]
    api_server.create("events", event, "default")
    shown = kubectl.run("describe", "pod", "web-1").stdout
    assert "(x3 over" in shown.partition("Events:")[2]
    kubectl.run("apply", "-f", "-", stdin=manifests.DEPLOYMENT)
    assert "Events:" in kubectl.run("describe", "deployment", "web").stdout


def test_a_finalizer_holds_a_pod_until_it_is_taken_away(kubectl: Kubectl, api_server: ApiServer) -> None:
    pod = yaml.safe_load(manifests.WEB_POD)
    pod["metadata"]["finalizers"] = ["example.net/hold"]
    api_server.create("pods", pod, "default")
    late = kubectl.run("delete", "pod", "web-1", "--timeout=1s", check=False)
    assert (late.returncode, "timed out waiting" in late.stderr) == (1, True)
    assert kubectl.run("get", "pod", "web-1", "-o", "jsonpath={.metadata.deletionTimestamp}").stdout
    waits = kubectl.start("delete", "pod", "web-1")
    waits_too = kubectl.start("wait", "--for=delete", "pod/web-1", "--timeout=30s")
    try:
        eventually(lambda: api_server.requests.count("watch", "pods") >= 3, "both wait", PATIENCE_S)
        kubectl.run("patch", "pod", "web-1", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        assert [p.wait(PATIENCE_S) for p in (waits, waits_too)] == [0, 0]
    finally:
        _end(waits, waits_too)


def test_a_namespace_goes_with_events_and_takes_nothing_new(kubectl: Kubectl, api_server: ApiServer) -> None:
    api_server.create("namespaces", {"metadata": {"name": "held", "finalizers": ["example.net/hold"]}})
    api_server.create("configmaps", {"metadata": {"name": "a"}}, "held")
    with WatchLines(api_server.url, "/api/v1/namespaces/held/configmaps") as watch:
        assert watch.next()["type"] == "ADDED"
        kubectl.run("delete", "ns", "held", "--wait=false")
        gone = watch.next()
        assert (gone["type"], gone["object"]["metadata"]["name"]) == ("DELETED", "a")
    refused = kubectl.run("create", "configmap", "b", "-n", "held", check=False)
    assert (refused.returncode, "because it is being terminated" in refused.stderr) == (1, True)


def test_dependents_go_stay_or_go_first(kubectl: Kubectl, api_server: ApiServer) -> None:
    for policy, left in (("orphan", 1), ("foreground", 0), ("background", 0)):
        owner = api_server.create("deployments.apps", yaml.safe_load(manifests.DEPLOYMENT), "default")
        reference = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "name": "web",
            "uid": owner["metadata"]["uid"],
        }
        owned = {"metadata": {"name": policy, "ownerReferences": [reference]}}
        api_server.create("configmaps", owned, "default")
        kubectl.run("delete", "deploy", "web", f"--cascade={policy}")
        listed = kubectl.run("get", "cm", "--field-selector", f"metadata.name={policy}", "-o", "name").stdout
        assert len(listed.split()) == left, policy
    for name in "xy":
        api_server.create("configmaps", {"metadata": {"name": name}}, "default")
    assert "force deleted" in kubectl.run("delete", "cm", "x", "--force", "--grace-period=0").stdout
    assert 'configmap "y" deleted' in kubectl.run("delete", "cm", "--all").stdout


def test_pages_show_one_version_until_it_is_forgotten(api_server: ApiServer) -> None:
    for name in "abcde":
        api_server.create("configmaps", {"metadata": {"name": name}}, "default")

    def page(token: str = "") -> requests.Response:
        query = {"limit": "2"} | ({"continue": token} if token else {})
        return requests.get(api_server.url + MAPS, params=query, timeout=20)

    pages = [page().json()]
    while pages[-1]["metadata"].get("continue"):
        api_server.create("configmaps", {"metadata": {"name": f"late-{len(pages)}"}}, "default")
        pages.append(page(pages[-1]["metadata"]["continue"]).json())
    assert [[o["metadata"]["name"] for o in p["items"]] for p in pages] == [["a", "b"], ["c", "d"], ["e"]]
    assert [p["metadata"].get("remainingItemCount") for p in pages] == [3, 1, None]
    assert len({p["metadata"]["resourceVersion"] for p in pages}) == 1
    token = page().json()["metadata"]["continue"]
    api_server.create("configmaps", {"metadata": {"name": "later"}}, "default")
    api_server.compact("configmaps")
    expired = page(token)
    assert (expired.status_code, expired.json()["reason"]) == (410, "Expired")
    goes_on = page(expired.json()["metadata"]["continue"]).json()
    assert goes_on["items"][0]["metadata"]["name"] == "c"


def test_a_watch_from_the_future_is_silent_until_then(api_server: ApiServer) -> None:
    made = api_server.create("configmaps", {"metadata": {"name": "a"}}, "default")
    future = str(int(made["metadata"]["resourceVersion"]) + 1)
    with WatchLines(api_server.url, MAPS, resourceVersion=future) as watch:
        for name in "bc":
            api_server.create("configmaps", {"metadata": {"name": name}}, "default")
        assert watch.next()["object"]["metadata"]["name"] == "c"


def test_the_official_client_creates_from_yaml(kubeconfig: Path, tmp_path: Path) -> None:
    path = tmp_path / "crd.yaml"
    path.write_text(manifests.WIDGETS)
    with config.new_client_from_config(str(kubeconfig)) as api:
        utils.create_from_yaml(api, str(path))
        custom = client.CustomObjectsApi(api)
        where = ("example.net", "v1", "default", "widgets")
        custom.create_namespaced_custom_object(*where, yaml.safe_load(manifests.WIDGET))
        status: Any = custom.patch_namespaced_custom_object_status(*where, "w1", {"status": {"replicas": 2}})
        assert status["status"] == {"replicas": 2}


def test_the_official_clients_leader_hands_over(kubeconfig: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Two threads, one Lease: one leads until it resigns, then the other does."""
    resign, led = threading.Event(), []

    def candidate(name: str) -> threading.Thread:
        def lead() -> None:
            led.append(name)
            resign.wait(PATIENCE_S)
            raise RuntimeError("resigned")  # the library's way to stop leading

        lock = LeaseLock("lock", "default", name)
        lock.api_instance = client.CoordinationV1Api(api)
        terms = {"lease_duration": 6, "renew_deadline": 2, "retry_period": 1}
        run = leaderelection.LeaderElection(
            electionconfig.Config(lock, onstarted_leading=lead, onstopped_leading=lambda: None, **terms)
        ).run
        thread = threading.Thread(target=run, name=f"candidate-{name}")
        thread.start()
        return thread

    with config.new_client_from_config(str(kubeconfig)) as api:
        first = candidate("a")
        eventually(lambda: led == ["a"], "one leads", PATIENCE_S)
        second = candidate("b")
        lease = client.CoordinationV1Api(api).read_namespaced_lease("lock", "default")
        assert (lease.spec.holder_identity, led) == ("a", ["a"])
        resign.set()
        first.join(PATIENCE_S)
        second.join(PATIENCE_S)
        assert not first.is_alive()
        assert not second.is_alive()
        assert led == ["a", "b"]


def _end(*processes: "subprocess.Popen[str]") -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(60)
        if process.stdout is not None:
            process.stdout.close()
