"""The examples of handlers that read and write lines, in each language whose tools are there."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
            "version": "812",
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


def python(_: Path) -> list[str]:
    return [sys.executable, str(LINES.parent / "audit_lines.py")]


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


Build = Callable[[Path], list[str]]
in_each_language = pytest.mark.parametrize(
    "build",
    [
        shell,
        node,
        python,
        pytest.param(go, marks=pytest.mark.long),
        pytest.param(rust, marks=pytest.mark.long),
    ],
    ids=lambda build: build.__name__,
)
pytestmark = pytest.mark.timeout(400)
LINES_IN = "".join(f"{event(number, app='web')}\n" for number in (7, 8))


def answers(command: list[str], env: dict[str, str]) -> tuple[list[dict[str, Any]], str]:
    """What it answers to `LINES_IN`, by id, and what it says on stderr."""
    done = subprocess.run(
        command, input=LINES_IN, env=os.environ | env, capture_output=True, text=True, timeout=60, check=True
    )
    return sorted(map(json.loads, done.stdout.splitlines()), key=lambda answer: answer["id"]), done.stderr


@in_each_language
def test_each_event_is_said_and_acknowledged_and_the_program_ends_with_its_input(
    build: Build, tmp_path: Path
) -> None:
    found, said = answers(build(tmp_path), {"AUDIT_FILE": ""})
    assert found == [{"id": 7, "ok": True}, {"id": 8, "ok": True}]
    assert said.count("updated pods ns/a") == 2


@in_each_language
def test_what_cannot_be_written_down_is_asked_for_again_in_five_seconds(build: Build, tmp_path: Path) -> None:
    command = build(tmp_path)
    file = tmp_path / "folder" / "audit.txt"
    found, _ = answers(command, {"AUDIT_FILE": str(file)})
    assert [answer["id"] for answer in found] == [7, 8]
    for answer in found:
        assert answer["error"] and answer["retry_after_s"] == 5 and not answer.get("ok")
    file.parent.mkdir()
    found, _ = answers(command, {"AUDIT_FILE": str(file)})
    assert found == [{"id": 7, "ok": True}, {"id": 8, "ok": True}]
    assert file.read_text().count("updated pods ns/a") == 2


def test_a_program_that_reads_several_lines_at_once_answers_each_also_the_last_without_more_input(
    tmp_path: Path,
) -> None:
    with subprocess.Popen(
        node(tmp_path), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdin and program.stdout
        program.stdin.write(LINES_IN)
        program.stdin.flush()
        assert {json.loads(program.stdout.readline())["id"] for _ in range(2)} == {7, 8}
        program.stdin.close()
