"""Go modules' tests and commands, built from what the Go proxy has. Skips where Go or the module is missing."""

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

# What Go says where something that it needs cannot be fetched, or is too new for it: no fault of ours.
_UNAVAILABLE = (
    "requires go",
    "toolchain not available",
    "dial tcp",
    "proxyconnect",
    "403 Forbidden",
    "404 Not Found",
)
# Building the tests of a module anew, with all that they need.
BUILD_TIMEOUT_S = 900.0
RUN_TIMEOUT_S = 300.0


def module_folder(package: str, version: str, folder: Path) -> Path:
    """The module's files, which the Go command keeps for reading only. ``folder``: where it is asked for."""
    if shutil.which("go") is None:
        pytest.skip("go is not on the PATH")
    got = _go(folder, "mod", "download", "-json", f"{package}@{version}")
    if got.returncode != 0:
        pytest.skip(
            f"the module {package}@{version} cannot be had: {(got.stdout + got.stderr).strip()[-200:]}"
        )
    return Path(json.loads(got.stdout)["Dir"])


def module_copy(package: str, version: str, folder: Path) -> Path:
    """A writable copy of the module, with what it needs."""
    module = folder / "module"
    shutil.copytree(module_folder(package, version, folder), module)
    for path in (module, *module.rglob("*")):
        path.chmod(path.stat().st_mode | 0o200)
    needed = _go(module, "mod", "download")
    if needed.returncode != 0:
        pytest.skip(f"what {package}@{version} needs cannot be had: {needed.stderr.strip()[-200:]}")
    return module


def check_modules(folder: Path) -> None:
    """Skip where Go is missing, or what the programs in ``folder`` need."""
    if shutil.which("go") is None:
        pytest.skip("go is not on the PATH")
    got = _go(folder, "mod", "download")
    if got.returncode != 0:
        pytest.skip(f"what {folder.name} needs cannot be had: {got.stderr.strip()[-200:]}")


def build(module: Path, package: str, folder: Path) -> Path:
    """The program, in ``folder``, that runs the tests of ``package`` (a folder of the module).

    Skips where Go is too old for it.
    """
    program = folder / f"{package.strip('.').replace('/', '-')}.test"
    built = _go(module, "test", "-c", "-o", str(program), f"./{package}")
    if built.returncode != 0 and any(words in built.stderr for words in _UNAVAILABLE):
        pytest.skip(f"{package} cannot be built here: {built.stderr.strip()[-200:]}")
    assert built.returncode == 0, built.stderr[-4000:]
    return program


def installed(package: str, version: str, folder: Path) -> Path:
    """The command ``package`` (its last part is its name), built once into ``folder``. Skips where it cannot be had."""
    program = folder / f"{package.rpartition('/')[2]}-{version}"
    if program.exists():
        return program
    if shutil.which("go") is None:
        pytest.skip("go is not on the PATH")
    with tempfile.TemporaryDirectory(dir=folder) as made:
        built = _go(folder, "install", f"{package}@{version}", GOBIN=made)
        if built.returncode != 0 and any(words in built.stderr for words in _UNAVAILABLE):
            pytest.skip(f"{package}@{version} cannot be had: {built.stderr.strip()[-200:]}")
        assert built.returncode == 0, built.stderr[-4000:]
        # Whoever runs this at the same time sees all of it or nothing.
        (Path(made) / package.rpartition("/")[2]).replace(program)
    return program


def run_specs(program: Path, folder: Path, report: Path, kubeconfig: Path) -> tuple[dict[str, bool], str]:
    """Run the Ginkgo suite against the cluster of the kubeconfig: whether each spec passed, and the output."""
    ran = subprocess.run(
        # A spec waits for a second or so of its own: on a busy machine it gets more tries.
        [str(program), "-ginkgo.no-color", "-ginkgo.flake-attempts=3", f"-ginkgo.json-report={report}"],
        cwd=folder,
        env={**os.environ, "USE_EXISTING_CLUSTER": "true", "KUBECONFIG": str(kubeconfig)},
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
    )
    output = ran.stdout + ran.stderr
    assert report.exists(), output[-4000:]
    specs: dict[str, bool] = {}
    for spec in (spec for suite in json.loads(report.read_text()) for spec in suite["SpecReports"] or ()):
        if spec["State"] not in ("pending", "skipped"):
            names = [*(spec["ContainerHierarchyTexts"] or ()), spec["LeafNodeText"] or spec["LeafNodeType"]]
            name = " ".join(names)
            # What goes before and after all has no name when it is well. Specs may share a name.
            if spec["LeafNodeType"] == "It" or spec["State"] != "passed":
                number = sum(1 for known in specs if known.split(" #")[0] == name)
                specs[f"{name} #{number + 1}" if number else name] = spec["State"] == "passed"
    return specs, output


_RESULT = re.compile(r"^--- (PASS|FAIL): (\S+)", re.MULTILINE)


def run_tests(program: Path, kubeconfig: Path) -> tuple[dict[str, bool], str]:
    """Run plain Go tests against the cluster of the kubeconfig: whether each passed, and the output."""
    ran = subprocess.run(
        [str(program), "-test.v"],
        cwd=program.parent,
        env={**os.environ, "KUBECONFIG": str(kubeconfig)},
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
    )
    output = ran.stdout + ran.stderr
    return {name: result == "PASS" for result, name in _RESULT.findall(ran.stdout)}, output


def _go(folder: Path, *arguments: str, **env: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["go", *arguments],
        cwd=folder,
        env=os.environ | env,
        capture_output=True,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
