"""The chart in deploy/helm: helm, built once, and what it renders beside what ``deltawire manifest`` writes."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import yaml

from deltawire.common.config.load import load
from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import Subscription
from tests.support.pipeline import DELTAWIRE

CHART = Path(__file__).parents[2] / "deploy" / "helm" / "deltawire"
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


def in_order(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rules of a role, whose order says nothing."""
    return sorted(rules, key=lambda rule: json.dumps(rule, sort_keys=True))


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
            obj["rules"] = in_order(obj["rules"])
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
