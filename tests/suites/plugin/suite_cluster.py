"""A pytest plug-in for other projects' suites: each worker has a cluster of its own, by $KUBECONFIG.

``$SUITE_CLUSTERS`` is a folder with a kubeconfig for each worker (``gw0``, …).
"""

import os
from pathlib import Path

import pytest

_worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
os.environ["KUBECONFIG"] = str(Path(os.environ["SUITE_CLUSTERS"]) / _worker)
# kubectl keeps what it has discovered.
os.environ["KUBECACHEDIR"] = f"{os.environ['KUBECONFIG']}-cache"


def pytest_addoption(parser: pytest.Parser) -> None:
    """The option of `pytest_kind`."""
    parser.addoption("--keep-cluster", action="store_true", dest="keep_cluster")
