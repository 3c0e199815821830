"""Python projects' own tests, from their sdists, in environments of their own. Skips where one cannot be had."""

import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import pytest

INSTALL_TIMEOUT_S = 300.0
RUN_TIMEOUT_S = 300.0
# Of each module of such suites.
MARKS = [
    pytest.mark.long,
    pytest.mark.process,
    pytest.mark.xdist_group("python-suites"),
    pytest.mark.timeout(INSTALL_TIMEOUT_S + 2 * RUN_TIMEOUT_S),
]
_PLUGIN = Path(__file__).with_name("plugin")
_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
_UV = Path(sys.executable).with_name("uv")


def source(package: str, version: str, folder: Path) -> Path:
    """The unpacked sdist of ``package``."""
    wanted = f"{package}=={version}"
    _run_or_skip(
        [*_PIP, "download", "--no-deps", "--no-binary", package, "--dest", str(folder), wanted],
        f"the source of {wanted} cannot be had",
    )
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        # Python 3.11.2, Debian 12's, has no filters yet.
        safely = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(folder, **safely)  # noqa: S202  # a pinned version of the index
    return folder / f"{package}-{version}"


def environment(folder: Path, requirements: Sequence[str]) -> Path:
    """The Python of a new environment with ``requirements``."""
    _run_or_skip([str(_UV), "venv", "--quiet", "--python", sys.executable, str(folder)], "no environment")
    python = folder / "bin" / "python"
    command = [str(_UV), "pip", "install", "--quiet", "--python", str(python), *requirements]
    _run_or_skip(command, "what the suite needs cannot be installed")
    return python


def run_tests(
    python: Path,
    folder: Path,
    clusters: Path,
    arguments: Sequence[str],
    variables: Mapping[str, str] | None = None,
) -> tuple[dict[str, bool], str]:
    """Run pytest in ``folder``: whether each test passed, by ``module::name[parameters]``, and the output.

    ``clusters`` has a kubeconfig for each worker. Tests that are skipped, or expected to fail, are left out. What fails
    runs a second time, and that counts: these suites wait for seconds of their own, and some CPythons fail in
    `ast.parse` where the collector runs in it (3.11.7: "AST constructor recursion depth mismatch").
    """
    cache = ("-o", f"cache_dir={clusters.with_name('pytest-cache')}")
    outcomes, output = _run_once(python, folder, clusters, [*cache, *arguments], variables)
    if not all(outcomes.values()):
        again, said = _run_once(python, folder, clusters, [*cache, "--last-failed", *arguments], variables)
        outcomes |= again
        output += said
    return outcomes, output


def _run_once(
    python: Path,
    folder: Path,
    clusters: Path,
    arguments: Sequence[str],
    variables: Mapping[str, str] | None,
) -> tuple[dict[str, bool], str]:
    report = clusters.with_name("report.xml")
    report.unlink(missing_ok=True)
    ran = subprocess.run(
        [str(python), "-m", "pytest", "-q", "-p", "suite_cluster", f"--junit-xml={report}", *arguments],
        cwd=folder,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")},
            "PYTHONPATH": str(_PLUGIN),
            "SUITE_CLUSTERS": str(clusters),
            **(variables or {}),
        },
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
    )
    output = ran.stdout + ran.stderr
    assert report.exists(), output[-4000:]
    outcomes: dict[str, bool] = {}
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - it is pytest's
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        if case.find("skipped") is None:
            outcomes[name] = case.find("failure") is None and case.find("error") is None
    return outcomes, output


def _run_or_skip(command: Sequence[str], what: str) -> None:
    ran = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_TIMEOUT_S, check=False)
    if ran.returncode != 0:
        pytest.skip(f"{what}: {(ran.stdout + ran.stderr).strip()[-200:]}")
