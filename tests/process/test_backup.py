"""`deltawire backup`, the state folder is lost, `deltawire restore`: the outside judge is content."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.pipeline import DELTAWIRE, ServerProcess, running, wait_until

pytestmark = [
    pytest.mark.process, pytest.mark.long, pytest.mark.timeout(240), pytest.mark.xdist_group("acceptance"),
]  # fmt: skip


def keys_of(server: ServerProcess) -> list[str]:
    pods = server.call("GET", "/api/v1/pods").json()["items"]
    return [f"{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}" for pod in pods]


def test_a_pipeline_that_lost_its_state_goes_on_from_a_backup(tmp_path: Path) -> None:
    with running(tmp_path, "--objects", "pods=120", "--churn", "40/s") as (server, pipeline):
        pipeline.wait_synced()
        backup = tmp_path / "deltawire.backup"
        # While everything is at work; this one is not the one that is restored.
        assert pipeline.run("backup", str(tmp_path / "under-churn")).returncode == 0
        server.churn(0)
        pipeline.wait_quiet()
        done = pipeline.run("backup", str(backup))
        assert done.returncode == 0, done.stderr
        assert "8 shards with what handlers know of" in done.stderr
        assert backup.stat().st_mode & 0o777 == 0o600
        refused = pipeline.run("restore", str(backup))
        assert refused.returncode == 2
        assert "is in use" in refused.stderr

        pipeline.kill_everything()
        shutil.rmtree(tmp_path / "state")
        before = keys_of(server)
        for path in before[:20]:
            server.call("DELETE", f"/api/v1/namespaces/{path}", json={"gracePeriodSeconds": 0})
        for path in before[20:40]:
            server.call(
                "PATCH", f"/api/v1/namespaces/{path}", json={"metadata": {"annotations": {"touched": "yes"}}},
                headers={"Content-Type": "application/merge-patch+json"},
            )  # fmt: skip
        with backup.open("rb") as data:
            restored = subprocess.run(
                [str(DELTAWIRE), "restore", "-", "-c", str(pipeline.config)],
                stdin=data, capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip
        assert restored.returncode == 0, restored.stderr
        offsets = pipeline.offsets()
        pipeline.up()
        pipeline.wait_quiet(90)
        verdict = pipeline.judge_in_the_end()
        assert verdict["complaints"] == 0, verdict

        def changes(name: str) -> dict[str, set[str]]:
            found: dict[str, set[str]] = {"added": set(), "updated": set(), "deleted": set()}
            for call in pipeline.calls_since(offsets)[name]:
                if call["resource"] == "pods" and call["type"] in found:
                    found[call["type"]].add(call["key"].replace("/", "/pods/"))
            return found

        for name in pipeline.calls:
            wait_until("the deletions", lambda name=name: len(changes(name)["deleted"]) >= 20)
            assert changes(name) == {"added": set(), "updated": set(before[20:40]), "deleted": set(before[:20])}
        assert pipeline.down() == 0
