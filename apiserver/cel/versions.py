"""Semantic versions in rules: ``semver("1.2.3").isLessThan(semver("2.0.0"))``."""

import re
from typing import Any

NAME = "kubernetes.Semver"
_Value = dict[str, Any]
_VERSION = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?"
)
_LOOSE = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(.*)")


def _normalized(text: str) -> str:
    found = _LOOSE.fullmatch(text)
    if found is None:
        return text
    return ".".join(str(int(part or 0)) for part in found.groups()[:3]) + found[4]


def _semver(text: str, normalize: bool = False) -> _Value:
    text = _normalized(text) if normalize else text
    if not _VERSION.fullmatch(text):
        raise ValueError("No Major.Minor.Patch elements found")
    return {"@type": NAME, "value": text}


def _is_semver(text: str, normalize: bool = False) -> bool:
    return _VERSION.fullmatch(_normalized(text) if normalize else text) is not None


def _number(value: _Value, place: int) -> int:
    found = _VERSION.fullmatch(value["value"])
    return int(found[place]) if found else 0


def _order(value: _Value) -> tuple[Any, ...]:
    """A release comes after its candidates; numbers among their parts count as such, and before words."""
    found = _VERSION.fullmatch(value["value"])
    if found is None:
        return ()
    candidate = found[4]
    parts = [
        (0, int(part), "") if part.isdecimal() else (1, 0, part) for part in (candidate or "").split(".")
    ]
    return (int(found[1]), int(found[2]), int(found[3]), candidate is None, parts)


def _compared(one: _Value, other: _Value) -> int:
    a, b = _order(one), _order(other)
    return (a > b) - (a < b)


FUNCTIONS: tuple[tuple[Any, ...], ...] = (
    ("semver", ("string",), NAME, _semver, False),
    ("semver", ("string", "bool"), NAME, _semver, False),
    ("isSemver", ("string",), "bool", _is_semver, False),
    ("isSemver", ("string", "bool"), "bool", _is_semver, False),
    ("isGreaterThan", (NAME, NAME), "bool", lambda a, b: _compared(a, b) > 0, True),
    ("isLessThan", (NAME, NAME), "bool", lambda a, b: _compared(a, b) < 0, True),
    ("compareTo", (NAME, NAME), "int", _compared, True),
    ("major", (NAME,), "int", lambda value: _number(value, 1), True),
    ("minor", (NAME,), "int", lambda value: _number(value, 2), True),
    ("patch", (NAME,), "int", lambda value: _number(value, 3), True),
)
