"""What rules in CEL cost is what Kubernetes' own code says (``tests/vectors/cel``), and too much is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from deltawire.apiserver.cel.bounds import bound_of
from deltawire.apiserver.cel.definitions import causes_of_rules
from deltawire.apiserver.cel.estimate import cost_of
from deltawire.apiserver.cel.library import Checker
from deltawire.apiserver.cel.shapes import shape_of

Tree = dict[str, Any]
VECTORS = Path(__file__).parents[2] / "vectors" / "cel"
CASES = json.loads((VECTORS / "costs.json").read_text())
ANSWERS = json.loads((VECTORS / "cost-answers.json").read_text())
PLACE = "spec.validation.openAPIV3Schema"


@pytest.mark.parametrize(("case", "answers"), list(zip(CASES, ANSWERS, strict=True)))
def test_a_rule_is_estimated_as_by_an_api_server(case: Tree, answers: list[Tree]) -> None:
    checker, bound = Checker({"self": shape_of(case["schema"])}), bound_of(case["schema"])
    assert bound is not None
    found = {rule: cost_of(checker.checked(rule)[1], bound) for rule in case["rules"]}
    assert found == {
        rule: answer["estimate"] for rule, answer in zip(case["rules"], answers, strict=True)
    }


def schema(rule: str, **properties: Tree) -> Tree:
    return {
        "type": "object",
        "properties": {"spec": {"type": "object", "properties": properties, "x-kubernetes-validations": [{"rule": rule}]}},
    }


def words(chars: int | None = None, count: int | None = None) -> Tree:
    item = {"type": "string"} | ({"maxLength": chars} if chars else {})
    return {"type": "array", "items": item} | ({"maxItems": count} if count else {})


def test_a_rule_that_is_too_expensive_is_refused_until_its_lists_and_texts_are_bounded() -> None:
    rule = "self.words.all(a, self.words.exists_one(b, a == b))"
    refused = causes_of_rules(schema(rule, words=words()), PLACE)
    assert "exceeds budget by factor of more than 100x" in refused[0]["message"]
    assert refused[0]["field"] == f"{PLACE}.properties[spec].x-kubernetes-validations[0].rule"
    assert causes_of_rules(schema(rule, words=words(20, 50)), PLACE) == []


def test_rules_that_are_each_cheap_enough_may_still_be_too_expensive_together() -> None:
    rule = "self.words.all(a, self.words.exists_one(b, a == b))"
    one = schema(rule, words=words(20, 900))["properties"]["spec"]
    assert causes_of_rules({"type": "object", "properties": {"a": one}}, PLACE) == []
    many = {"type": "object", "properties": {f"part{number}": one for number in range(20)}}
    *named, last = causes_of_rules(many, PLACE)
    assert [cause["message"] for cause in named] == [
        "Forbidden: contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema"
    ] * 4
    assert last["field"] == PLACE
    assert last["message"].startswith("Forbidden: x-kubernetes-validations estimated rule cost total for entire")
