"""helm, built once into pytest's cache."""

from pathlib import Path

import pytest

from tests.suites import golang
from tests.support.charts import Helm

HELM_PACKAGE, HELM_VERSION = "helm.sh/helm/v3/cmd/helm", "v3.19.2"


@pytest.fixture
def helm(pytestconfig: pytest.Config, tmp_path: Path) -> Helm:
    folder = Path(pytestconfig.cache.mkdir("go")) if pytestconfig.cache else tmp_path
    return Helm(golang.installed(HELM_PACKAGE, HELM_VERSION, folder), tmp_path)
