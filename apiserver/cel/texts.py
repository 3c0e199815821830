"""The functions of CEL's library of strings, as far as Kubernetes has them.

Written here since the library's own cannot stand beside functions on lists of the same names.
"""

import json
from typing import Any


def _char_at(text: str, at: int) -> str:
    if not 0 <= at <= len(text):
        raise ValueError(f"index out of range: {at}")
    return text[at : at + 1]


def _index_of(text: str, wanted: str, start: int = 0) -> int:
    if not 0 <= start <= len(text) and wanted:
        raise ValueError(f"index out of range: {start}")
    return text.find(wanted, start)


def _last_index_of(text: str, wanted: str, end: int | None = None) -> int:
    if end is None:
        return text.rfind(wanted)
    if not 0 <= end <= len(text) and wanted:
        raise ValueError(f"index out of range: {end}")
    return text.rfind(wanted, 0, end + len(wanted))


def _joined(parts: list[str], separator: str = "") -> str:
    return separator.join(parts)


def _lower(text: str) -> str:
    return "".join(char.lower() if char.isascii() else char for char in text)


def _upper(text: str) -> str:
    return "".join(char.upper() if char.isascii() else char for char in text)


def _replaced(text: str, old: str, new: str, count: int = -1) -> str:
    return text.replace(old, new, count)


def _split(text: str, separator: str, count: int = -1) -> list[str]:
    if count == 0:
        return []
    if not separator:
        pieces = list(text)
        return (
            pieces
            if count < 0 or len(pieces) <= count
            else [*pieces[: count - 1], "".join(pieces[count - 1 :])]
        )
    return text.split(separator, count - 1 if count > 0 else -1)


def _substring(text: str, start: int, end: int | None = None) -> str:
    end = len(text) if end is None else end
    for at in (start, end):
        if not 0 <= at <= len(text):
            raise ValueError(f"index out of range: {at}")
    if start > end:
        raise ValueError(f"invalid substring range. start: {start}, end: {end}")
    return text[start:end]


def _shown(value: Any) -> str:
    match value:
        case bool():
            return str(value).lower()
        case None:
            return "null"
        case list():
            return f"[{', '.join(map(_shown, value))}]"
        case dict():
            return "{" + ", ".join(f"{_shown(key)}: {_shown(value[key])}" for key in sorted(value)) + "}"
        case float() if value.is_integer():
            return str(int(value))
    return str(value)


_NUMBERS = {"d": "d", "b": "b", "x": "x", "X": "X", "o": "o", "f": "f", "e": "e"}


def _formatted(template: str, values: list[Any]) -> str:
    written, rest, position = "", template, 0
    while True:
        before, sign, rest = rest.partition("%")
        written += before
        if not sign:
            return written
        if rest.startswith("%"):
            written, rest = f"{written}%", rest[1:]
            continue
        precision = ""
        if rest.startswith("."):
            digits = len(rest) - len(rest[1:].lstrip("0123456789")) - 1
            precision, rest = rest[: digits + 1], rest[digits + 1 :]
        clause, rest = rest[:1], rest[1:]
        if position >= len(values):
            raise ValueError(f"index {position} out of range")
        written += _clause(clause, precision, values[position])
        position += 1


def _clause(clause: str, precision: str, value: Any) -> str:
    if clause == "s":
        return _shown(value)
    if clause in ("x", "X") and isinstance(value, str | bytes):
        written = (value.encode() if isinstance(value, str) else value).hex()
        return written.upper() if clause == "X" else written
    if clause not in _NUMBERS:
        raise ValueError(f'could not parse formatting clause: unrecognized formatting clause "{clause}"')
    try:
        return format(value, f"{precision if clause in 'fe' else ''}{_NUMBERS[clause]}")
    except (ValueError, TypeError):
        raise ValueError(f"error during formatting: {_shown(value)} does not fit %{clause}") from None


FUNCTIONS: tuple[tuple[Any, ...], ...] = (
    ("charAt", ("string", "int"), "string", _char_at, True),
    ("indexOf", ("string", "string"), "int", _index_of, True),
    ("indexOf", ("string", "string", "int"), "int", _index_of, True),
    ("lastIndexOf", ("string", "string"), "int", _last_index_of, True),
    ("lastIndexOf", ("string", "string", "int"), "int", _last_index_of, True),
    ("join", ("list(string)",), "string", _joined, True),
    ("join", ("list(string)", "string"), "string", _joined, True),
    ("lowerAscii", ("string",), "string", _lower, True),
    ("upperAscii", ("string",), "string", _upper, True),
    ("replace", ("string", "string", "string"), "string", _replaced, True),
    ("replace", ("string", "string", "string", "int"), "string", _replaced, True),
    ("split", ("string", "string"), "list(string)", _split, True),
    ("split", ("string", "string", "int"), "list(string)", _split, True),
    ("substring", ("string", "int"), "string", _substring, True),
    ("substring", ("string", "int", "int"), "string", _substring, True),
    ("trim", ("string",), "string", str.strip, True),
    ("format", ("string", "list(dyn)"), "string", _formatted, True),
    ("strings.quote", ("string",), "string", lambda text: json.dumps(text, ensure_ascii=False), False),
)
