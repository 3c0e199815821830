"""The examples of handlers that read and write lines, in each language whose tools are there."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

LINES = Path(__file__).parents[2] / "examples" / "lines"
BUILD_S = 300


def event(number: int, **labels: str) -> str:
    pod = {"metadata": {"name": "a", "labels": labels, "annotations": {"odd": 'a "quoted, {brace}" \\'}}}
    return json.dumps(
        {
            "id": number,
            "type": "updated",
            "resource": "pods",
            "key": "ns/a",
            "object": pod,
            "old": None,
            "flags": [],
        }
    )


def needs(*tools: str) -> None:
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"no {', '.join(missing)} here")


def shell(_: Path) -> list[str]:
    needs("sh", "jq")
    return [str(LINES / "audit.sh")]


def node(_: Path) -> list[str]:
    needs("node")
    return ["node", str(LINES.parent / "audit.js")]


def go(folder: Path) -> list[str]:
    needs("go")
    subprocess.run(
        ["go", "build", "-o", str(folder / "audit"), str(LINES / "audit.go")], check=True, timeout=BUILD_S
    )
    return [str(folder / "audit")]


def rust(folder: Path) -> list[str]:
    needs("rustc")
    command = ["rustc", "-o", str(folder / "audit"), str(LINES / "audit.rs")]
    subprocess.run(command, check=True, timeout=BUILD_S)
    return [str(folder / "audit")]


@pytest.mark.parametrize(
    "build",
    [shell, node, pytest.param(go, marks=pytest.mark.long), pytest.param(rust, marks=pytest.mark.long)],
    ids=lambda build: build.__name__,
)
@pytest.mark.timeout(400)
def test_each_event_is_said_and_acknowledged_and_the_program_ends_with_its_input(
    build: Callable[[Path], list[str]], tmp_path: Path
) -> None:
    lines = [event(7, app="web"), event(8)]
    done = subprocess.run(
        build(tmp_path), input="".join(f"{line}\n" for line in lines), capture_output=True, text=True, timeout=60,
        check=True,
    )  # fmt: skip
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"id": 7, "ok": True},
        {"id": 8, "ok": True},
    ]
    assert done.stderr.count("updated pods ns/a") == 2
