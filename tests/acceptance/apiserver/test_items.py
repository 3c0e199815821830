"""The acceptance list is whole: every number has a test that is there."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.acceptance.apiserver import test_kubectl_rows
from tests.acceptance.apiserver.items import ITEMS

TESTS = Path(__file__).parents[2]
NUMBERS = range(1, 52)


@cache
def functions_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_number_is_there_once() -> None:
    assert sorted(ITEMS) == list(NUMBERS)


@pytest.mark.parametrize("number", ITEMS)
def test_an_item_has_tests_that_exist(number: int) -> None:
    item = ITEMS[number]
    assert item.what
    assert item.tests
    scenarios = {scenario.name for scenario in test_kubectl_rows.SCENARIOS}
    for test in item.tests:
        path, _, name = test.partition("::")
        function, _, scenario = name.rstrip("]").partition("[")
        assert function in functions_of(TESTS / path), test
        assert not scenario or scenario in scenarios, test
