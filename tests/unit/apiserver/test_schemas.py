"""Schemas of custom resources: pruning, defaults, and what is said about bad values."""

import json
from pathlib import Path
from typing import Any

import pytest

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.schemas.defaults import fill_in
from deltawire.apiserver.schemas.prune import prune
from deltawire.apiserver.schemas.validate import PROBLEMS_MAX, problems_of
from deltawire.common.errors import StatusError

Tree = dict[str, Any]


def of(**properties: Tree) -> Tree:
    return {"type": "object", "properties": {"spec": {"type": "object", "properties": properties}}}


def problem(schema: Tree, value: Any) -> tuple[str, str]:
    (found,) = problems_of(of(x=schema), {"spec": {"x": value}})
    assert found.field.startswith("spec.x")
    return found.reason, found.message


def test_unknown_fields_go_and_are_named_by_their_path() -> None:
    schema = of(
        a={"type": "integer"}, l={"type": "array", "items": {"type": "object", "properties": {"k": {}}}}
    )
    obj = {"kind": "W", "metadata": {"z": 1}, "top": 1, "spec": {"a": 1, "b": 2, "l": [{"k": 1, "j": 2}, {}]}}
    assert prune(schema, obj) == ["top", "spec.b", "spec.l[0].j"]
    assert obj == {"kind": "W", "metadata": {"z": 1}, "spec": {"a": 1, "l": [{"k": 1}, {}]}}


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        {
            "type": "object",
            "additionalProperties": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        },
        {"type": "object", "additionalProperties": True},
    ],
)
def test_what_is_to_be_preserved_stays(schema: Tree) -> None:
    assert prune(of(x=schema), {"spec": {"x": {"any": {"deep": 1}}}}) == []


def test_an_embedded_object_keeps_what_makes_it_one() -> None:
    schema = of(x={"type": "object", "x-kubernetes-embedded-resource": True, "properties": {}})
    assert prune(schema, {"spec": {"x": {"apiVersion": "v1", "kind": "K", "metadata": {}, "y": 1}}}) == [
        "spec.x.y"
    ]


def test_defaults_fill_what_is_missing_but_make_no_parents() -> None:
    schema = of(
        a={"type": "integer", "default": 1},
        n={"type": "string", "nullable": True, "default": "d"},
        o={"type": "object", "properties": {"i": {"type": "integer", "default": 2}}},
        m={"type": "object", "additionalProperties": {"type": "object", "properties": {"i": {"default": 3}}}},
        l={"type": "array", "items": {"type": "object", "properties": {"i": {"default": [4]}}}},
    )
    obj: Tree = {"spec": {"a": None, "n": None, "m": {"k": {}}, "l": [{}, {}]}}
    fill_in(schema, obj)
    assert obj == {"spec": {"a": 1, "n": None, "m": {"k": {"i": 3}}, "l": [{"i": [4]}, {"i": [4]}]}}
    assert obj["spec"]["l"][0]["i"] is not obj["spec"]["l"][1]["i"]
    nothing: Tree = {}
    fill_in(schema, nothing)
    assert nothing == {}


