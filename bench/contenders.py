"""The contenders: how each is built, its name, and the command that starts it. ``programs/`` has their programs."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from machinery import HERE, BenchError

BUILD = HERE / ".build"
PROGRAMS = HERE / "programs"
VENV = BUILD / "venv"
LOG = BUILD / "build.log"
OURS = "deltawire"


Environment = Callable[[Path], dict[str, str]]


def no_environment(kubeconfig: Path) -> dict[str, str]:
    return {}


@dataclass(frozen=True)
class Contender:
    """A program that watches pods. ``command``: of the kubeconfig's path. ``build``: makes what is missing."""

    name: str
    what: str
    build: Callable[[], None]
    built: Callable[[], bool]
    version: Callable[[], str]
    command: Callable[[Path], list[str]]
    environment: Environment = no_environment


def run(command: list[str], folder: Path, environment: dict[str, str] | None = None) -> None:
    BUILD.mkdir(exist_ok=True)
    with LOG.open("ab") as log:
        done = subprocess.run(
            command, cwd=folder, stdout=log, stderr=log, check=False, env=os.environ | (environment or {})
        )
    if done.returncode:
        raise BenchError(f"{' '.join(command)} ended with {done.returncode}: see {LOG}")


def tool(name: str, *places: str) -> str:
    """The path of a build tool; raises where there is none."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *places]))
    if found is None:
        raise BenchError(f"{name} is not installed")
    return found


def build_venv() -> None:
    """Anew where the pins changed since."""
    pins = HERE / "requirements.txt"
    done = VENV / "done.txt"
    if done.exists() and done.read_text() == pins.read_text():
        return
    run([sys.executable, "-m", "venv", str(VENV)], HERE)
    run([str(VENV / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", "-r", str(pins)], HERE)
    done.write_text(pins.read_text())


def interpreter() -> str:
    """Of the environment that was made for the contenders, else (a quick run) of this one."""
    return str(VENV / "bin" / "python") if (VENV / "done.txt").exists() else sys.executable


def python_version(package: str) -> Callable[[], str]:
    """The installed version; empty where it is not installed."""

    def version() -> str:
        code = f"from importlib.metadata import version; print(version({package!r}))"
        done = subprocess.run([interpreter(), "-c", code], capture_output=True, text=True, check=False)
        return done.stdout.strip()

    return version


def in_python(name: str, what: str, *program: str, environment: Environment = no_environment) -> Contender:
    """The kubeconfig is its last argument, unless its environment says it."""
    version = python_version(name if name != "official" else "kubernetes")

    def command(kubeconfig: Path) -> list[str]:
        return [interpreter(), *program, *([] if environment(kubeconfig) else [str(kubeconfig)])]

    return Contender(name, what, build_venv, lambda: bool(version()), version, command, environment)


def build_go() -> None:
    go = tool("go", "/usr/local/go/bin")
    run([go, "build", "-o", str(BUILD / "client-go"), "."], PROGRAMS / "client-go")


def build_rust() -> None:
    cargo = tool("cargo", str(Path.home() / ".cargo" / "bin"))
    target = str(BUILD / "kube-rs")
    run([cargo, "build", "-q", "--release", "--locked", "--target-dir", target], PROGRAMS / "kube-rs")


def go_version() -> str:
    for line in (PROGRAMS / "client-go" / "go.mod").read_text().splitlines():
        if line.strip().startswith("k8s.io/client-go "):
            return line.split()[1].lstrip("v")
    return "?"


def rust_version() -> str:
    found = (PROGRAMS / "kube-rs" / "Cargo.lock").read_text().partition('name = "kube"\nversion = "')[2]
    return found.partition('"')[0]


RUST_PROGRAM = BUILD / "kube-rs" / "release" / "bench-kube-rs"
OTHERS = [
    in_python("official", "the official Python client's SharedInformer", str(PROGRAMS / "official.py")),
    in_python("kubernetes_asyncio", "list and watch with a dictionary", str(PROGRAMS / "asyncio_client.py")),
    in_python(
        "kopf",
        "`on.event`, its own settings",
        *("-m", "kopf", "run", "--standalone", "-A", "-q", str(PROGRAMS / "kopf_operator.py")),
        environment=lambda kubeconfig: {"KUBECONFIG": str(kubeconfig)},
    ),
    in_python("lightkube", "list and watch with a dictionary", str(PROGRAMS / "lightkube_client.py")),
    Contender(
        "client-go",
        "client-go's shared informer, JSON, typed",
        build_go,
        (BUILD / "client-go").exists,
        go_version,
        lambda kubeconfig: [str(BUILD / "client-go"), str(kubeconfig)],
    ),
    Contender(
        "kube-rs",
        "kube-rs' reflector with its store, JSON, typed",
        build_rust,
        RUST_PROGRAM.exists,
        rust_version,
        lambda kubeconfig: [str(RUST_PROGRAM), str(kubeconfig)],
    ),
]


def prepare(names: list[str]) -> tuple[list[Contender], dict[str, str]]:
    """Those that can run, built where they were not, and why the others cannot."""
    ready, skipped = [], {}
    for contender in OTHERS:
        if contender.name not in names:
            skipped[contender.name] = "not asked for"
            continue
        try:
            contender.build()
            ready.append(contender)
        except BenchError as error:
            skipped[contender.name] = str(error)
    return ready, skipped


def prepare_quick(names: list[str]) -> tuple[list[Contender], dict[str, str]]:
    """Nothing is built: those that were, or whose package is installed where this runs."""
    ready, skipped = [], {}
    for contender in OTHERS:
        if contender.name not in names:
            skipped[contender.name] = "not asked for"
        elif contender.built():
            ready.append(contender)
        else:
            skipped[contender.name] = "not built; make bench builds it"
    return ready, skipped
