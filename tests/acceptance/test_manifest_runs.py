"""The configs that `deltawire manifest` writes, run as the pods would, but for folders, ports and hosts."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.support.keyed import free_port
from tests.support.pipeline import DELTAWIRE, ServerProcess, wait_until

pytestmark = [
    pytest.mark.long,
    pytest.mark.process,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("network"),
]
CODE = """
from pathlib import Path

from deltawire import Handler

handler = Handler(name="seen")


@handler.on_add("pods")
def added(new, ctx):
    count = len(ctx.lister("pods").list())
    with open(OUT, "a") as file:
        file.write(f"{new['metadata']['name']} {count}\\n")
"""
POD = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "c", "image": "i"}]}}


def files_of(folder: Path, objects: list[dict], component: str, places: dict[str, str]) -> Path:
    """What a pod would see of its ConfigMaps and Secrets, in a folder of its own; the config's path."""
    here = folder / component
    for sub in ("config", "keys", "code", "var", "run"):
        (here / sub).mkdir(parents=True)
    moved = {
        "/etc/deltawire-keys": str(here / "keys"),
        "/usr/share/deltawire/code": str(here / "code"),
        "/var/lib/deltawire": str(here / "var"),
        "/run/deltawire": str(here / "run"),
        "/tmp/deltawire-health": str(here / "health"),
        **places,
    }
    for obj in objects:
        if obj["metadata"].get("labels", {}).get("app.kubernetes.io/component") not in (component, "core"):
            continue
        is_shared = obj["metadata"]["name"] == "dw-allowed"
        if obj["metadata"]["labels"]["app.kubernetes.io/component"] != component and not is_shared:
            continue
        for name, text in {**obj.get("data", {}), **obj.get("stringData", {})}.items():
            is_key = is_shared or name.endswith(".secret")
            for before, after in {} if is_key else moved.items():
                text = text.replace(before, after)
            kind = "keys" if is_key else "config" if name == "deltawire.yaml" else "code"
            (here / kind / name).write_text(text)
            (here / kind / name).chmod(0o440)
    return here / "config" / "deltawire.yaml"


@contextmanager
def process(*words: str, **env: str) -> Iterator[subprocess.Popen]:
    started = subprocess.Popen([str(DELTAWIRE), *words], env=os.environ | env)
    try:
        yield started
    finally:
        started.terminate()
        code = started.wait(60)
    assert code == 0


def test_core_and_handler_find_each_other_and_the_handler_reads_the_caches(tmp_path: Path) -> None:
    out = tmp_path / "seen"
    (tmp_path / "seen.py").write_text(CODE.replace("OUT", repr(str(out))))
    config = {"version": 1, "runtime": {"heartbeat": 1}, "handlers": [{"name": "seen", "run": "seen.py"}]}
    (tmp_path / "deltawire.yaml").write_text(yaml.safe_dump(config))
    made = subprocess.run(
        [str(DELTAWIRE), "manifest", "--name", "dw"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    objects = list(yaml.safe_load_all(made.stdout))
    server = ServerProcess(tmp_path, "--objects", "pods=20")
    try:
        places = {"dw.deltawire.svc:": "127.0.0.1:", "0.0.0.0": "127.0.0.1"}  # noqa: S104
        places |= {f":{port}": f":{free_port()}" for port in (7400, 7410, 7411, 9095)}
        core = files_of(tmp_path, objects, "core", places)
        handler = files_of(tmp_path, objects, "handler-seen", places)
        env = {"KUBECONFIG": str(server.kubeconfig)}
        with process("up", "-c", str(core), **env), process("handler", "seen", "-c", str(handler), **env):
            wait_until(
                "the first pods", lambda: out.exists() and len(out.read_text().splitlines()) >= 20, seconds=60
            )
            pod = POD | {"metadata": {"name": "later", "namespace": "default"}}
            server.call("POST", "/api/v1/namespaces/default/pods", json=pod)
            wait_until("a later pod", lambda: "later 21" in out.read_text(), seconds=30)
            wait_until("a fresh health file", (tmp_path / "handler-seen" / "health").exists)
            shown = subprocess.run(
                [str(DELTAWIRE), "status", "-c", str(core)],
                env=os.environ | env, capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert "seen" in shown.stdout
            assert shown.returncode == 0, shown.stdout + shown.stderr
    finally:
        server.stop()
