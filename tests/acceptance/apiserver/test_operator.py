"""A kopf operator as a process of its own: handlers, finalizer, timer, daemon, events."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from deltawire.apiserver.server import ApiServer
from deltawire.common.errors import StatusError
from tests.acceptance.apiserver import manifests
from tests.support.servers import eventually

PATIENCE_S = 40.0
WIDGETS = "widgets.example.net"


def read(server: ApiServer) -> dict[str, Any]:
    return server.call(lambda core: core.get(WIDGETS, "w1", "default").decode())


def is_gone(server: ApiServer) -> bool:
    try:
        read(server)
    except StatusError as error:
        return error.is_not_found
    return False


def reasons(server: ApiServer) -> set[str]:
    return {record.decode()["reason"] for record in server.call(lambda core: core.list("events").records)}


def test_an_operator_does_its_work(api_server: ApiServer, kubeconfig: Path, tmp_path: Path) -> None:
    api_server.create("customresourcedefinitions.apiextensions.k8s.io", yaml.safe_load(manifests.WIDGETS))
    example = Path(__file__).with_name("operator_example.py")
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "kopf",
        "run",
        "--standalone",
        "-n",
        "default",
        str(example),
    ]
    told = (tmp_path / "told").open("w+")
    environment = os.environ | {"KUBECONFIG": str(kubeconfig), "HOME": str(tmp_path)}
    operator = subprocess.Popen(command, env=environment, stdout=told, stderr=subprocess.STDOUT)
    try:
        eventually(
            lambda: api_server.requests.count("watch", WIDGETS) > 0, "the operator watches", PATIENCE_S
        )
        api_server.create(WIDGETS, yaml.safe_load(manifests.WIDGET), "default")
        eventually(
            lambda: {"created", "ticks"} <= set(read(api_server).get("status", {})),
            "handler and timer have left their marks",
            PATIENCE_S,
        )
        assert read(api_server)["status"]["created"] == {"size": 3}
        assert read(api_server)["metadata"]["finalizers"] == ["example.net/operator"]
        eventually(lambda: read(api_server)["status"]["ticks"] == 2, "the timer goes on", PATIENCE_S)
        api_server.call(lambda core: core.patch(WIDGETS, _resize, "w1", "default"))
        eventually(
            lambda: read(api_server)["status"].get("resized") == "3 to 5", "the update is seen", PATIENCE_S
        )
        api_server.call(lambda core: core.delete(WIDGETS, "w1", "default"))
        eventually(lambda: is_gone(api_server), "the finalizer is given up", PATIENCE_S)
        eventually(
            lambda: {"Made", "Guarded", "Unguarded", "Unmade"} <= reasons(api_server),
            "events are posted",
            PATIENCE_S,
        )
    except BaseException:
        told.seek(0)
        sys.stdout.write(told.read())
        raise
    finally:
        operator.terminate()
        operator.wait(PATIENCE_S)
        told.close()
    assert operator.returncode == 0


def _resize(widget: dict[str, Any]) -> dict[str, Any]:
    return widget | {"spec": widget["spec"] | {"size": 5}}