@pytest.mark.parametrize(
    ("schema", "value", "reason", "message"),
    [
        ({"type": "integer"}, "3", "FieldValueTypeInvalid",
         'Invalid value: "string": spec.x in body must be of type integer: "string"'),
        ({"type": "string"}, None, "FieldValueTypeInvalid",
         'Invalid value: "null": spec.x in body must be of type string: "null"'),
        ({"type": "integer"}, True, "FieldValueTypeInvalid",
         'Invalid value: "boolean": spec.x in body must be of type integer: "boolean"'),
        ({"type": "integer", "minimum": 1}, 0, "FieldValueInvalid",
         "Invalid value: 0: spec.x in body should be greater than or equal to 1"),
        ({"type": "integer", "maximum": 1, "exclusiveMaximum": True}, 1, "FieldValueInvalid",
         "Invalid value: 1: spec.x in body should be less than 1"),
        ({"type": "integer", "multipleOf": 2}, 3, "FieldValueInvalid",
         "Invalid value: 3: spec.x in body should be a multiple of 2"),
        ({"type": "string", "enum": ["a", "b"]}, "c", "FieldValueNotSupported",
         'Unsupported value: "c": supported values: "a", "b"'),
        ({"type": "string", "pattern": "^a+$"}, "b", "FieldValueInvalid",
         "Invalid value: \"b\": spec.x in body should match '^a+$'"),
        ({"type": "string", "minLength": 2}, "b", "FieldValueInvalid",
         'Invalid value: "b": spec.x in body should be at least 2 chars long'),
        ({"type": "string", "maxLength": 1}, "bb", "FieldValueTooLong", "Too long: may not be more than 1 byte"),
        ({"type": "string", "format": "date-time"}, "x", "FieldValueTypeInvalid",
         'Invalid value: "x": spec.x in body must be of type date-time: "x"'),
        ({"type": "array", "maxItems": 1}, [1, 2], "FieldValueTooMany", "Too many: 2: must have at most 1 item"),
        ({"type": "array", "minItems": 1}, [], "FieldValueInvalid",
         "Invalid value: 0: spec.x in body should have at least 1 items"),
        ({"type": "array", "items": {"type": "integer"}}, [1, "a"], "FieldValueTypeInvalid",
         'Invalid value: "string": spec.x[1] in body must be of type integer: "string"'),
        ({"type": "object", "required": ["y"]}, {}, "FieldValueRequired", "Required value"),
        ({"type": "array", "x-kubernetes-list-type": "set"}, [1, 1], "FieldValueDuplicate", "Duplicate value: 1"),
        ({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"]},
         [{"k": 1}, {"k": 1, "v": 2}], "FieldValueDuplicate", 'Duplicate value: {"k":1}'),
        ({"x-kubernetes-int-or-string": True}, [], "FieldValueTypeInvalid",
         'Invalid value: "array": spec.x in body must be of type integer,string: "array"'),
    ],
)  # fmt: skip
def test_a_bad_value_is_told_with_its_place_and_reason(
    schema: Tree, value: Any, reason: str, message: str
) -> None:
    assert problem(schema, value) == (reason, message)


VECTORS = Path(__file__).parents[2] / "vectors" / "cel"
UPDATES = json.loads((VECTORS / "updates.json").read_text())
ANSWERS = json.loads((VECTORS / "update-answers.json").read_text())


@pytest.mark.parametrize(
    ("case", "answer"),
    [pytest.param(case, answer, id=case["name"]) for case, answer in zip(UPDATES, ANSWERS, strict=True)],
)
def test_what_stays_as_it_is_is_not_held_against_a_change(case: Tree, answer: list[Tree]) -> None:
    found = problems_of(case["schema"], case["new"], case["old"])
    told = [{"field": p.field or "<nil>", "reason": p.reason, "message": p.message} for p in found]
    in_any_order = sorted(told, key=json.dumps)
    assert in_any_order == sorted(answer, key=json.dumps)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "integer"}, 3.0),
        ({"type": "number"}, 3),
        ({"type": "string", "nullable": True}, None),
        ({"type": "string", "pattern": "(?P<broken"}, "anything"),
        ({"type": "string", "format": "date-time"}, "2024-01-01T00:00:00Z"),
        ({"x-kubernetes-int-or-string": True}, "50%"),
        ({}, None),
    ],
)
def test_a_good_value_passes(schema: Tree, value: Any) -> None:
    assert problems_of(of(x=schema), {"spec": {"x": value}}) == []


def test_problems_are_bounded_and_metadata_is_left_alone() -> None:
    schema = of(l={"type": "array", "items": {"type": "integer"}}) | {"required": ["metadata", "status"]}
    found = problems_of(schema, {"metadata": 3, "spec": {"l": ["x"] * 1000}})
    assert len(found) == PROBLEMS_MAX
    assert (found[0].field, found[0].reason) == ("status", "FieldValueRequired")


