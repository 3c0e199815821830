"""What helm and an API server say of the chart in deploy/helm: lint, install, upgrade, test, uninstall."""

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.suites import golang
from tests.support.charts import CHART, NAMESPACED, Helm, manifest, values
from tests.support.pipeline import DELTAWIRE
from tests.support.servers import Kubectl, ServerFactory, require_kubectl

# Building helm takes minutes, once.
pytestmark = [pytest.mark.long, pytest.mark.timeout(golang.BUILD_TIMEOUT_S), pytest.mark.xdist_group("helm")]


def test_lint_finds_no_fault_with_and_without_values(helm: Helm, tmp_path: Path) -> None:
    manifest(tmp_path, NAMESPACED)
    for options in ([], values(tmp_path, NAMESPACED)[2:]):
        done = helm.run("lint", "--strict", str(CHART), *options)
        assert done.returncode == 0, done.stdout


def test_an_api_server_takes_every_object_with_strict_validation(
    helm: Helm, kubectl: Kubectl, tmp_path: Path
) -> None:
    manifest(tmp_path, NAMESPACED)
    objects = helm.rendered(*values(tmp_path, NAMESPACED))
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(objects))
    for namespace in ("ops", "a", "b"):
        kubectl.run("create", "namespace", namespace)
    kubectl.run("create", "--validate=strict", "-f", str(tmp_path / "all.yaml"))


def missing_sources(kubectl: Kubectl) -> list[str]:
    """ConfigMaps and Secrets that pods of `ops` mount and that are not there."""
    kinds = {"configMap": "configmap", "secret": "secret"}
    there = kubectl.run("get", "configmaps,secrets", "-n", "ops", "-o", "name").stdout.split()
    missing = []
    for pod in json.loads(kubectl.run("get", "pods", "-n", "ops", "-o", "json").stdout)["items"]:
        for volume in pod["spec"]["volumes"]:
            for source in volume.get("projected", {}).get("sources", [volume]):
                named = [f"{kinds[kind]}/{what['name']}" for kind, what in source.items() if kind in kinds]
                missing += [name for name in named if name not in there]
    return missing


def test_a_release_is_installed_upgraded_and_leaves_nothing_but_its_data(
    helm: Helm, api_server_factory: ServerFactory, tmp_path: Path
) -> None:
    require_kubectl()
    server = api_server_factory(controllers=True)
    kubeconfig = server.write_kubeconfig(tmp_path / "kubeconfig")
    kubectl = Kubectl(kubeconfig, tmp_path)
    helm = Helm(helm.program, helm.home, str(kubeconfig))
    manifest(tmp_path, NAMESPACED)
    kubectl.run("create", "namespace", "a")
    kubectl.run("create", "namespace", "b")
    kubectl.run("create", "namespace", "ops")
    # As docs/kubernetes.md says.
    subprocess.run(
        [str(DELTAWIRE), "keys", "new", "-c", str(tmp_path / "deltawire.yaml"), "--keys", "secret"],
        cwd=tmp_path, stdout=subprocess.DEVNULL, timeout=60, check=True,
    )  # fmt: skip
    (tmp_path / "keys" / "allowed").write_bytes((tmp_path / "secret" / "allowed").read_bytes())
    owners = ["control", "fifo", "cli", "reflector-0", "reflector-1", "worker-0", "worker-1", "worker-2"]
    files = [f"--from-file=secret/{owner}.secret" for owner in owners]
    kubectl.run("create", "secret", "generic", "dw-keys", "-n", "ops", *files, cwd=tmp_path)
    for name in ("defaults", "audit", "one-place"):
        file = f"--from-file=secret/handler.{name}.secret"
        kubectl.run("create", "secret", "generic", f"dw-{name}-key", "-n", "ops", file, cwd=tmp_path)
    options = [*values(tmp_path, NAMESPACED), "--wait", "--timeout", "60s"]
    done = helm.run("install", "dw", str(CHART), *options)
    assert done.returncode == 0, done.stderr
    # The notes name what the release needs besides.
    assert not missing_sources(kubectl)
    for words in ("Secret dw-keys", "Secret dw-audit-key: handler.audit.secret", "3 handler(s)"):
        assert words in done.stdout
    assert "WARNING" not in done.stdout
    done = helm.run("upgrade", "dw", str(CHART), *options, "--set", "handlerResources.requests.cpu=70m")
    assert done.returncode == 0, done.stderr
    found = kubectl.run("get", "deployment", "dw-audit", "-n", "ops", "-o", "yaml").stdout
    assert "cpu: 70m" in found
    done = helm.run("uninstall", "dw", "-n", "ops", "--wait", "--timeout", "60s")
    assert done.returncode == 0, done.stderr
    kinds = "statefulset,deployment,service,networkpolicy,role,rolebinding"
    assert not kubectl.run("get", kinds, "-n", "ops", "-o", "name").stdout
    # What is cached, and who may connect, is the user's to delete.
    assert "state-dw-0" in kubectl.run("get", "pvc,secrets", "-n", "ops", "-o", "name").stdout


class _Ready(http.server.BaseHTTPRequestHandler):
    """Answers 503 once, then 200."""

    asked: list[str] = []  # noqa: RUF012  # of one server, which a test starts

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(503 if len(self.asked) == 1 else 200)
        self.end_headers()
        self.wfile.write(b"worker-0: not heard" if len(self.asked) == 1 else b"ok")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def readiness() -> Iterator[tuple[str, list[str]]]:
    """An address that is ready when it is asked again, and what was asked."""
    _Ready.asked = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Ready)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_port}", _Ready.asked
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_charts_test_waits_until_the_core_is_ready(helm: Helm, readiness: tuple[str, list[str]]) -> None:
    address, asked = readiness
    [pod] = [obj for obj in helm.rendered("-n", "ops") if obj["kind"] == "Pod"]
    [container] = pod["spec"]["containers"]
    assert container["command"] == ["python", "-c"]
    [script] = container["args"]
    assert "dw.ops.svc:9095" in script
    ran = subprocess.run(
        [sys.executable, "-c", script.replace("dw.ops.svc:9095", address)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["503 worker-0: not heard", "ok"]
    assert asked == ["/readyz/core"] * 2
