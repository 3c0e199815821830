"""The rules that a definition of a custom resource brings, looked at before any object is."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from deltawire.apiserver.cel.bounds import Bound, bound_of
from deltawire.apiserver.cel.definition_costs import Costs, count_below
from deltawire.apiserver.cel.field_paths import steps_of
from deltawire.apiserver.cel.library import ANY, Checker, CompileError
from deltawire.apiserver.cel.rules import RULES, uses_old
from deltawire.apiserver.cel.shapes import Shape, is_embedded, shape_of
from deltawire.apiserver.cel.syntax import Tree
from deltawire.apiserver.rules.causes import Cause, Causes, cause, invalid, required, shown, unsupported

Schema = Mapping[str, Any]

_REASONS = ("FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired")
# A rule as Go writes its internal type.
_INTERNAL = {
    "Rule": ("rule", ""),
    "Message": ("message", ""),
    "MessageExpression": ("messageExpression", ""),
    "Reason": ("reason", None),
    "FieldPath": ("fieldPath", ""),
    "OptionalOldSelf": ("optionalOldSelf", None),
}


def causes_of_rules(schema: Schema, path: str) -> list[Cause]:
    """What is wrong with the rules of a structural schema at ``path``: first their form, then what they say."""
    places = list(_places(schema, path, "", 1, is_root=True))
    forms = [found for place in places for found in _form(place)]
    if forms:
        return forms
    costs = Costs()
    return [*(found for place in places for found in _meaning(place, costs)), *costs.causes(path)]


class _Place(NamedTuple):
    """``count_max`` is how often it can be there in one object, None where that is not bounded."""

    schema: Schema
    path: str
    uncorrelated: str
    count_max: int | None
    is_root: bool

    @property
    def rules(self) -> list[Mapping[str, Any]]:
        return [rule for rule in self.schema.get(RULES) or () if isinstance(rule, Mapping)]


def _places(
    schema: Any, path: str, uncorrelated: str, count: int | None, *, is_root: bool
) -> Iterator[_Place]:
    """All places with rules. ``uncorrelated`` is where, around it, items lose their past."""
    if not isinstance(schema, Mapping):
        return
    further, inner_count = schema.get("additionalProperties"), count_below(schema, count)
    embedded = is_embedded(further)
    yield from _places(further, f"{path}.additionalProperties", uncorrelated, inner_count, is_root=embedded)
    for name, child in sorted((schema.get("properties") or {}).items()):
        below = f"{path}.properties[{name}]"
        yield from _places(child, below, uncorrelated, inner_count, is_root=is_embedded(child))
    items = schema.get("items")
    is_map = schema.get("x-kubernetes-list-type") == "map"
    inner = uncorrelated or ("" if is_map else path)
    yield from _places(items, f"{path}.items", inner, inner_count, is_root=is_embedded(items))
    if schema.get(RULES):
        yield _Place(schema, path, uncorrelated, count, is_root)


def _form(place: _Place) -> Causes:
    for position, rule in enumerate(place.rules):
        at = f"{place.path}.{RULES}[{position}]"
        text, message = rule.get("rule") or "", rule.get("message") or ""
        if not text.strip():
            yield required(f"{at}.rule", "rule is not specified")
        elif message and not message.strip():
            yield invalid(f"{at}.message", message, "must be non-empty if specified")
        elif "\n" in message.strip():
            yield invalid(f"{at}.message", message, "must not contain line breaks")
        elif "\n" in text.strip() and not message.strip():
            yield required(f"{at}.message", "message must be specified if rule contains line breaks")
        expression = rule.get("messageExpression") or ""
        if expression and not expression.strip():
            yield required(f"{at}.messageExpression", "messageExpression must be non-empty if specified")
        reason = rule.get("reason")
        if reason is not None and reason not in _REASONS:
            yield unsupported(f"{at}.reason", reason, _REASONS)
        yield from _field_path(place.schema, f"{at}.fieldPath", rule.get("fieldPath") or "")


def _field_path(schema: Schema, at: str, path: str) -> Causes:
    if not path:
        return
    if not path.strip():
        yield invalid(at, path, "must be non-empty if specified")
    if "\n" in path:
        yield invalid(at, path, "must not contain line breaks")
    if steps_of(path, schema) is None:
        yield invalid(at, path, "must be a valid path")


def _meaning(place: _Place, costs: Costs) -> Causes:
    shape = shape_of(place.schema, is_root=place.is_root)
    bound = bound_of(place.schema, is_root=place.is_root) or Bound("object")
    plain, optional = (
        Checker({"self": shape, "oldSelf": old}) for old in (shape, Shape("dyn") if shape else None)
    )
    for position, rule in enumerate(place.rules):
        at = f"{place.path}.{RULES}[{position}]"
        checker = optional if rule.get("optionalOldSelf") else plain
        tree, refusals = _checked(checker, rule, "rule", at, "bool")
        yield from costs.rule(at, tree, bound, place.count_max)
        yield from refusals
        if rule.get("messageExpression") and tree is not None:
            tree, refusals = _checked(checker, rule, "messageExpression", at, "string")
            yield from refusals
            if tree is not None:
                yield from costs.message(at, tree, bound)
        if uses_old(rule["rule"]):
            if place.uncorrelated:
                why = f"oldSelf cannot be used on the uncorrelatable portion of the schema within {place.uncorrelated}"
                yield invalid(f"{at}.rule", rule["rule"], why)
        elif rule.get("optionalOldSelf") is not None:
            why = "may not be set if oldSelf is not used in rule"
            yield invalid(f"{at}.optionalOldSelf", rule["optionalOldSelf"], why)


def _checked(
    checker: Checker, rule: Mapping[str, Any], name: str, at: str, wanted: str
) -> tuple[Tree | None, list[Cause]]:
    """The expression as a tree, or why it is refused."""
    begins = "" if name == "rule" else "messageExpression "
    try:
        gives, tree = checker.checked(rule[name])
    except CompileError as error:
        return None, [_refused(f"{at}.{name}", rule, f"{begins}compilation failed: {error}")]
    if gives not in (wanted, ANY):
        what = "cel expression" if name == "rule" else "messageExpression"
        return None, [_refused(f"{at}.{name}", rule, f"{what} must evaluate to a {wanted}")]
    return tree, []


def _refused(field: str, rule: Mapping[str, Any], why: str) -> Cause:
    told = shown({inside: rule.get(name, empty) for inside, (name, empty) in _INTERNAL.items()})
    # Go writes JSON so that it may stand in HTML.
    for sign in "<>&":
        told = told.replace(sign, f"\\u{ord(sign):04x}")
    return cause(field, f"Invalid value: {told}: {why}", "FieldValueInvalid")
