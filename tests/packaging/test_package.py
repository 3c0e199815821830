"""What is handed out is whole: the wheel, the public names, the rules of the house that no linter knows."""

import ast
import importlib
import json
import os
import pkgutil
import re
import shutil
import stat
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import deltawire
from deltawire.common.version import __version__

ROOT = Path(__file__).parents[2]
ROOMS = ("apiserver", "cli", "client", "common", "fifo", "handlers", "informer", "jetstream", "reflector")
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
MODULE_LINES_MAX = 400
COMMON_LINES_MAX = 4920
# Who may read the clock without common/clock.py, with why.
CLOCK_READERS: dict[str, str] = {
    **{
        f"apiserver/{name}.py": "the default of an argument; the API server does without common/clock.py"
        for name in ("core/api", "faults/plan")
    },
    **{
        f"cli/chaos/outside/{name}.py": "a script that imports nothing of the project"
        for name in ("observer", "prober", "recorder", "writer")
    },
    "cli/chaos/lister_plugin.py": "a handler, as a user writes one; its times are compared with those scripts'",
}


def environment(**extra: str) -> dict[str, str]:
    """Without what would let the checkout's own packages be found."""
    return {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")} | extra


@pytest.fixture(scope="session")
def checkout(tmp_path_factory) -> Path:
    """A copy of the project, so that no build folder appears in the checkout. It keeps its links."""
    copy = tmp_path_factory.mktemp("copy") / "project"
    shutil.copytree(
        ROOT,
        copy,
        symlinks=True,
        ignore=shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "tests", "build"),
    )
    return copy


def wheel_of(source: Path, out: Path) -> Path:
    """What pip makes of a folder or an archive."""
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    done = subprocess.run(
        [*command, "--disable-pip-version-check", "-w", str(out), str(source)],
        env=environment(), capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [built] = out.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def wheel(checkout, tmp_path_factory) -> Path:
    """The wheel of a checkout by git."""
    return wheel_of(checkout, tmp_path_factory.mktemp("wheel"))


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("/RECORD")}


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory) -> Path:
    """The wheel unpacked; nothing else of the project is there."""
    target = tmp_path_factory.mktemp("target")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)  # our own wheel
    return target


@pytest.mark.xdist_group("wheel")
class TestWheel:
    def test_it_holds_every_module_and_every_data_file(self, wheel):
        with zipfile.ZipFile(wheel) as archive:
            names = set(archive.namelist())
        expected = {f"deltawire/{path.relative_to(ROOT)}" for path in MODULES}
        expected |= {"deltawire/__init__.py", "deltawire/py.typed"}
        expected |= {
            f"deltawire/{path.relative_to(ROOT)}"
            for room in ROOMS
            for kind in ("*.json", "*.yaml")
            for path in (ROOT / room).rglob(kind)
        }
        assert expected <= names, expected - names
        assert {n.split("/")[0] for n in names} == {"deltawire", f"deltawire-{__version__}.dist-info"}
        assert not [n for n in names if "/tests/" in n or n.endswith(".pyc")]

    def test_its_version_is_the_codes(self, wheel):
        assert wheel.name == f"deltawire-{__version__}-py3-none-any.whl"
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        assert project["version"] == __version__

    def test_all_its_modules_can_be_imported(self, installed):
        script = (
            "import deltawire, importlib, pkgutil\n"
            f"assert deltawire.__file__.startswith({str(installed)!r}), deltawire.__file__\n"
            "names = [m.name for m in pkgutil.walk_packages(deltawire.__path__, 'deltawire.')]\n"
            "[importlib.import_module(n) for n in names if not n.endswith('__main__')]\n"
            "print(len(names))\n"
        )
        done = self.run("-c", script, path=installed)
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) >= 200

    def test_its_command_says_what_it_can_do(self, installed):
        done = self.run("-m", "deltawire.cli", "--help", path=installed)
        assert done.returncode == 0, done.stderr
        for command in ("run", "up", "status", "get", "tail", "trace", "kill"):
            assert re.search(rf"\b{command}\b", done.stdout), command

    @staticmethod
    def run(*arguments: str, path: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments], env=environment(PYTHONPATH=str(path), NO_COLOR="1"), cwd=path,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip


