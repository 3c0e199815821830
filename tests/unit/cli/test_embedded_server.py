"""What the flags of `run` and `up` mean for the embedded API server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deltawire.cli.embedded_server import EmbeddedServer, of_flags, split
from deltawire.common.errors import ConfigError
from deltawire.common.meta import resources

CRD = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: websites.example.com}
spec:
  group: example.com
  names: {plural: websites, kind: Website, shortNames: [ws]}
  scope: Namespaced
  versions:
    - {name: v1beta1, served: true, storage: false, schema: {openAPIV3Schema: {type: object}}}
    - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
"""


@pytest.fixture(autouse=True)
def _nothing_learnt() -> Iterator[None]:
    yield
    resources.learn([])


def test_who_brings_objects_or_controllers_gets_none_that_are_made_up() -> None:
    assert of_flags(True, None, None) == EmbeddedServer(("pods=200",), "50/s")
    assert of_flags(True, None, None, controllers=True) == EmbeddedServer((), "0", True)
    assert of_flags(True, ["pods=3"], "1/s", controllers=True) == EmbeddedServer(("pods=3",), "1/s", True)
    assert of_flags(False, None, None) is None


def test_definitions_that_are_loaded_are_known_before_the_server_is_there(tmp_path: Path) -> None:
    (tmp_path / "crd.yaml").write_text(CRD)
    server = of_flags(True, None, None, load=[tmp_path])
    assert server is not None
    assert [t.api_version for t in server.types] == ["example.com/v1", "example.com/v1beta1"]
    found = resources.find("ws")
    assert found is not None
    assert found.name == "websites.example.com"
    assert server.flags() == ["--churn", "0", "--load", str(tmp_path)]


def test_folders_and_manifests_among_the_plug_ins_are_loaded(tmp_path: Path) -> None:
    files = [Path("a.py"), tmp_path, Path("b.yaml")]
    assert split(files) == ([Path("a.py")], [tmp_path, Path("b.yaml")])


def test_flags_of_the_embedded_server_without_it_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--load is for the embedded API server.*--embedded"):
        of_flags(False, None, None, load=[tmp_path])
    with pytest.raises(ConfigError, match="--controllers"):
        of_flags(False, None, None, controllers=True)


def test_a_definition_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "crd.yaml").write_text(CRD.replace("group: example.com", "grup: example.com"))
    with pytest.raises(ConfigError, match=r"websites\.example\.com"):
        of_flags(True, None, None, load=[tmp_path])
