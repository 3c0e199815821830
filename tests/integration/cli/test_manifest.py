"""``deltawire manifest`` as a user types it: kubectl makes of it what it says."""

import subprocess
from pathlib import Path

import yaml

from tests.support.pipeline import DELTAWIRE
from tests.support.servers import Kubectl

CONFIG = """
version: 1
handlers:
  - {name: defaults, run: defaults.py, writes: [resourcequotas]}
  - {name: audit, command: [audit], on: [pods], replicas: 3}
"""
CODE = """
from deltawire import Handler

handler = Handler(name="defaults")


@handler.on_add("namespaces")
def added(new):
    pass
"""


def test_kubectl_makes_every_object_of_it_with_strict_validation(kubectl: Kubectl, tmp_path: Path) -> None:
    (tmp_path / "deltawire.yaml").write_text(CONFIG)
    (tmp_path / "defaults.py").write_text(CODE)
    done = subprocess.run(
        [str(DELTAWIRE), "manifest", "-n", "ops", "--image", "registry.example/deltawire:1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "whoever reads it may connect" in done.stderr
    assert (tmp_path / "keys" / "handler.audit.secret").exists()
    (tmp_path / "all.yaml").write_text(done.stdout)
    kubectl.run("create", "namespace", "ops")
    kubectl.run("create", "--validate=strict", "-f", str(tmp_path / "all.yaml"))
    kubectl.run(
        "apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", str(tmp_path / "all.yaml")
    )
    wanted = list(yaml.safe_load_all(done.stdout))
    for obj in wanted:
        kubectl.run("get", obj["kind"], obj["metadata"]["name"], "-n", "ops")
    assert len(wanted) == 22


def test_without_secrets_none_are_printed(tmp_path: Path) -> None:
    (tmp_path / "deltawire.yaml").write_text(CONFIG.replace("run: defaults.py", "command: [x], on: [pods]"))
    done = subprocess.run(
        [str(DELTAWIRE), "manifest", "--without-secrets"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "kind: Secret" not in done.stdout
    secret = (tmp_path / "keys" / "fifo.secret").read_text().split()[1]
    assert secret not in done.stdout
    assert not done.stderr
