"""The chart in deploy/helm: the same objects as ``deltawire manifest``, and what helm and an API server say of them."""

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from deltawire.common.config.load import load
from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import Subscription
from tests.suites import golang
from tests.support.pipeline import DELTAWIRE
from tests.support.servers import Kubectl, ServerFactory, require_kubectl

# Building helm takes minutes, once.
pytestmark = [pytest.mark.long, pytest.mark.timeout(golang.BUILD_TIMEOUT_S), pytest.mark.xdist_group("helm")]
CHART = Path(__file__).parents[3] / "deploy" / "helm" / "deltawire"
HELM_PACKAGE, HELM_VERSION = "helm.sh/helm/v3/cmd/helm", "v3.19.2"
CODE = """
from deltawire import Handler

handler = Handler(name="defaults")


@handler.on_add("namespaces")
def added(new):
    pass
"""

# A file of code, an executable with filters, streams by namespace beside one of all, subresources.
NAMESPACED = """
version: 1
runtime: {workers: 3, reflectors: 2, drain_deadline: 1m30s}
informers:
  - {resource: po, namespaces: [b, a], indexes: {by-node: .spec.nodeName}}
handlers:
  - {name: defaults, run: defaults.py, writes: [resourcequotas, "get,patch deploy/status"], env: {A: "1"}}
  - {name: audit, command: [audit], on: [pods, {resource: Deployment, labels: a=b}], replicas: 3}
  - {name: one-place, command: [x], on: [pods], writes: [configmaps, pods/status, "delete nodes"]}
"""
# Custom resources, a named cluster, what is not the default, a range of replicas, a handler of the image.
CUSTOM = """
version: 1
clusters: {main: {}}
store: {shards: 8, dir: /somewhere/else, forget_after: 3d}
runtime: {workers: 1, drain_deadline: 45, heartbeat: 5, control: true, health: /x}
metrics: {listen: "127.0.0.1:1"}
informers:
  - {resource: secrets, secrets: hash}
  - {resource: widgets.example.com, namespaces: [w]}
  - {resource: deploy.v1.apps, metadata_only: true, max_bytes: 1Gi}
resources:
  - {group: example.com, version: v1, plural: widgets, kind: Widget, namespaced: true, short_names: [wd]}
handlers:
  - {name: scaled, command: [s], on: [wd], writes: [widgets.example.com], replicas: {min: 2, max: 5, backlog: 10}}
  - {name: shown, run: log, on: [{resource: widgets.example.com, indexes: {by-colour: .spec.colour}}, secrets]}
"""


@dataclass(frozen=True)
class Helm:
    """helm with folders of its own."""

    program: Path
    home: Path
    kubeconfig: str = "none"

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        folders = {f"HELM_{kind}_HOME": str(self.home / kind) for kind in ("CACHE", "CONFIG", "DATA")}
        return subprocess.run(
            [str(self.program), *words],
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), "KUBECONFIG": self.kubeconfig, **folders},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def rendered(self, *words: str) -> list[dict[str, Any]]:
        done = self.run("template", "dw", str(CHART), "--kube-version", "1.33", *words)
        assert done.returncode == 0, done.stderr
        return [obj for obj in yaml.safe_load_all(done.stdout) if obj]

    def refusal(self, folder: Path, values: Any) -> str:
        (folder / "wrong.yaml").write_text(yaml.safe_dump(values))
        done = self.run("template", "dw", str(CHART), "--kube-version", "1.33", "-f", str(folder / "wrong.yaml"))
        assert done.returncode != 0, done.stdout
        return done.stderr


@pytest.fixture
def helm(pytestconfig: pytest.Config, tmp_path: Path) -> Helm:
    folder = Path(pytestconfig.cache.mkdir("go")) if pytestconfig.cache else tmp_path
    return Helm(golang.installed(HELM_PACKAGE, HELM_VERSION, folder), tmp_path)


