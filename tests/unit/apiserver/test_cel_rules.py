"""Rules in CEL through the core: when they are run, and on what."""

import subprocess
import sys
from typing import Any

import pytest

from deltawire.apiserver.core.api import ApiCore
from deltawire.common.errors import StatusError

Tree = dict[str, Any]
DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"
SIZE: Tree = {"type": "integer"}


def definition(*rules: Tree, **properties: Tree) -> Tree:
    spec: Tree = {"type": "object", "properties": properties or {"size": SIZE}}
    if rules:
        spec["x-kubernetes-validations"] = list(rules)
    schema = {"type": "object", "properties": {"spec": spec}}
    return {
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
            ],
        },
    }


def defined(core: ApiCore, *rules: Tree) -> None:
    core.create(DEFINITIONS, definition(*rules))


def widget(size: int) -> Tree:
    head = {"kind": "Widget", "apiVersion": "example.com/v1"}
    return {**head, "metadata": {"name": "w"}, "spec": {"size": size}}


def test_a_transition_rule_holds_for_updates_only(core: ApiCore) -> None:
    defined(core, {"rule": "self.size >= oldSelf.size", "message": "grows only"})
    stored = core.create("widgets.example.com", widget(2), "default").decode()
    with pytest.raises(StatusError, match="spec: Invalid value: grows only") as caught:
        core.update("widgets.example.com", {**stored, "spec": {"size": 1}}, "w", "default")
    assert caught.value.code == 422
    core.update("widgets.example.com", {**stored, "spec": {"size": 3}}, "w", "default")


def test_a_rule_that_came_later_does_not_hold_back_what_stays_as_it_is(core: ApiCore) -> None:
    defined(core, {"rule": "self.size > 0"})
    stored = core.create("widgets.example.com", widget(1), "default").decode()
    name = "widgets.example.com"
    changed = core.get(DEFINITIONS, name).decode()
    changed["spec"] = {**changed["spec"], **definition({"rule": "self.size > 5"})["spec"]}
    changed["spec"]["names"] |= {"singular": "widget", "listKind": "WidgetList"}
    core.update(DEFINITIONS, changed, name)
    stored["metadata"]["labels"] = {"a": "b"}
    labelled = core.update(name, stored, "w", "default").decode()
    with pytest.raises(StatusError, match=r"failed rule: self\.size > 5"):
        core.update(name, {**labelled, "spec": {"size": 2}}, "w", "default")


def test_a_definition_with_a_rule_about_a_field_that_is_not_there_is_refused(core: ApiCore) -> None:
    with pytest.raises(StatusError, match="undefined field 'sizes'") as caught:
        defined(core, {"rule": "self.sizes > 1"})
    (cause,) = (caught.value.details or {})["causes"]
    place = "spec.validation.openAPIV3Schema.properties[spec].x-kubernetes-validations[0].rule"
    assert cause["field"] == place


def test_rules_are_not_run_where_the_schema_is_broken_already(core: ApiCore) -> None:
    defined(core, {"rule": "self.size > 1"})
    with pytest.raises(StatusError, match="some validation rules were not checked"):
        core.create("widgets.example.com", {**widget(2), "spec": {"size": "x"}}, "default")


def test_the_library_is_loaded_with_the_first_rule_and_not_before() -> None:
    program = """
import sys
from deltawire.apiserver.core.api import ApiCore
from tests.unit.apiserver.test_cel_rules import DEFINITIONS, definition
core = ApiCore()
core.bootstrap()
core.create(DEFINITIONS, definition())
assert not {"cel_expr_python", "google.protobuf", "prometheus_client"} & set(sys.modules), "loaded too early"
core.delete(DEFINITIONS, "widgets.example.com")
core.create(DEFINITIONS, definition({"rule": "self.size > 1"}))
assert "cel_expr_python" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=50)


def test_a_schema_that_became_stricter_does_not_hold_back_what_stays_as_it_is(core: ApiCore) -> None:
    name = "widgets.example.com"
    core.create(DEFINITIONS, definition(size=SIZE, other=SIZE))
    stored = core.create(name, widget(1), "default").decode()
    changed = core.get(DEFINITIONS, name).decode()
    changed["spec"] = {**changed["spec"], **definition(size={**SIZE, "minimum": 5}, other=SIZE)["spec"]}
    changed["spec"]["names"] |= {"singular": "widget", "listKind": "WidgetList"}
    core.update(DEFINITIONS, changed, name)
    stored["spec"]["other"] = 7
    kept = core.update(name, stored, "w", "default").decode()
    assert kept["spec"] == {"size": 1, "other": 7}
    with pytest.raises(StatusError, match="should be greater than or equal to 5"):
        core.update(name, {**kept, "spec": {"size": 2}}, "w", "default")
