"""Our own list of kubectl command lines: each with its exit code and what it prints."""

from pathlib import Path

import pytest

from deltawire.apiserver.server import ApiServer
from tests.acceptance.apiserver import kubectl_cluster, kubectl_controllers, kubectl_reading, kubectl_writing
from tests.acceptance.apiserver.rows import Scenario, failures_of
from tests.support.servers import Kubectl, ServerFactory, require_kubectl

SCENARIOS = (
    *kubectl_reading.SCENARIOS,
    *kubectl_writing.SCENARIOS,
    *kubectl_cluster.SCENARIOS,
    *kubectl_controllers.SCENARIOS,
)
ROWS_MIN = 60


def test_the_list_is_long_and_names_each_command_once() -> None:
    rows = [
        (scenario.name, row.command, row.out, row.stdin) for scenario in SCENARIOS for row in scenario.rows
    ]
    assert len(rows) >= ROWS_MIN
    assert all(out for _, _, out, _ in rows), "a row without a pattern checks little"


# The dearest, whose commands tests/integration/apiserver/test_kubectl_*.py try one by one as well.
DEAR = {"get in every form", "create with every generator", "apply from folders, kustomize, prune, diff and replace"}


@pytest.mark.parametrize(
    "scenario",
    [pytest.param(s, marks=pytest.mark.long if str(s) in DEAR else (), id=str(s)) for s in SCENARIOS],
)
def test_kubectl_gets_what_a_real_server_gives(
    scenario: Scenario, api_server_factory: ServerFactory, tmp_path: Path
) -> None:
    require_kubectl()
    server: ApiServer = api_server_factory(**scenario.options)
    kubectl = Kubectl(server.write_kubeconfig(tmp_path / "kubeconfig"), tmp_path)
    failed = failures_of(scenario, kubectl, server, tmp_path)
    assert not failed, f"{len(failed)} of {len(scenario.rows)} rows:\n" + "\n".join(failed)