def manifest(folder: Path, config: str, *options: str) -> list[dict[str, Any]]:
    """What `deltawire manifest` writes of the config."""
    (folder / "deltawire.yaml").write_text(config)
    (folder / "defaults.py").write_text(CODE)
    words = ["manifest", "-n", "ops", "--image", "registry/deltawire:7", "--without-secrets", *options]
    done = subprocess.run(
        [str(DELTAWIRE), *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def values(folder: Path, config: str) -> list[str]:
    """The same for the chart: as options of helm, in the namespace `ops`."""
    raw = yaml.safe_load(config)
    handlers = []
    for handler in raw.pop("handlers"):
        handler["on"] = handler.pop(True, None) or [{"resource": "namespaces", "verbs": ["add"]}]
        if ".py" in str(handler.get("run")):
            handler["code"] = CODE
        handlers.append(handler)
    # YAML 1.1 reads the key `on` as true, and helm does, too: as people write it, without quotes.
    text = yaml.safe_dump({"config": raw, "handlers": handlers}).replace("'on':", "on:")
    (folder / "values.yaml").write_text(text)
    image = ["--set", "image.repository=registry/deltawire", "--set-string", "image.tag=7"]
    allowed = f"keys.allowed={folder / 'keys' / 'allowed'}"
    return ["-n", "ops", "-f", str(folder / "values.yaml"), *image, "--set-file", allowed]


def normal(folder: Path, objects: list[dict[str, Any]]) -> dict[tuple[str, str, str], Any]:
    """Without what helm adds, sets in an order, configs as they are understood; by kind, namespace and name."""
    found = {}
    for obj in objects:
        metadata = obj["metadata"]
        labels = metadata.get("labels", {})
        for label in ("helm.sh/chart", "app.kubernetes.io/managed-by"):
            labels.pop(label, None)
        if not labels:
            metadata.pop("labels", None)
        if "rules" in obj:
            obj["rules"].sort(key=json.dumps)
        for template in [obj["spec"]["template"]] if "template" in obj.get("spec", {}) else []:
            # Of a text that says the same in other words.
            template["metadata"]["annotations"]["checksum/config"] = ""
            pod = template["spec"]
            for named in (pod["volumes"], *(c["volumeMounts"] for c in pod["containers"])):
                named.sort(key=lambda entry: str(entry["name"]))
        if "deltawire.yaml" in obj.get("data", {}):
            obj["data"]["deltawire.yaml"] = understood(folder, obj["data"]["deltawire.yaml"])
        found[obj["kind"], metadata.get("namespace", ""), metadata["name"]] = obj
    assert len(found) == len(objects)
    return found


def understood(folder: Path, text: str) -> Any:
    """A config file as the roles read it."""
    (folder / "read.yaml").write_text(text)
    config = load(folder / "read.yaml")
    plan = Plan(config)
    informers = {
        name: msgspec.structs.replace(informer.options, resource=informer.resource, cluster=informer.cluster)
        for name, informer in plan.informers.items()
    }
    handlers = [
        msgspec.structs.replace(
            handler, on=[Subscription(resource=on) if isinstance(on, str) else on for on in handler.on]
        )
        for handler in config.handlers
    ]
    return msgspec.to_builtins(msgspec.structs.replace(config, informers=[], handlers=handlers)) | {
        "informers": msgspec.to_builtins(informers)
    }


@pytest.mark.parametrize(
    ("config", "options", "settings"),
    [
        (NAMESPACED, ["--monitor"], ["--set", "monitor.enabled=true,fullnameOverride=deltawire"]),
        (
            CUSTOM,
            ["--name", "dw", "--size", "300000,5000,333", "--storage-class", "fast"],
            ["--set", "size.objects=300000,size.bytes=5000,size.rate=333,volume.storageClass=fast"],
        ),
    ],
    ids=["namespaced", "custom"],
)
def test_the_chart_renders_what_the_manifest_command_writes(
    helm: Helm, tmp_path: Path, config: str, options: list[str], settings: list[str]
) -> None:
    wanted = normal(tmp_path, manifest(tmp_path, config, *options))
    rendered = helm.rendered(*values(tmp_path, config), *settings)
    hooks = [obj for obj in rendered if "helm.sh/hook" in obj["metadata"].get("annotations", {})]
    assert [obj["kind"] for obj in hooks] == ["Pod"]
    found = normal(tmp_path, [obj for obj in rendered if obj not in hooks])
    assert sorted(found) == sorted(wanted)
    for name, obj in wanted.items():
        assert found[name] == obj, name


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


def test_what_is_set_for_all_reaches_every_object_and_pod(helm: Helm, tmp_path: Path) -> None:
    (tmp_path / "more.yaml").write_text(
        yaml.safe_dump(
            {
                "labels": {"team": "ops"},
                "annotations": {"note": "all"},
                "pullSecrets": ["pull"],
                "image": {"pullPolicy": "Always"},
                "pod": {
                    "tolerations": [{"operator": "Exists"}],
                    "nodeSelector": {"disk": "ssd"},
                    "priorityClassName": "high",
                },
                "resources": {"limits": {"memory": "3Gi"}},
                "volume": {"size": "9Gi"},
                "keys": {"secret": "core", "allowedConfigMap": "list"},
                "networkPolicy": {"enabled": False},
                "rbac": {"create": False},
                "handlers": [
                    {
                        "name": "h",
                        "command": ["h"],
                        "on": ["pods"],
                        "writes": ["pods"],
                        "image": "registry/h:2",
                        "keySecret": "mine",
                        "envFrom": [{"secretRef": {"name": "token"}}],
                        "resources": {"limits": {"memory": "1Gi"}},
                        "pod": {"nodeSelector": {"disk": "hdd"}, "annotations": {"scrape": "no"}},
                    }
                ],
            }
        )
    )
    made = helm.rendered("-f", str(tmp_path / "more.yaml"))
    assert {obj["kind"] for obj in made} == {
        "ServiceAccount", "ConfigMap", "Service", "StatefulSet", "Deployment", "Pod"
    }  # fmt: skip
    for obj in made:
        assert obj["metadata"]["labels"]["team"] == "ops"
        assert obj["metadata"]["annotations"]["note"] == "all"
    [core] = [obj["spec"] for obj in made if obj["kind"] == "StatefulSet"]
    [handler] = [obj["spec"]["template"] for obj in made if obj["kind"] == "Deployment"]
    for pod in (core["template"], handler):
        assert pod["metadata"]["labels"]["team"] == "ops"
        assert pod["spec"]["tolerations"] == [{"operator": "Exists"}]
        assert pod["spec"]["priorityClassName"] == "high"
        assert pod["spec"]["imagePullSecrets"] == [{"name": "pull"}]
        assert pod["spec"]["containers"][0]["imagePullPolicy"] == "Always"
    [container] = core["template"]["spec"]["containers"]
    assert container["resources"] == {"limits": {"memory": "3Gi"}}
    assert core["template"]["spec"]["nodeSelector"] == {"disk": "ssd"}
    assert core["volumeClaimTemplates"][0]["spec"]["resources"] == {"requests": {"storage": "9Gi"}}
    [_, keys, *_] = core["template"]["spec"]["volumes"]
    assert keys["projected"]["sources"] == [{"configMap": {"name": "list"}}, {"secret": {"name": "core"}}]
    [container] = handler["spec"]["containers"]
    assert container["image"] == "registry/h:2"
    assert container["resources"] == {"limits": {"memory": "1Gi"}}
    assert container["envFrom"] == [{"secretRef": {"name": "token"}}]
    assert handler["spec"]["nodeSelector"] == {"disk": "hdd"}
    assert handler["metadata"]["annotations"].keys() == {"scrape", "checksum/config"}
    assert handler["spec"]["volumes"][1]["projected"]["sources"][1] == {"secret": {"name": "mine"}}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"config": {"handlers": []}}, ["config", "'handlers' not allowed"]),
        ({"config": {"runtime": {"worker": 2}}}, ["runtime", "'worker' not allowed"]),
        ({"config": {"clusters": {"a": {}, "b": {}}}}, ["clusters", "maxProperties"]),
        ({"handlers": [{"name": "h", "command": ["x"]}]}, ["handlers/0", "'on'"]),
        ({"handlers": [{"name": "H", "command": ["x"], "on": ["pods"]}]}, ["handlers/0/name"]),
        ({"handlers": [{"name": "h", "command": ["x"], "on": ["widgets"]}]}, ["widgets.example.com"]),
        ({"handlers": [{"name": "h", "command": ["x"], "on": ["secrets"]}]}, ["config.informers", "hash"]),
        ({"handlers": [{"name": "h", "code": "x", "on": ["pods"]}]}, ["run: h.py"]),
        ({"config": {"runtime": {"drain_deadline": "soon"}}}, ["drain_deadline", "1h30m"]),
        ({"handlers": [{"name": "h", "run": "a b.py", "code": "x", "on": ["pods"]}]}, ["\"a b.py\"", "ConfigMap"]),
        ({"handlers": [{"name": "h", "command": ["x"], "on": ["pods"], "writes": ["a b c"]}]}, ["/writes/0"]),
        ({"config": {"informers": [{"resource": "pods", "cluster": "east"}]}}, ["east", "release there"]),
        ({"fullnameOverride": "a" * 53}, ["/fullnameOverride"]),
        ({"volumes": {}}, ["'volumes' not allowed"]),
        ({"image": {"tag": 7}}, ["/image/tag", "want string"]),
    ],
)
def test_values_that_are_wrong_are_refused_and_named(
    helm: Helm, tmp_path: Path, wrong: Any, words: list[str]
) -> None:
    said = helm.refusal(tmp_path, wrong)
    for word in words:
        assert word in said


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
