"""Schemas of definitions are refused as by Kubernetes' own code (``tests/vectors/cel``, as cases without objects)."""

import json
from pathlib import Path
from typing import Any

import pytest

from deltawire.apiserver.rules.schema_forms import causes_of_forms
from deltawire.apiserver.rules.structural import causes_of_structure

Tree = dict[str, Any]
VECTORS = Path(__file__).parents[2] / "vectors" / "cel"
CASES = json.loads((VECTORS / "schemas.json").read_text())
ANSWERS = json.loads((VECTORS / "schema-answers.json").read_text())
PATH = "spec.validation.openAPIV3Schema"


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        pytest.param(case["schema"], answer["definition"], id=case["name"])
        for case, answer in zip(CASES, ANSWERS, strict=True)
    ],
)
def test_a_schema_is_refused_in_the_words_of_an_api_server(schema: Tree, expected: list[Tree]) -> None:
    assert [*causes_of_structure(schema, PATH), *causes_of_forms(schema, PATH)] == expected
