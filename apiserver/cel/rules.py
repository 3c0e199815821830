"""The rules of a schema (``x-kubernetes-validations``), put to an object and the one that was there before."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from deltawire.apiserver.cel.field_paths import steps_of
from deltawire.apiserver.cel.library import CompileError, run
from deltawire.apiserver.cel.meter import Budget, BudgetExceeded, CallCostExceeded, EvaluationError
from deltawire.apiserver.cel.values import value_of
from deltawire.apiserver.schemas.validate import Problem

Schema = Mapping[str, Any]

# Causes that are reported for one object, as for schemas.
PROBLEMS_MAX = 100
# The longest message that an expression may make, in bytes.
MESSAGE_BYTES_MAX = 5 * 1024
RULES = "x-kubernetes-validations"
_STRINGS = re.compile(r"""r?("([^"\\]|\\.)*"|'([^'\\]|\\.)*')""")
_OLD = re.compile(r"\boldSelf\b")
_NO_OVERLOAD = "call arguments did not match a supported operator, function or macro signature for rule"
_TOO_EXPENSIVE = "no further validation rules will be run due to call cost exceeds limit for rule"
_REASONS = {
    "FieldValueForbidden": "Forbidden: {}",
    "FieldValueRequired": "Required value: {}",
    "FieldValueDuplicate": "Duplicate value",
}


class Rules:
    """All rules of one schema. Nothing is compiled before the first object comes."""

    def __init__(self, schema: Schema) -> None:
        self._root = _Node(schema, is_root=True)

    def problems(self, obj: dict[str, Any], old: dict[str, Any] | None = None) -> list[Problem]:
        """What ``obj`` breaks, at most `PROBLEMS_MAX`. What is as it was is not held against it.

        Where the rules cost more than an object may, the last problem says so, and no further rule is run.
        """
        walk = _Walk()
        found = self._root.problems(walk, "", obj, old, is_same=False, is_correlated=old is not None)
        return [problem for problem, _ in zip(walk.until_stopped(found), range(PROBLEMS_MAX), strict=False)]


def has_rules(schema: Any) -> bool:
    """Whether some place of a schema has rules of its own."""
    if isinstance(schema, dict):
        return RULES in schema or any(has_rules(child) for child in schema.values())
    return isinstance(schema, list) and any(has_rules(child) for child in schema)


def uses_old(expression: str) -> bool:
    """Whether a rule is about a change."""
    return _OLD.search(_STRINGS.sub("", expression)) is not None


class _Walk:
    """All rules put to one object."""

    def __init__(self) -> None:
        self.budget = Budget()
        self.is_stopped = False

    def until_stopped(self, found: Iterator[Problem]) -> Iterator[Problem]:
        for problem in found:
            yield problem
            if self.is_stopped:
                return


