"""What rules in CEL cost is what Kubernetes' own code says (``tests/vectors/cel``), and too much is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from deltawire.apiserver.cel.bounds import bound_of
from deltawire.apiserver.cel.definitions import causes_of_rules
from deltawire.apiserver.cel.estimate import cost_of
from deltawire.apiserver.cel.library import Checker, compiled, run, running
from deltawire.apiserver.cel.meter import OBJECT_COST_MAX, Budget, EvaluationError, begin
from deltawire.apiserver.cel.rules import Rules
from deltawire.apiserver.cel.shapes import shape_of
from deltawire.apiserver.cel.values import value_of

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
    assert found == {rule: answer["estimate"] for rule, answer in zip(case["rules"], answers, strict=True)}


def schema(rule: str, **properties: Tree) -> Tree:
    return {
        "type": "object",
        "properties": {
            "spec": {"type": "object", "properties": properties, "x-kubernetes-validations": [{"rule": rule}]}
        },
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
    assert last["message"].startswith(
        "Forbidden: x-kubernetes-validations estimated rule cost total for entire"
    )


# What is told apart here and there: whole comparisons outside loops, sizes of texts in lists, patterns of formats.
_OTHERWISE = ("isSorted", "self.t == self.t", "self.t + self.s", "validate", "x != 'a', x + 'b'")


def ran(rule: str, values: Tree) -> tuple[int, str]:
    """What a rule has cost, and why it gave nothing."""
    budget = Budget()
    try:
        run(rule, values, budget)
    except EvaluationError as error:
        return OBJECT_COST_MAX - budget.left, str(error)
    return OBJECT_COST_MAX - budget.left, ""


@pytest.mark.parametrize(("case", "answers"), list(zip(CASES, ANSWERS, strict=True)))
def test_a_rule_is_stopped_where_an_api_server_stops_it(case: Tree, answers: list[Tree]) -> None:
    for position, obj in enumerate(case["objects"]):
        values = {"self": value_of(case["schema"], obj)}
        for rule, answer in zip(case["rules"], answers, strict=True):
            expected = answer["objects"][position]
            cost, error = ran(rule, values)
            assert bool(error) == bool(expected.get("error")), (rule, error)
            if "cost limit" in expected.get("error", ""):
                assert error == expected["error"]
            elif not any(part in rule for part in _OTHERWISE):
                assert expected["cost"] / 2 - 5 <= cost <= expected["cost"] * 2 + 20, rule


def held_to(rule: str, **spec: Any) -> list[str]:
    properties: Tree = {"words": words(), "text": {"type": "string"}}
    rules = Rules(schema(rule, **properties))
    return [problem.message for problem in rules.problems({"spec": spec})]


def test_an_object_whose_rule_is_stopped_is_refused_in_the_words_of_an_api_server() -> None:
    rule = "self.words.all(a, self.text.contains(a))"
    assert held_to(rule, words=["a"] * 50, text="a" * 1000) == []
    assert held_to(rule, words=["a" * 100] * 1000, text="a" * 100_000) == [
        "Invalid value: \"object\": 'operation cancelled: actual cost limit exceeded': no further validation rules "
        f"will be run due to call cost exceeds limit for rule: {rule}"
    ]


def test_no_rule_is_run_once_an_object_has_used_up_its_budget() -> None:
    item = {"type": "string", "x-kubernetes-validations": [{"rule": f"self.contains('{'x' * 90}') || true"}]}
    rules = Rules({"type": "object", "properties": {"spec": {"type": "array", "items": item}}})
    # Some 90,000 units of cost each.
    assert rules.problems({"spec": ["y" * 100_000] * 100}) == []
    (problem,) = rules.problems({"spec": ["y" * 100_000] * 120})
    assert problem.message == (
        'Invalid value: "string": validation failed due to running out of cost budget, '
        "no further validation rules will be run"
    )
    assert 100 < int(problem.field.removeprefix("spec[").removesuffix("]")) < 120


def test_functions_of_lists_are_paid_for_before_they_run() -> None:
    many = [f"word{number}" for number in range(2000)]
    for rule in ("sets.intersects(self.words, self.words)", "self.words.distinct().size() > 0"):
        assert "actual cost limit exceeded" in held_to(rule, words=many)[0]


def test_a_loop_over_keys_and_values_at_once_can_make_a_map() -> None:
    assert run("self.all(k, v, v > 0 && k != '')", {"self": {"a": 1}}) is True
    assert run("self.transformMap(k, v, v + 1) == {'a': 2, 'b': 3}", {"self": {"a": 1, "b": 2}}) is True
    assert run("self.transformList(at, v, v + at) == [1, 3]", {"self": [1, 2]}) is True


FORMS = {
    "dns1123Label": ("a-b", "A"),
    "dns1123Subdomain": ("a.b", "a..b"),
    "dns1035Label": ("a1", "1a"),
    "qualifiedName": ("a.b/C", "a/b/c"),
    "dns1123LabelPrefix": ("ab-", "Abc-"),
    "dns1123SubdomainPrefix": ("a.b-", "a..bc-"),
    "dns1035LabelPrefix": ("ab-", "1b-"),
    "labelValue": ("", "-"),
    "uri": ("http://a/b", "a b"),
    "uuid": ("123e4567-e89b-12d3-a456-426614174000", "123e4567"),
    "byte": ("aGVsbG8=", "a"),
    "date": ("2024-02-29", "2023-02-29"),
    "datetime": ("2024-01-01T00:00:00Z", "2024-01-01"),
}


@pytest.mark.parametrize("name", FORMS)
def test_a_named_format_tells_what_is_wrong_with_a_text(name: str) -> None:
    good, bad = FORMS[name]
    for form in (f"format.{name}()", f"format.named('{name}').value()"):
        assert run(f"{form}.validate(self).hasValue()", {"self": good}) is False
        assert run(f"{form}.validate(self).value().size() > 0", {"self": bad}) is True
    assert run("format.named('nothing').hasValue()", {}) is False


THINGS: Tree = {
    "l": ["a", "b", "cc"],
    "n": [1, 2, 3],
    "m": {"a": "x", "b": "y"},
    "o": [{"k": "a", "v": 1}, {"k": "b", "v": 2, "w": "z"}],
    "t": "hello",
    "f": 1.5,
    "nul": None,
    "d": ["1h", "2h"],
    "b": b"xy",
    "mixed": ["a", 1, None, True, 2.5, ["q"], {"z": 1}],
}


@pytest.mark.parametrize("expression", (VECTORS / "expressions.txt").read_text().splitlines())
def test_charges_change_nothing_of_what_an_expression_gives(expression: str) -> None:
    plain = running().compile(expression, disable_check=True)
    charged, _ = compiled(expression)
    given = []
    for program in (plain, charged):
        begin(0)
        try:
            result = program.eval(data={"self": THINGS})
            given.append((str(result.type().name()), repr(result.plain_value())))
        except (RuntimeError, TypeError) as error:
            given.append(("error", str(error)))
    assert given[0] == given[1]
