"""How other projects' suites are run."""

import sys
from pathlib import Path

import pytest

from tests.suites import pythons

SUITE = """
from pathlib import Path


def test_unlucky_once():
    mark = Path(__file__).with_name("tried")
    tried = mark.exists()
    mark.touch()
    assert tried


def test_broken():
    assert False


def test_well():
    pass
"""


@pytest.mark.process
def test_what_fails_once_runs_again_and_what_fails_twice_has_failed(tmp_path: Path) -> None:
    folder = tmp_path / "suite"
    folder.mkdir()
    (folder / "test_some.py").write_text(SUITE)
    clusters = tmp_path / "clusters"
    clusters.mkdir()
    outcomes, output = pythons.run_tests(Path(sys.executable), folder, clusters, ["-p", "no:xdist"])
    assert outcomes == {
        "test_some::test_unlucky_once": True,
        "test_some::test_broken": False,
        "test_some::test_well": True,
    }, output
