"""Programs that use client-go as projects do hold against the embedded API server."""

from collections.abc import Callable
from pathlib import Path

import pytest

from deltawire.apiserver.server import ApiServer
from tests.suites import golang
from tests.suites.judging import judge
from tests.suites.pins import CLIENT_GO

pytestmark = [
    pytest.mark.long,
    pytest.mark.process,
    pytest.mark.xdist_group("go-suites"),
    pytest.mark.timeout(golang.BUILD_TIMEOUT_S + golang.RUN_TIMEOUT_S),
]
PROGRAMS = Path(__file__).with_name("client_go")


def test_programs_with_client_go_do_what_they_do_on_a_cluster(
    tmp_path: Path, api_server_factory: Callable[..., ApiServer]
) -> None:
    golang.check_modules(PROGRAMS)
    program = golang.build(PROGRAMS, ".", tmp_path)
    server = api_server_factory(tls=True, rbac=True, controllers=True)
    kubeconfig = server.write_kubeconfig(tmp_path / "kubeconfig")
    judge(CLIENT_GO, *golang.run_tests(program, kubeconfig))
    assert f"k8s.io/client-go {CLIENT_GO.version}\n" in (PROGRAMS / "go.mod").read_text()