@pytest.mark.xdist_group("wheel")
class TestOtherWaysToGetIt:
    """Each gives the very wheel that a checkout gives, whose modules can all be imported."""

    def test_a_zip_archive_in_which_links_are_small_text_files(self, checkout, wheel, tmp_path):
        # pip unpacks a link as a file with the link's words, as most programs do.
        archive = tmp_path / "project.zip"
        with zipfile.ZipFile(archive, "w") as made:
            for path in sorted(checkout.rglob("*")):
                if "build" in path.parts or any(part.endswith(".egg-info") for part in path.parts):
                    continue
                name = f"deltawire-main/{path.relative_to(checkout)}"
                if path.is_symlink():
                    entry = zipfile.ZipInfo(name)
                    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
                    made.writestr(entry, os.readlink(path))
                elif path.is_file():
                    made.write(path, name)
        assert contents(wheel_of(archive, tmp_path / "out")) == contents(wheel)

    @pytest.mark.long
    def test_a_folder_that_lost_its_links(self, checkout, wheel, tmp_path):
        folder = tmp_path / "project"
        shutil.copytree(checkout, folder, symlinks=True, ignore=shutil.ignore_patterns("build", "*.egg-info"))
        for room in ROOMS:
            (folder / "src" / "deltawire" / room).unlink()
        assert contents(wheel_of(folder, tmp_path / "out")) == contents(wheel)

    @pytest.mark.long
    def test_a_source_distribution(self, checkout, wheel, tmp_path):
        folder, out = tmp_path / "project", tmp_path / "sdist"
        shutil.copytree(checkout, folder, symlinks=True, ignore=shutil.ignore_patterns("build", "*.egg-info"))
        script = "import sys, setuptools.build_meta as build; build.build_sdist(sys.argv[1])"
        done = subprocess.run(
            [sys.executable, "-c", script, str(out)],
            cwd=folder, env=environment(), capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        [sdist] = out.glob("*.tar.gz")
        assert contents(wheel_of(sdist, tmp_path / "out")) == contents(wheel)


def lost_links(folder: Path) -> Path:
    """A folder as an unpacked zip leaves it: the Makefile, and words where the links were."""
    shutil.copy(ROOT / "Makefile", folder)
    links = folder / "src" / "deltawire"
    links.mkdir(parents=True)
    for room in ROOMS:
        (links / room).write_text(f"../../{room}")
    return links


def make_links(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "links"],
        cwd=folder, env=environment(), capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip


def test_make_makes_the_links_that_a_zip_lost(tmp_path):
    links = lost_links(tmp_path)
    for room in ROOMS:
        (tmp_path / room).mkdir()
    done = make_links(tmp_path)
    assert done.returncode == 0, done.stdout
    assert {room: os.readlink(links / room) for room in ROOMS} == {room: f"../../{room}" for room in ROOMS}


def test_links_that_cannot_be_made_are_told_with_what_to_do(tmp_path):
    lost_links(tmp_path)
    done = make_links(tmp_path)
    assert done.returncode == 2
    assert "src/deltawire/apiserver is not a link" in done.stdout
    assert "git clone" in done.stdout
    assert "pip install ." in done.stdout


def test_the_rooms_are_the_same_wherever_they_are_named():
    assert f"ROOMS := {' '.join(ROOMS)}\n" in (ROOT / "Makefile").read_text()
    assert (
        f"ROOMS = {json.dumps(ROOMS)}".replace("[", "(").replace("]", ")") in (ROOT / "setup.py").read_text()
    )


def test_each_link_leads_to_its_folder():
    for room in ROOMS:
        link = ROOT / "src" / "deltawire" / room
        assert link.is_symlink()
        assert os.readlink(link) == f"../../{room}"


def test_each_public_name_exists():
    assert sorted(deltawire.__all__) == sorted(set(deltawire.__all__))
    for name in deltawire.__all__:
        assert getattr(deltawire, name) is not None, name
    assert set(dir(deltawire)) == set(deltawire.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        deltawire.nothing  # noqa: B018  # the access is the test


def test_what_a_package_exports_exists():
    for found in pkgutil.walk_packages(deltawire.__path__, "deltawire."):
        if found.ispkg:
            package = importlib.import_module(found.name)
            for name in getattr(package, "__all__", ()):
                assert hasattr(package, name), f"{found.name}.{name}"


@pytest.mark.parametrize(
    "path", [p for p in MODULES if p.name == "__init__.py"], ids=lambda p: str(p.relative_to(ROOT))
)
def test_a_package_says_what_is_not_in_it(path):
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert "Not here:" in docstring


def test_modules_are_short_enough_to_be_read():
    long = {
        str(path.relative_to(ROOT)): lines
        for path in MODULES
        if (lines := len(path.read_text().splitlines())) > MODULE_LINES_MAX
    }
    assert not long


def test_common_stays_small():
    """Lines that do something: no blank ones, no comments, no docstrings (ADR 5)."""
    assert sum(code_lines(path) for path in (ROOT / "common").rglob("*.py")) <= COMMON_LINES_MAX


def code_lines(path: Path) -> int:
    text = path.read_text()
    explained: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node, clean=False
        ):
            explained.update(range(node.body[0].lineno, (node.body[0].end_lineno or 0) + 1))
    lines = enumerate(text.splitlines(), 1)
    return sum(
        1 for n, line in lines if line.strip() and not line.lstrip().startswith("#") and n not in explained
    )


def clock_calls(path: Path) -> list[str]:
    """Calls of the time module that a test's clock could not replace."""
    asked = {"sleep", "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter"}
    tree = ast.parse(path.read_text())
    names = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "time"
        for alias in node.names
        if alias.name in asked
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "time" and node.attr in asked:
                found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
        elif isinstance(node, ast.Name) and node.id in names:
            found.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    return found


def test_time_is_read_in_one_place():
    allowed = {ROOT / "common" / "clock.py", *(ROOT / name for name in CLOCK_READERS)}
    assert [call for path in MODULES if path not in allowed for call in clock_calls(path)] == []
    for name in CLOCK_READERS:
        assert clock_calls(ROOT / name), f"{name} needs no exception"


# What a role must not pay for at its start: each costs tens of ms and MiB in every process.
UNWANTED = {
    "deltawire": {"zmq", "msgspec", "lmdb", "requests", "typer", "rich", "yaml"},
    "deltawire.handlers.api": {"zmq", "lmdb", "requests", "typer", "rich", "yaml"},
    "deltawire.fifo.main": {"requests", "lmdb", "typer", "rich", "aiohttp", "kubernetes", "prometheus_client"},
    "deltawire.informer.main": {"requests", "typer", "rich", "aiohttp", "kubernetes", "prometheus_client"},
    "deltawire.handlers.main": {"requests", "typer", "rich", "aiohttp", "kubernetes", "prometheus_client"},
    "deltawire.reflector.main": {"lmdb", "typer", "rich", "aiohttp", "kubernetes", "prometheus_client"},
    "deltawire.cli.main": {"requests", "lmdb", "aiohttp", "kubernetes", "prometheus_client"},
}  # fmt: skip


@pytest.mark.parametrize("module", UNWANTED)
def test_a_process_imports_only_what_it_needs(module):
    script = f"import sys, {module}; print(' '.join({{n.partition('.')[0] for n in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=True
    )
    assert not UNWANTED[module] & set(done.stdout.split())


def test_the_api_server_starts_with_what_its_extra_names_alone():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = {re.split("[<>=;]", entry)[0] for entry in project["optional-dependencies"]["apiserver"]}
    # Rules in CEL are in the extra only: their library is large, and not there for every platform.
    assert named - {re.split("[<>=;]", entry)[0] for entry in project["dependencies"]} == {"cel-expr-python"}
    others = {
        "zmq",
        "msgpack",
        "lmdb",
        "lightkube",
        "typer",
        "rich",
        "prometheus_client",
        "requests",
        "websockets",
    }
    script = (
        f"import sys; sys.modules.update(dict.fromkeys({sorted(others)}))\n"
        "from deltawire.apiserver.options import ApiServerOptions\n"
        "from deltawire.apiserver.server import ApiServer\n"
        "with ApiServer(ApiServerOptions(controllers=True, rbac=True)) as server: print(server.url)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout.startswith("https://"), done.stderr


def test_the_layers_are_kept():
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
