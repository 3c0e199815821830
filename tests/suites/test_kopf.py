"""kopf's end-to-end suite, its examples as operators, holds against the embedded API server."""

from collections.abc import Callable
from pathlib import Path

from deltawire.apiserver.server import ApiServer
from tests.suites import pythons
from tests.suites.judging import judge
from tests.suites.pins import KOPF

pytestmark = pythons.MARKS
# Operators wait most of the time.
WORKERS = 4
REQUIREMENTS = (
    f"kopf=={KOPF.version}",
    "aresponses==3.0.0",
    "certbuilder==0.14.2",
    "certvalidator==0.11.1",
    "freezegun==1.5.5",
    "kubernetes==37.0.2",
    "looptime==0.9",
    "oscrypto==1.3.0",
    "pykube-ng==23.6.0",
    "pyngrok==9.1.0",
    "pytest==9.2.0",
    "pytest-aiohttp==1.1.1",
    "pytest-asyncio==1.5.0",
    "pytest-mock==3.17.0",
    "pytest-timeout==2.4.0",
    "pytest-xdist==3.8.0",
)
# As it is written in the module.
_ONE_DIGIT, _MORE_DIGITS = r"(\\d\\.\\d\\.\\d[a-z]*)", r"(\\d\\.\\d\\.\\d+[a-z]*)"


def test_the_examples_of_kopf_run_but_for_what_is_pinned(
    tmp_path: Path, api_server_factory: Callable[..., ApiServer]
) -> None:
    folder = pythons.source(KOPF.package, KOPF.version, tmp_path)
    python = pythons.environment(tmp_path / "venv", REQUIREMENTS)
    _mend_oscrypto(tmp_path / "venv")
    clusters = tmp_path / "clusters"
    clusters.mkdir()
    for worker in range(WORKERS):
        api_server_factory(tls=True, controllers=True).write_kubeconfig(clusters / f"gw{worker}")
    # What an operator leaves open when it ends is found in the test after it.
    arguments = ["-o", "addopts=", "-Wignore::pytest.PytestUnraisableExceptionWarning", "--timeout=120"]
    arguments += [f"-n{WORKERS}", "--dist=worksteal", "--only-e2e", "tests/e2e"]
    judge(KOPF, *pythons.run_tests(python, folder, clusters, arguments))


def _mend_oscrypto(environment: Path) -> None:
    """Let it take an OpenSSL whose last number has two digits, as its next version does, which the suite asks for."""
    for module in environment.rglob("oscrypto/_openssl/_libcrypto_c*.py"):
        module.write_text(module.read_text().replace(_ONE_DIGIT, _MORE_DIGITS))
