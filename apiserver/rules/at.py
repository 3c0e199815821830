"""Rules about the values at a path, for tables. What is not there is not wrong, unless it is needed.

A path is dotted: ``spec.ports[*].name`` is the name of each port, ``data{*}`` each value of a map. `below` leads rules
for a part of an object, like a container, to each such part.
"""

from collections.abc import Callable, Iterator
from typing import Any

from deltawire.apiserver.kinds.quantities import amount
from deltawire.apiserver.rules.causes import (
    NOT_NEGATIVE,
    Cause,
    Causes,
    Rule,
    Tree,
    cause,
    duplicate,
    forbidden,
    invalid,
    look,
    required,
    unsupported,
)
from deltawire.apiserver.rules.forms import Form, label_key, label_value, port_name

# What is wrong with one value, given its path.
Check = Callable[[str, Any], Causes]
_EMPTY: tuple[Any, ...] = (None, "", [], {})
SELECTOR_SIGNS = ("In", "NotIn", "Exists", "DoesNotExist")


def at(path: str, *checks: Check) -> Rule:
    """Each value at ``path`` passes the checks."""
    steps = path.split(".")

    def rule(obj: Tree) -> Causes:
        for field, value in _found(obj, steps, ""):
            for check in checks:
                yield from check(field, value)

    return rule


def below(path: str, *rules: Rule) -> Rule:
    """Rules for the objects at ``path``."""
    steps = path.split(".")

    def rule(obj: Tree) -> Causes:
        for field, part in _found(obj, steps, ""):
            if isinstance(part, dict):
                for inner in rules:
                    for found in inner(part):
                        yield inside(field, found)

    return rule


def inside(field: str, found: Cause) -> Cause:
    """A cause of a part, told with the path of the whole."""
    told = found["field"]
    joint = "" if not told or told.startswith("[") else "."
    return {**found, "field": f"{field}{joint}{told}"}


def need(path: str, why: str = "") -> Rule:
    """What is at ``path`` holds the last step, not empty."""
    before, _, name = path.rpartition(".")
    steps = before.split(".") if before else []

    def rule(obj: Tree) -> Causes:
        for field, part in _found(obj, steps, ""):
            if isinstance(part, dict) and part.get(name) in _EMPTY:
                yield required(f"{field}.{name}" if field else name, why)

    return rule


def _found(value: Any, steps: list[str], field: str) -> Iterator[tuple[str, Any]]:
    """The values under ``steps`` with their paths; none that are not there."""
    if not steps:
        if value is not None:
            yield field, value
        return
    step, further = steps[0], steps[1:]
    name, many = (step[:-3], step[-3]) if step.endswith(("[*]", "{*}")) else (step, "")
    if not isinstance(value, dict):
        return
    inner = value.get(name)
    where = f"{field}.{name}" if field else name
    if not many:
        if inner is not None:
            yield from _found(inner, further, where)
    elif isinstance(inner, list) and many == "[":
        for position, item in enumerate(inner):
            yield from _found(item, further, f"{where}[{position}]")
    elif isinstance(inner, dict) and many == "{":
        for key, item in inner.items():
            yield from _found(item, further, f"{where}[{key}]")


def choice(*supported: str) -> Check:
    def check(field: str, value: Any) -> Causes:
        if value == "":
            yield required(field)
        elif value not in supported:
            yield unsupported(field, value, supported)

    return check


def form(*forms: Form) -> Check:
    """Texts that are not empty have these forms."""

    def check(field: str, value: Any) -> Causes:
        for known in forms:
            if isinstance(value, str) and value:
                for why in known(value):
                    yield invalid(field, value, why)

    return check


def at_least(least: int, told: str = "") -> Check:
    def check(field: str, value: Any) -> Causes:
        if isinstance(value, int) and value < least:
            yield invalid(field, value, told or f"must be greater than or equal to {least}")

    return check


def above(bound: int, told: str = "") -> Check:
    return at_least(bound + 1, told or f"must be greater than {bound}")


def between(low: int, high: int, told: str = "") -> Check:
    def check(field: str, value: Any) -> Causes:
        if isinstance(value, int) and not low <= value <= high:
            yield invalid(field, value, told or f"must be between {low} and {high}, inclusive")

    return check


def refused(why: str) -> Check:
    """Nothing may be there."""

    def check(field: str, value: Any) -> Causes:
        if value not in _EMPTY:
            yield forbidden(field, why)

    return check


def longest(bytes_max: int) -> Check:
    def check(field: str, value: Any) -> Causes:
        if isinstance(value, str) and len(value.encode()) > bytes_max:
            yield cause(field, f"Too long: may not be more than {bytes_max} bytes", "FieldValueTooLong")

    return check


def quantity(field: str, value: Any) -> Causes:
    """Not less than nothing."""
    if amount(value) < 0:
        yield invalid(field, value, NOT_NEGATIVE)


def port_or_name(field: str, value: Any) -> Causes:
    if isinstance(value, str):
        for why in port_name(value):
            yield invalid(field, value, why)
    elif not 0 < value < 65536:
        yield invalid(field, value, "must be between 1 and 65535, inclusive")


def once(*names: str, is_whole: bool = False) -> Check:
    """No two items of a list are the same in these fields (or in all, without names)."""

    def check(field: str, value: Any) -> Causes:
        seen: list[Any] = []
        for position, item in enumerate(value if isinstance(value, list) else ()):
            key = [item.get(name) for name in names] if names and isinstance(item, dict) else item
            if key in seen:
                where = f"{field}[{position}]"
                shown = key[0] if isinstance(key, list) and len(names) == 1 else key
                if names and not is_whole:
                    yield duplicate(f"{where}.{names[0]}", shown)
                else:
                    yield duplicate(where, item if is_whole else shown)
            elif key not in (None, "", [None], [""]):
                seen.append(key)

    return check


def labels(field: str, value: Any) -> Causes:
    """A map of labels."""
    for key, text in value.items() if isinstance(value, dict) else ():
        for why in label_key(key):
            yield invalid(field, key, why)
        for why in label_value(text):
            yield invalid(field, text, why)


def selector(field: str, value: Any) -> Causes:
    """A structured selector of labels."""
    yield from labels(f"{field}.matchLabels", look(value, "matchLabels"))
    for position, term in enumerate(look(value, "matchExpressions") or ()):
        where, sign, values = (
            f"{field}.matchExpressions[{position}]",
            term.get("operator"),
            term.get("values"),
        )
        if sign not in SELECTOR_SIGNS:
            yield invalid(f"{where}.operator", sign or "", "not a valid selector operator")
        elif sign in SELECTOR_SIGNS[:2] and not values:
            yield required(f"{where}.values", "must be specified when `operator` is 'In' or 'NotIn'")
        elif sign in SELECTOR_SIGNS[2:] and values:
            yield forbidden(
                f"{where}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            )
        for why in label_key(str(term.get("key") or "")):
            yield invalid(f"{where}.key", term.get("key") or "", why)
        for index, text in enumerate(values or ()):
            for why in label_value(text):
                yield invalid(f"{where}.values[{index}]", text, why)


def when(test: Callable[[Tree], Any], *rules: Rule) -> Rule:
    """Rules for objects of which something holds."""

    def rule(obj: Tree) -> Causes:
        if test(obj):
            for inner in rules:
                yield from inner(obj)

    return rule
