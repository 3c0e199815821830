"""The official Python client: its own tests of the dynamic client, and our programs with it and with lightkube.

Its end-to-end suite, and lightkube's, are not in what the package index has. Both clients are those of the development
environment.
"""

import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from deltawire.apiserver.server import ApiServer
from tests.suites import pythons
from tests.suites.judging import judge
from tests.suites.pins import LIGHTKUBE_PROGRAMS, OFFICIAL_DYNAMIC, OFFICIAL_PROGRAMS, Suite

pytestmark = pythons.MARKS
PYTHON = Path(sys.executable)
PROGRAMS = Path(__file__).with_name("programs")
# Where the suite finds its cluster; the sdist leaves this module out.
BASE = """
from kubernetes.client import Configuration
from kubernetes.config import load_kube_config


def get_e2e_configuration():
    made = Configuration()
    load_kube_config(client_configuration=made)
    return made
"""


@pytest.fixture
def clusters(tmp_path: Path, api_server_factory: Callable[..., ApiServer]) -> Path:
    folder = tmp_path / "clusters"
    folder.mkdir()
    api_server_factory(tls=True, controllers=True, pod_delay_s=0.1).write_kubeconfig(folder / "gw0")
    return folder


def test_the_tests_of_the_dynamic_client_pass_but_for_what_is_pinned(tmp_path: Path, clusters: Path) -> None:
    assert version(OFFICIAL_DYNAMIC.package) == OFFICIAL_DYNAMIC.version
    folder = pythons.source(OFFICIAL_DYNAMIC.package, OFFICIAL_DYNAMIC.version, tmp_path)
    missing = folder / "kubernetes" / "e2e_test"
    missing.mkdir()
    (missing / "__init__.py").touch()
    (missing / "base.py").write_text(BASE)
    tests = [f"kubernetes/dynamic/test_{name}.py" for name in ("client", "discovery")]
    judge(OFFICIAL_DYNAMIC, *pythons.run_tests(PYTHON, folder, clusters, ["--timeout=60", *tests]))


@pytest.mark.parametrize("suite", [OFFICIAL_PROGRAMS, LIGHTKUBE_PROGRAMS], ids=["official", "lightkube"])
def test_programs_do_what_they_do_on_a_cluster(suite: Suite, clusters: Path) -> None:
    assert version(suite.package) == suite.version
    name = "official" if suite is OFFICIAL_PROGRAMS else "lightkube"
    arguments = ["--timeout=60", f"{name}_programs.py"]
    judge(suite, *pythons.run_tests(PYTHON, PROGRAMS, clusters, arguments))