class _Node:
    """One place of a schema with what lies below it; None takes the place of what has no rules."""

    def __init__(self, schema: Schema, *, is_root: bool = False, of: Schema | None = None) -> None:
        # The schema that says what the values are; in allOf it is that of the place around.
        self._schema = schema if of is None else of
        self._is_root = is_root
        self._rules = [rule for rule in schema.get(RULES) or () if (rule.get("rule") or "").strip()]
        known = self._schema.get("properties") or {}
        self._properties = {
            name: node
            for name, child in (schema.get("properties") or {}).items()
            if name in known and (node := _node(child, known[name])) is not None
        }
        self._further = _node(schema.get("additionalProperties"), self._schema.get("additionalProperties"))
        self._items = _node(schema.get("items"), self._schema.get("items"))
        self._all = [
            node
            for part in schema.get("allOf") or ()
            if not (node := _Node(part, is_root=is_root, of=self._schema)).is_empty
        ]

    @property
    def is_empty(self) -> bool:
        return not (self._rules or self._properties or self._further or self._items or self._all)

    def problems(
        self, walk: _Walk, path: str, value: Any, old: Any, *, is_same: bool, is_correlated: bool
    ) -> Iterator[Problem]:
        """``is_same`` says whether something around is as it was, ``is_correlated`` whether ``old`` is known."""
        if value is None:
            return
        is_same = value == old if is_correlated else is_same
        yield from self._own(walk, path, value, old, is_same=is_same)
        for node in self._all:
            yield from node.problems(walk, path, value, old, is_same=is_same, is_correlated=False)
        if isinstance(value, dict):
            yield from self._below(walk, path, value, old, is_same=is_same, is_correlated=is_correlated)
        elif isinstance(value, list) and self._items is not None:
            earlier = _by_key(self._schema, old)
            for position, item in enumerate(value):
                before = earlier.get(_key_of(self._schema, item)) if earlier else None
                yield from self._items.problems(
                    walk,
                    f"{path}[{position}]",
                    item,
                    before,
                    is_same=is_same,
                    is_correlated=is_correlated and before is not None,
                )

    def _below(
        self, walk: _Walk, path: str, value: dict[str, Any], old: Any, *, is_same: bool, is_correlated: bool
    ) -> Iterator[Problem]:
        earlier = old if isinstance(old, dict) else {}
        for name, child in value.items():
            node, below = self._properties.get(name), f"{path}.{name}" if path else name
            if node is None and name not in (self._schema.get("properties") or {}):
                node, below = self._further, f"{path}[{name}]"
            if node is not None:
                known = is_correlated and name in earlier
                yield from node.problems(
                    walk, below, child, earlier.get(name), is_same=is_same, is_correlated=known
                )

    def _own(self, walk: _Walk, path: str, value: Any, old: Any, *, is_same: bool) -> Iterator[Problem]:
        if not self._rules:
            return
        values = {"self": value_of(self._schema, value, is_root=self._is_root), "oldSelf": None}
        if old is not None:
            values["oldValue"] = values["oldSelf"] = value_of(self._schema, old, is_root=self._is_root)
        for rule in self._rules:
            text = rule["rule"]
            is_optional, is_about_change = bool(rule.get("optionalOldSelf")), uses_old(text)
            if is_about_change and old is None and not is_optional:
                continue
            try:
                is_kept = run(_with_optional(text, old) if is_optional else text, values, walk.budget)
            except (CompileError, EvaluationError) as error:
                walk.is_stopped = isinstance(error, BudgetExceeded | CallCostExceeded)
                yield self._broken(path, rule, error)
                continue
            if is_kept is True or (is_same and not is_about_change):
                continue
            yield self._refusal(walk, path, rule, value, values)

    def _broken(self, path: str, rule: Mapping[str, Any], error: ValueError) -> Problem:
        told = (rule.get("message") or rule["rule"]).strip()
        kind = msgspec.json.encode(self._schema.get("type") or "").decode()
        if isinstance(error, BudgetExceeded):
            return Problem(path, f"Invalid value: {kind}: {error}")
        if isinstance(error, CallCostExceeded):
            return Problem(path, f"Invalid value: {kind}: '{error}': {_TOO_EXPENSIVE}: {told}")
        if str(error).startswith("no such overload"):
            return Problem(path, f"Invalid value: {kind}: '{error}': {_NO_OVERLOAD}: {told}")
        return Problem(path, f"Invalid value: {kind}: {error} evaluating rule: {told}")

    def _refusal(
        self, walk: _Walk, path: str, rule: Mapping[str, Any], value: Any, values: Mapping[str, Any]
    ) -> Problem:
        if rule.get("fieldPath"):
            steps = steps_of(rule["fieldPath"], self._schema) or []
            path = f"{path}.{''.join(steps).removeprefix('.')}" if path else "".join(steps).removeprefix(".")
        told = (
            _message(rule, values, walk.budget)
            or (rule.get("message") or f"failed rule: {rule['rule'].strip()}").strip()
        )
        reason = rule.get("reason") or "FieldValueInvalid"
        shown = ""
        if self._schema.get("type") not in ("object", "array"):
            shown = msgspec.json.encode(value).decode()
        if reason in _REASONS:
            message = _REASONS[reason].format(told)
            return Problem(
                path, f"{message}: {shown}" if reason.endswith("Duplicate") and shown else message, reason
            )
        return Problem(path, f"Invalid value: {shown}: {told}" if shown else f"Invalid value: {told}", reason)


def _node(schema: Any, of: Any) -> _Node | None:
    if not isinstance(schema, Mapping) or not isinstance(of, Mapping):
        return None
    node = _Node(schema, is_root=bool(of.get("x-kubernetes-embedded-resource")), of=of)
    return None if node.is_empty else node


def _with_optional(rule: str, old: Any) -> str:
    """The rule with oldSelf as an optional value, which the library takes from expressions only."""
    given = "optional.none()" if old is None else "optional.of(oldValue)"
    return f"[{given}].all(oldSelf, ({rule}\n))"


def _message(rule: Mapping[str, Any], values: Mapping[str, Any], budget: Budget) -> str:
    """What the rule's own expression says; "" where it has none, or it says nothing that can be shown."""
    if not rule.get("messageExpression"):
        return ""
    try:
        told = run(rule["messageExpression"], values, budget)
    except (CompileError, EvaluationError):
        return ""
    told = told.strip() if isinstance(told, str) else ""
    return told if len(told.encode()) <= MESSAGE_BYTES_MAX and "\n" not in told else ""


def _by_key(schema: Schema, items: Any) -> dict[Any, Any]:
    if schema.get("x-kubernetes-list-type") != "map" or not isinstance(items, list):
        return {}
    return {_key_of(schema, item): item for item in items}


def _key_of(schema: Schema, item: Any) -> bytes:
    keys = schema.get("x-kubernetes-list-map-keys") or ()
    return msgspec.json.encode([item.get(key) if isinstance(item, dict) else None for key in keys])
