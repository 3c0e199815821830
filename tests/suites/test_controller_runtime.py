"""controller-runtime's own suites hold against the embedded API server, by envtest's existing-cluster mode."""

from collections.abc import Callable
from pathlib import Path

import pytest

from deltawire.apiserver.server import ApiServer
from tests.suites import golang
from tests.suites.judging import judge
from tests.suites.pins import CONTROLLER_RUNTIME

pytestmark = [
    pytest.mark.long,
    pytest.mark.process,
    pytest.mark.xdist_group("go-suites"),
    pytest.mark.timeout(golang.BUILD_TIMEOUT_S + golang.RUN_TIMEOUT_S),
]


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> Path:
    suite = CONTROLLER_RUNTIME["client"]
    return golang.module_copy(suite.package, suite.version, tmp_path_factory.mktemp("controller-runtime"))


@pytest.mark.parametrize("package", list(CONTROLLER_RUNTIME))
def test_a_suite_of_controller_runtime_passes_but_for_what_is_pinned(
    package: str, module: Path, tmp_path: Path, api_server_factory: Callable[..., ApiServer]
) -> None:
    program = golang.build(module, f"pkg/{package}", tmp_path)
    # As envtest has it, which they are written for: a kube-apiserver without controllers.
    kubeconfig = api_server_factory(tls=True, accounts=False).write_kubeconfig(tmp_path / "kubeconfig")
    outcomes, output = golang.run_specs(
        program, module / "pkg" / package, tmp_path / "report.json", kubeconfig
    )
    judge(CONTROLLER_RUNTIME[package], outcomes, output)