@pytest.fixture
def widgets(core: ApiCore) -> ApiCore:
    """Two versions: v1 with a schema, v1beta1 that takes anything."""
    spec = of(size={"type": "integer", "minimum": 1}, color={"type": "string", "default": "red"})
    spec["properties"]["spec"]["required"] = ["size"]
    spec["properties"]["status"] = {"type": "object", "properties": {"ready": {"type": "boolean"}}}
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    core.create(
        "customresourcedefinitions.apiextensions.k8s.io",
        {
            "metadata": {"name": "widgets.ex.io"},
            "spec": {
                "group": "ex.io",
                "scope": "Namespaced",
                "names": {"plural": "widgets", "kind": "Widget"},
                "versions": [
                    {
                        "name": "v1",
                        "served": True,
                        "storage": True,
                        "subresources": {"status": {}},
                        "selectableFields": [{"jsonPath": ".spec.color"}],
                        "schema": {"openAPIV3Schema": spec},
                    },
                    {
                        "name": "v1beta1",
                        "served": True,
                        "storage": False,
                        "schema": {"openAPIV3Schema": anything},
                    },
                ],
            },
        },
    )
    return core


def widget(version: str = "v1", **spec: Any) -> Tree:
    return {"apiVersion": f"ex.io/{version}", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec}


def test_a_custom_object_is_pruned_defaulted_and_stored(widgets: ApiCore) -> None:
    heard: list[str] = []
    given = widget(size=2, wrong=1)
    stored = widgets.create("widgets.ex.io", given, "default", on_unknown=heard.extend)
    assert stored.decode()["spec"] == {"size": 2, "color": "red"}
    assert heard == ["spec.wrong"]
    assert given["spec"] == {"size": 2, "wrong": 1}
    assert stored.fields == {"spec.color": "red"}


def test_a_bad_custom_object_is_refused_with_every_bad_field(widgets: ApiCore) -> None:
    with pytest.raises(StatusError) as refused:
        widgets.create("widgets.ex.io", widget(size=0, color=3), "default")
    error = refused.value
    assert (error.code, error.reason) == (422, "Invalid")
    assert error.details is not None
    assert [c["field"] for c in error.details["causes"]] == ["spec.size", "spec.color"]
    assert error.message.startswith('Widget.ex.io "w" is invalid: [spec.size: Invalid value: 0: ')


def test_a_bad_update_patch_and_status_are_refused(widgets: ApiCore) -> None:
    widgets.create("widgets.ex.io", widget(size=1), "default")
    with pytest.raises(StatusError):
        widgets.patch("widgets.ex.io", lambda o: {**o, "spec": {}}, "w", "default")
    bad = {"status": {"ready": "yes"}}
    with pytest.raises(StatusError) as refused:
        widgets.patch("widgets.ex.io", lambda o: o | bad, "w", "default", subresource="status")
    assert "status.ready" in refused.value.message


def test_each_version_checks_by_its_own_schema(widgets: ApiCore) -> None:
    beta = widgets.catalogue.find("ex.io", "v1beta1", "widgets")
    assert beta is not None
    stored = widgets.create(beta, widget("v1beta1", anything=1), "default")
    assert stored.decode()["apiVersion"] == "ex.io/v1"
    assert stored.decode()["spec"] == {"anything": 1}


def test_a_definition_that_converts_and_does_not_say_by_whom_is_refused(widgets: ApiCore) -> None:
    def with_webhook(obj: Tree) -> Tree:
        return {**obj, "spec": {**obj["spec"], "conversion": {"strategy": "Webhook"}}}

    with pytest.raises(StatusError) as refused:
        widgets.patch("customresourcedefinitions.apiextensions.k8s.io", with_webhook, "widgets.ex.io")
    assert refused.value.code == 422
    assert "spec.conversion.webhookClientConfig: Required value" in refused.value.message
