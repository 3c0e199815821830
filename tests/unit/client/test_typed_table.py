import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from deltawire.client.typed import generate
from deltawire.client.typed.groups import Groups, GroupVersion
from deltawire.client.typed.models import model, models
from deltawire.client.typed.table import accessor, method_name, row_of, rows
from deltawire.common.errors import ConfigError
from tests.support import typed_programs


def test_table_and_stub_are_what_the_installed_models_say() -> None:
    found = generate.found_resources()
    table = (generate.FOLDER / "table.py").read_text()
    assert generate.rewritten_table(table, found) == table, "python -m deltawire.client.typed.generate"
    assert generate.stub(found) == (generate.FOLDER / "groups.pyi").read_text()
    assert generate.stub(found, is_async=True) == (generate.FOLDER.parent / "aio" / "groups.pyi").read_text()


def test_every_row_has_its_classes() -> None:
    for members in rows().values():
        for row in members:
            assert issubclass(row.object_type, msgspec.Struct)
            assert row_of(row.object_type).resource.kind == row.resource.kind
            if row.client != "CreateClient":
                assert issubclass(row.list_type, msgspec.Struct)


def test_the_groups_that_the_seed_names_are_there() -> None:
    assert {"core_v1", "apps_v1", "batch_v1", "networking_v1", "rbac_v1", "storage_v1"} <= set(rows())
    assert len(rows()) > 30


@pytest.mark.parametrize(
    ("kind", "plural", "method"),
    [
        ("Pod", "pods", "pods"),
        ("DaemonSet", "daemonsets", "daemon_sets"),
        ("NetworkPolicy", "networkpolicies", "network_policies"),
        ("CSIDriver", "csidrivers", "csi_drivers"),
        ("APIService", "apiservices", "api_services"),
        ("IPAddress", "ipaddresses", "ip_addresses"),
        ("ServiceCIDR", "servicecidrs", "service_cidrs"),
        ("Endpoints", "endpoints", "endpoints"),
    ],
)
def test_methods_are_client_gos_in_snake_case(kind: str, plural: str, method: str) -> None:
    assert method_name(kind, plural) == method


def test_groups_are_client_gos_in_snake_case() -> None:
    assert accessor("", "v1") == "core_v1"
    assert accessor("flowcontrol.apiserver.k8s.io", "v1") == "flowcontrol_v1"
    assert accessor("rbac.authorization.k8s.io", "v1") == "rbac_v1"


def test_a_name_that_is_nearly_right_is_answered_with_the_right_one() -> None:
    class NoServer:
        """Nothing is sent by asking for names."""

    groups = Groups(NoServer())  # type: ignore[arg-type]  # as said
    with pytest.raises(AttributeError, match="did you mean 'apps_v1'"):
        groups.appsv1  # type: ignore[attr-defined]  # the mistake under test  # noqa: B018
    with pytest.raises(AttributeError, match="did you mean 'config_maps'"):
        groups.core_v1().configmaps  # type: ignore[attr-defined]  # the mistake under test  # noqa: B018
    assert "deployments" in dir(groups.apps_v1())
    assert "apps_v1" in dir(groups)
    assert isinstance(groups.apps_v1(), GroupVersion)
    with pytest.raises(ConfigError, match="no group and version 'nonsense/v1'"):
        GroupVersion(groups.rest, "nonsense/v1")
    with pytest.raises(ConfigError, match="no resource 'pods'"):
        groups.apps_v1().resource("pods")


def test_a_class_or_module_that_is_not_there_is_a_clear_error() -> None:
    with pytest.raises(ConfigError, match=r"no core_v1\.Nonsense"):
        model("core_v1", "Nonsense")
    with pytest.raises(ConfigError, match="lightkube-models"):
        models("core_v77")


ALONE = """
import sys
from deltawire.client.typed.models import model
assert "lightkube.models.apps_v1" not in sys.modules
loaded = model("core_v1", "Pod")
foreign = [name for name in sys.modules if name.split(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2", "h2")]
assert not foreign, foreign
assert "lightkube.models.apps_v1" not in sys.modules, "groups that nobody asked for"
from lightkube.models.core_v1 import Pod
assert Pod is loaded
from lightkube import Client  # lightkube itself still works beside us
assert Client.__module__ == "lightkube.core.client"
import lightkube
assert not hasattr(lightkube, "nonsense")
"""

THEIRS_FIRST = """
import lightkube
from deltawire.client.typed.models import model
from lightkube.models.core_v1 import Pod
assert model("core_v1", "Pod") is Pod
"""


@pytest.mark.parametrize("program", [ALONE, THEIRS_FIRST])
def test_the_models_load_without_lightkubes_http_library_and_stay_the_real_ones(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr


RIGHT = """
from typing import assert_type
from lightkube.models.apps_v1 import Deployment, DeploymentList
from lightkube.models.core_v1 import Pod
from deltawire.client.aio.clientset import AsyncClientset
from deltawire.client.typed.clientset import Clientset

def use(clientset: Clientset) -> None:
    deployments = clientset.apps_v1().deployments("default")
    assert_type(deployments.get("web"), Deployment)
    assert_type(deployments.list(limit=5), DeploymentList)
    for event in clientset.core_v1().pods().watch(label_selector="a=b"):
        assert_type(event.object, Pod)
    assert_type(clientset.of(Deployment).get("web"), Deployment)
    deployments.get_scale("web")

async def use_async(clientset: AsyncClientset) -> None:
    deployments = clientset.apps_v1().deployments("default")
    assert_type(await deployments.get("web"), Deployment)
    async with clientset.core_v1().pods().watch(label_selector="a=b") as watch:
        async for event in watch:
            assert_type(event.object, Pod)
    assert_type(await clientset.of(Deployment).get("web"), Deployment)
"""
WRONG = """
from deltawire.client.typed.clientset import Clientset

def use(clientset: Clientset) -> None:
    clientset.apps_v1().pods("default")
    clientset.apps_v1().deployments("default").list(labels="a=b")
    clientset.core_v1().nodes("default")
    clientset.core_v1().secrets("default").create(3)
    clientset.core_v1().secrets("default").get_scale("a")
"""


@pytest.mark.timeout(typed_programs.TIMEOUT_S)
@pytest.mark.xdist_group(typed_programs.GROUP)
def test_an_editor_knows_every_method_and_mypy_finds_each_mistake(tmp_path: Path) -> None:
    found = typed_programs.lines_with_errors(tmp_path, right_calls=RIGHT, wrong_calls=WRONG)
    assert found == {"right_calls": [], "wrong_calls": [5, 6, 7, 8, 9]}
