"""The base and the overlay in deploy/kustomize, with what ``deltawire manifest`` writes."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.pipeline import DELTAWIRE
from tests.support.servers import Kubectl

KUSTOMIZE = Path(__file__).parents[3] / "deploy" / "kustomize"
CONFIG = """
version: 1
informers: [{resource: pods, namespaces: [default]}]
handlers: [{name: audit, command: [audit], on: [pods], writes: [pods/status]}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of deploy/kustomize whose base has the objects of a config."""
    copied = Path(shutil.copytree(KUSTOMIZE, tmp_path / "kustomize"))
    (tmp_path / "deltawire.yaml").write_text(CONFIG)
    with (copied / "base" / "all.yaml").open("w") as file:
        words = [str(DELTAWIRE), "manifest", "-n", "ops"]
        subprocess.run(words, cwd=tmp_path, stdout=file, stderr=subprocess.DEVNULL, timeout=60, check=True)
    return copied


def by_name(text: str) -> dict[tuple[str, str, str], Any]:
    return {
        (obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"]): obj
        for obj in yaml.safe_load_all(text)
    }


def test_the_base_is_what_the_command_writes(kubectl: Kubectl, folder: Path) -> None:
    wanted = by_name((folder / "base" / "all.yaml").read_text())
    assert by_name(kubectl.run("kustomize", str(folder / "base")).stdout) == wanted
    assert len(wanted) > 15


def test_the_overlay_changes_image_resources_and_labels_and_nothing_else(
    kubectl: Kubectl, folder: Path
) -> None:
    wanted = by_name((folder / "base" / "all.yaml").read_text())
    text = kubectl.run("kustomize", str(folder / "overlays" / "example")).stdout
    found = by_name(text)
    assert set(found) - set(wanted) == {("Namespace", "", "ops")}
    assert set(wanted) <= set(found)
    for name, obj in wanted.items():
        changed = found[name]
        assert changed["metadata"]["labels"].pop("team") == "operations"
        obj["metadata"].setdefault("labels", {})
        if name[0] in ("StatefulSet", "Deployment"):
            pod, before = changed["spec"]["template"], obj["spec"]["template"]
            assert pod["metadata"]["labels"].pop("team") == "operations"
            [container], [own] = pod["spec"]["containers"], before["spec"]["containers"]
            assert container.pop("image") == "registry.example/deltawire:1"
            assert own.pop("image") == "deltawire:latest"
            is_core = name[0] == "StatefulSet"
            limit = container.pop("resources")["limits"]["memory"]
            assert limit == ("2Gi" if is_core else "512Mi") != own.pop("resources")["limits"]["memory"]
            assert pod["spec"].pop("nodeSelector", {}) == ({"disk": "ssd"} if is_core else {})
            for template in changed["spec"].get("volumeClaimTemplates", ()):
                template["metadata"].pop("labels", None)
        assert changed == obj, name
    (folder / "all.yaml").write_text(text)
    kubectl.run("create", "--validate=strict", "-f", str(folder / "all.yaml"))
