import re
from pathlib import Path
from typing import Any

from deltawire import FakeClientset

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "clients.md").read_text()
ROWS = [line for line in TEXT.splitlines() if line.startswith("| `")]
SEED_TREE = (
    "rest discovery kubernetes dynamic metadata scale restmapper transport plugin listers informers tools util "
    "testing applyconfigurations"
)


def test_every_package_of_the_seeds_tree_has_a_row() -> None:
    for package in SEED_TREE.split():
        assert any(re.match(rf"\| `{package}[/`]", row) or f" `{package}/" in row for row in ROWS), package


def test_every_row_names_a_test_that_exists_or_says_that_there_is_nothing_yet() -> None:
    sources = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    known = set(re.findall(r"def (test_\w+)\(", sources))
    for row in ROWS:
        named = re.findall(r"`(test_\w+)`", row)
        assert named or row.split("|")[2].strip().startswith("**not yet**"), row
        assert set(named) <= known, set(named) - known


def test_the_example_of_the_fakes_does_what_it_says() -> None:
    (example,) = (
        block for block in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "FakeClientset(" in block
    )
    names: dict[str, Any] = {}
    exec(compile(example, "docs/clients.md", "exec"), names)  # noqa: S102 - our own document
    assert isinstance(names["clientset"], FakeClientset)
    assert [action.verb for action in names["clientset"].fake.actions] == ["get", "update", "watch", "get"]
