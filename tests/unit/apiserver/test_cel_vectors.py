"""Rules in CEL mean what Kubernetes' own code says they mean (``tests/vectors/cel``)."""

import json
from pathlib import Path
from typing import Any

import pytest

from deltawire.apiserver.cel.definitions import causes_of_rules
from deltawire.apiserver.cel.rules import Rules

Tree = dict[str, Any]
VECTORS = Path(__file__).parents[2] / "vectors" / "cel"
CASES = json.loads((VECTORS / "cases.json").read_text())
ANSWERS = json.loads((VECTORS / "answers.json").read_text())
PAIRS = [pytest.param(case, answer, id=case["name"]) for case, answer in zip(CASES, ANSWERS, strict=True)]
WITH_OBJECTS = [pair for pair, case in zip(PAIRS, CASES, strict=True) if case.get("objects")]


@pytest.mark.parametrize(("case", "answer"), PAIRS)
def test_a_definition_is_refused_for_its_rules_in_the_words_of_an_api_server(
    case: Tree, answer: Tree
) -> None:
    assert causes_of_rules(case["schema"], "spec.validation.openAPIV3Schema") == answer["definition"]


@pytest.mark.parametrize(("case", "answer"), WITH_OBJECTS)
def test_an_object_is_held_to_the_rules_of_its_schema(case: Tree, answer: Tree) -> None:
    rules = Rules(case["schema"])
    for (obj, old), expected in zip(case["objects"], answer["objects"], strict=True):
        found = [
            {"field": p.field or "<nil>", "reason": p.reason, "message": p.message}
            for p in rules.problems(obj, old)
        ]
        assert found == expected
