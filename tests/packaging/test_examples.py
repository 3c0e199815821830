"""The examples are as short as they are said to be, and the tutorial shows exactly them."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HANDLERS = ROOT / "examples" / "handlers"
# A block of the tutorial that is a file of the repository, whole.
SHOWN = re.compile(r"^<!-- file: (?P<path>\S+) -->\n```\w*\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


def lines_of_code(path: Path) -> int:
    """Lines without blanks, comments, docstrings and imports."""
    source = path.read_text()
    skipped: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        value = node.value if isinstance(node, ast.Expr) else None
        is_text = isinstance(value, ast.Constant) and isinstance(value.value, str)
        if isinstance(node, ast.Import | ast.ImportFrom) or is_text:
            skipped |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return sum(
        1
        for number, line in enumerate(source.splitlines(), start=1)
        if line.strip() and not line.strip().startswith("#") and number not in skipped
    )


@pytest.mark.parametrize(("name", "lines_max"), [("defaults", 15), ("website", 30), ("alerts", 25)])
def test_a_handler_of_the_tutorial_is_short(name: str, lines_max: int) -> None:
    assert lines_of_code(HANDLERS / f"{name}.py") <= lines_max


def test_the_tutorial_shows_the_files_as_they_are() -> None:
    shown = list(SHOWN.finditer((ROOT / "docs" / "tutorial.md").read_text()))
    assert {Path(found["path"]).name for found in shown} >= {"defaults.py", "website.py", "alerts.py"}
    for found in shown:
        assert (ROOT / found["path"]).read_text() == found["text"], found["path"]


def test_every_example_handler_has_a_test_and_a_word_in_the_readme() -> None:
    readme = (HANDLERS / "README.md").read_text()
    for path in HANDLERS.glob("*.py"):
        if not path.name.startswith(("test_", "conftest")):
            assert (HANDLERS / f"test_{path.name}").exists(), path.name
            assert path.name in readme, path.name
