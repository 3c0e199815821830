"""A pipeline without handlers of its own, and beside it a handler in another language."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from deltawire.cli.config_source import EFFECTIVE, plan_of
from tests.support.pipeline import Pipeline, ServerProcess, wait_until

PODS = "/api/v1/namespaces/default/pods"
_SPEC = {"containers": [{"name": "c", "image": "i"}]}


class PluginPipeline:
    """``command`` is started with the path of the config that runs; it writes what it hears to ``audit``."""

    def __init__(self, folder: Path, handler: str, command: Sequence[str]) -> None:
        self._command = list(command)
        self.server = ServerProcess(folder)
        handlers = [{"name": handler, "on": ["pods"], "replicas": 0}]
        self.pipeline = Pipeline(
            folder, self.server.kubeconfig, informers=[{"resource": "pods"}], handlers=handlers
        )
        self.pipeline.up()
        self.audit = folder / "audit.txt"
        self.audit.touch()
        self._config = plan_of(self.pipeline.config).runtime_dir / EFFECTIVE
        wait_until("the effective config", self._config.exists)
        self.process = self._start()

    def _start(self, *options: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [*self._command, *options, str(self._config)],
            env={**os.environ, "AUDIT_FILE": str(self.audit)},
        )

    def start_again(self, *options: str) -> None:
        self.process = self._start(*options)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def make(self, name: str, **labels: str) -> None:
        meta = {"name": name, "namespace": "default", "labels": labels}
        self.server.call(
            "POST", PODS, json={"apiVersion": "v1", "kind": "Pod", "spec": _SPEC, "metadata": meta}
        )

    def close(self) -> None:
        self.kill()
        self.pipeline.down()
        self.server.stop()
