"""`deltawire new` writes files that work as they are."""

import subprocess
import sys
from pathlib import Path

import pytest

from deltawire.cli.commands import new
from deltawire.cli.scaffold import files
from deltawire.common.errors import ConfigError


@pytest.mark.parametrize(
    "made",
    [
        pytest.param(files.handler("my-hello"), marks=pytest.mark.long),
        pytest.param(files.controller("mirror", crd=False), marks=pytest.mark.long),
        files.controller("policy", crd=True),
    ],
    ids=["handler", "controller", "crd"],
)
def test_the_test_that_is_written_passes_and_the_code_is_clean(made: dict[str, str], tmp_path: Path) -> None:
    new._write(made, tmp_path, "it")
    for command in (["pytest", "-q", "-p", "no:cacheprovider"], ["ruff", "check", "--isolated"]):
        done = subprocess.run(
            [sys.executable, "-m", *command, "."], cwd=tmp_path, capture_output=True, text=True, timeout=120,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr


def test_names_are_made_of_the_one_that_is_given() -> None:
    made = files.controller("web-policy", crd=True)
    assert {"web_policy.py", "test_web_policy.py", "crds/webpolicies.yaml", "web_policy.yaml"} < set(made)
    assert "kind: WebPolicy" in made["web_policy.yaml"]
    with pytest.raises(ConfigError, match="no name of a handler"):
        files.handler("Not A Name")


@pytest.mark.parametrize("name", ["site", "class", "json", "pytest", "deltawire"])
def test_a_name_that_the_test_would_import_from_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="the name of another Python module"):
        files.controller(name, crd=True)


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(ConfigError, match=r"README\.md is there already"):
        new._write(files.handler("hello"), tmp_path, "hello")
    assert [path.name for path in tmp_path.iterdir()] == ["README.md"]
