"""Every object for Kubernetes keeps to the schemas that Kubernetes and the Prometheus operator publish, strictly.

The validator is ``kubernetes-validate``, an installation of its own; the operator's kinds are checked against its CRDs.
"""

import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.suites import golang, pythons
from tests.support.charts import NAMESPACED, Helm, manifest, values
from tests.support.servers import Kubectl

pytestmark = [pytest.mark.long, pytest.mark.timeout(golang.BUILD_TIMEOUT_S), pytest.mark.xdist_group("helm")]

VALIDATOR = "kubernetes-validate==1.37.0"
# The oldest that the chart takes, and the newest that the validator knows.
VERSIONS = ("1.29", "1.37")
OPERATOR, OPERATOR_VERSION = "github.com/prometheus-operator/prometheus-operator", "v0.92.1"
OF_OPERATOR = "monitoring.coreos.com/"
KUSTOMIZE = Path(__file__).parents[3] / "deploy" / "kustomize"


@pytest.fixture(scope="module")
def validator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pythons.environment(tmp_path_factory.mktemp("validator") / "venv", [VALIDATOR])


@pytest.fixture(scope="module")
def operators_schemas(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """By kind, the operator's schemas, in which no field is allowed that is not named."""
    module = golang.module_folder(OPERATOR, OPERATOR_VERSION, tmp_path_factory.mktemp("operator"))
    found = {}
    for plural in ("podmonitors", "prometheusrules"):
        file = module / "example" / "prometheus-operator-crd" / f"monitoring.coreos.com_{plural}.yaml"
        spec = yaml.safe_load(file.read_text())["spec"]
        for version in spec["versions"]:
            schema = strict(version["schema"]["openAPIV3Schema"])
            # Kubernetes itself says what may stand in metadata.
            schema["properties"]["metadata"] = {"type": "object"}
            found[f"{OF_OPERATOR}{version['name']} {spec['names']['kind']}"] = schema
    return found


def strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: strict(part) for name, part in schema.items()}
    if isinstance(made.get("properties"), dict) and "type" in made:
        made.setdefault("additionalProperties", False)
    if isinstance(made.get("pattern"), str):
        # Go allows flags behind the beginning.
        made["pattern"] = made["pattern"].replace("^(?i)", "(?i)^")
    return made


@pytest.fixture(params=["manifest", "kustomize base", "kustomize overlay", "Helm"])
def objects(request: pytest.FixtureRequest, tmp_path: Path, helm: Helm, kubectl: Kubectl) -> list[dict[str, Any]]:
    """What is written for a config with files, executables, subresources and monitoring, in one of our ways."""
    written = manifest(tmp_path, NAMESPACED, "--monitor")
    if request.param == "manifest":
        return written
    if request.param == "Helm":
        return helm.rendered(*values(tmp_path, NAMESPACED), "--set", "monitor.enabled=true")
    folder = tmp_path / "kustomize"
    for file in KUSTOMIZE.rglob("*.yaml"):
        copied = folder / file.relative_to(KUSTOMIZE)
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_text(file.read_text())
    (folder / "base" / "all.yaml").write_text(yaml.safe_dump_all(written))
    which = "base" if request.param == "kustomize base" else "overlays/example"
    return [obj for obj in yaml.safe_load_all(kubectl.run("kustomize", str(folder / which)).stdout) if obj]


def complaints(python: Path, folder: Path, version: str, objects: list[dict[str, Any]]) -> str:
    """What the validator says against the objects; "" if nothing."""
    files = []
    for number, obj in enumerate(objects):
        file = folder / f"object-{number}.yaml"
        file.write_text(yaml.safe_dump(obj))
        files.append(str(file))
    words = [str(python), "-m", "kubernetes_validate", "--strict", "--quiet", "-k", version, *files]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    said = done.stdout + done.stderr
    assert (done.returncode == 0) == (not said.strip()), said
    return said.strip()


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_one_by_kubernetes_own_schemas(
    validator: Path, objects: list[dict[str, Any]], tmp_path: Path, version: str
) -> None:
    own = [obj for obj in objects if not obj["apiVersion"].startswith(OF_OPERATOR)]
    assert {"StatefulSet", "Deployment", "NetworkPolicy", "ConfigMap", "Role"} <= {obj["kind"] for obj in own}
    assert complaints(validator, tmp_path, version, own) == ""


def test_what_is_for_the_prometheus_operator_is_by_its_schemas(
    operators_schemas: dict[str, Any], objects: list[dict[str, Any]]
) -> None:
    theirs = [obj for obj in objects if obj["apiVersion"].startswith(OF_OPERATOR)]
    assert {obj["kind"] for obj in theirs} == {"PodMonitor", "PrometheusRule"}
    for obj in theirs:
        jsonschema.validate(obj, operators_schemas[f"{obj['apiVersion']} {obj['kind']}"])


def test_the_validators_notice_a_field_that_does_not_exist(
    validator: Path, operators_schemas: dict[str, Any], tmp_path: Path
) -> None:
    written = manifest(tmp_path, NAMESPACED, "--monitor")
    [core] = [obj for obj in written if obj["kind"] == "StatefulSet"]
    core["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    for version in VERSIONS:
        assert "livenesProbe" in complaints(validator, tmp_path, version, [core])
    [monitor] = [obj for obj in written if obj["kind"] == "PodMonitor"]
    monitor["spec"]["podMetricsEndpoints"][0]["prot"] = "metrics"
    with pytest.raises(jsonschema.ValidationError, match="prot"):
        jsonschema.validate(monitor, operators_schemas[f"{monitor['apiVersion']} PodMonitor"])
