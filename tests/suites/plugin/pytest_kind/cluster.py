"""The cluster of $KUBECONFIG, as `pytest_kind` presents its own."""

import os
import subprocess
from pathlib import Path
from typing import Any


class KindCluster:
    """Runs already, and goes on."""

    def __init__(self, name: str, **_: Any) -> None:
        self.name = name
        self.kubectl_path = "kubectl"
        self.kubeconfig_path = Path(os.environ["KUBECONFIG"])

    def create(self) -> None:
        pass

    def delete(self) -> None:
        pass

    def kubectl(self, *arguments: str) -> str:
        """Raises CalledProcessError."""
        return subprocess.check_output(
            [self.kubectl_path, *arguments],
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig_path)},
            text=True,
        ).strip()
