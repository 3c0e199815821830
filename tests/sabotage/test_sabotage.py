"""Each promise's test is shown to fail when the promise is broken on purpose."""

import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.patience import STRETCH_MAX

ROOT = Path(__file__).parents[2]
PATCHES = sorted(Path(__file__).parent.glob("*.patch"))
ROOMS = (
    "apiserver",
    "cli",
    "client",
    "common",
    "examples",
    "fifo",
    "handlers",
    "informer",
    "jetstream",
    "reflector",
    "src",
    "tests",
)
TESTS_FAILED = 1
# For one test on a quiet machine; the watchdog of this session has as much patience as the machine needs.
RUN_S = 100
# One a promise, for `make test`; the others take minutes and are `long`. Those of `make test` share one copy of the
# project, whose modules are compiled once; the long ones are so many that each worker has its own.
SELECTION = frozenset(
    {
        "notify-before-the-commit", "send-while-in-flight", "resume-at-the-highest-shard", "no-sweep",
        "unbounded-window", "list-on-restart", "handlers-block-the-cache", "unheard-part-counts-as-ready", "no-history",
        "secrets-without-asking",
    }
)  # fmt: skip

pytestmark = [pytest.mark.sabotage, pytest.mark.timeout(120)]


def header(patch: Path, field: str) -> str:
    match = re.search(rf"^{field}: (.+)$", patch.read_text(), re.MULTILINE)
    assert match, f"{patch.name} has no line '{field}: …'"
    return match[1].strip()


def promise(patch: Path) -> str:
    return header(patch, "Promise").split()[0]


def cases():
    for patch in PATCHES:
        is_short = patch.stem in SELECTION
        marks = pytest.mark.xdist_group("sabotage") if is_short else pytest.mark.long
        yield pytest.param(patch, id=patch.stem, marks=marks)


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The project without its history and environment, links kept; one copy for all patches of a process."""
    folder = tmp_path_factory.mktemp("sabotage")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.patch")
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / room, symlinks=True, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@contextmanager
def applied(patch: Path, folder: Path):
    """The folder with the patch, for the length of the block."""

    def apply(*options):
        done = subprocess.run(
            ["git", "apply", *options, str(patch)], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{patch.name} no longer applies: {done.stderr}"
        for name in re.findall(r"^\+\+\+ b/(.+)\.py$", patch.read_text(), re.MULTILINE):
            # A change within a second that keeps the length would leave the old bytecode in use.
            for stale in (folder / name).parent.glob(f"__pycache__/{Path(name).name}.*.pyc"):
                stale.unlink()

    apply()
    try:
        yield
    finally:
        apply("--reverse")


@pytest.mark.parametrize("patch", list(cases()))
def test_the_promises_test_turns_red(patch, copy):
    test = header(patch, "Test")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "COV_"))}
    environment["PYTHONPATH"] = str(copy / "src")
    with applied(patch, copy):
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", *test.split()],
            cwd=copy, env=environment, capture_output=True, text=True, timeout=RUN_S * STRETCH_MAX, check=False,
        )  # fmt: skip
    summary = done.stdout.rstrip().rpartition("\n")[2]
    # An error of a fixture or of the collection would be the machinery turning red, not the test.
    assert done.returncode == TESTS_FAILED and "1 failed" in summary and "error" not in summary, (
        f"{patch.stem} ({header(patch, 'Breaks')}) went unnoticed by {test}:\n"
        f"{done.stdout[-3000:]}{done.stderr[-1000:]}"
    )


@pytest.mark.parametrize("patch", PATCHES, ids=[p.stem for p in PATCHES])
def test_a_patch_still_applies(patch):
    """Also those that `make test` leaves out: a change of the code around one fails at once."""
    done = subprocess.run(
        ["git", "apply", "--check", str(patch)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{patch.name} no longer applies: {done.stderr}"


def test_every_promise_that_is_kept_is_also_broken_once_in_each_run():
    promised = {f"P{n}" for n in range(1, 11)}
    assert promised == {promise(patch) for patch in PATCHES}
    assert promised == {promise(patch) for patch in PATCHES if patch.stem in SELECTION}
    assert not SELECTION - {patch.stem for patch in PATCHES}
