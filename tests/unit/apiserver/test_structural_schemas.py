"""Schemas of definitions are refused as by Kubernetes' own code (``tests/vectors/cel``, as cases without objects)."""

import json
from pathlib import Path
from typing import Any

import pytest

from deltawire.apiserver.rules import definition_parts, definitions
from deltawire.apiserver.rules.schema_forms import causes_of_forms
from deltawire.apiserver.rules.structural import causes_of_structure

Tree = dict[str, Any]
VECTORS = Path(__file__).parents[2] / "vectors" / "cel"
CASES = json.loads((VECTORS / "schemas.json").read_text())
ANSWERS = json.loads((VECTORS / "schema-answers.json").read_text())
DEFINITIONS = json.loads((VECTORS / "definitions.json").read_text())
DEFINITION_ANSWERS = json.loads((VECTORS / "definition-answers.json").read_text())
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


def definition(spec: Tree) -> Tree:
    """What every case begins with."""
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object"}},
    }
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}
    common = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    whole = {"conversion": {"strategy": "None"}, **common, **spec}
    return {"metadata": {"name": "x"}, "spec": whole, "status": {"storedVersions": ["v1"]}}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        pytest.param(case["spec"], answer["definition"], id=case["name"])
        for case, answer in zip(DEFINITIONS, DEFINITION_ANSWERS, strict=True)
    ],
)
def test_a_definition_is_refused_in_the_words_of_an_api_server(spec: Tree, expected: list[Tree]) -> None:
    obj = definition(spec)
    found = [*definition_parts.spec(obj), *definitions.versions(obj), *definitions.conversion(obj)]
    assert found == expected
