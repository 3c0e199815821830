"""The functions that Kubernetes adds to CEL, as one table.

Values of Kubernetes' own types (quantities, addresses, versions) are maps inside: ``{TYPE: its name, "value": …}``.
Functions raise ValueError with the words of the refusal.
"""

import re
from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from deltawire.apiserver.cel import addresses, authorization, formats, quantities, texts, versions

QUANTITY, IP, CIDR, SEMVER = quantities.NAME, addresses.IP, addresses.CIDR, versions.NAME
URL = "kubernetes.URL"
OWN_TYPES = (QUANTITY, IP, CIDR, SEMVER, URL, formats.NAME, *authorization.TYPES)


class Function(NamedTuple):
    """One overload. Types are named as in CEL (``list(int)``), or one of `OWN_TYPES`."""

    name: str
    takes: tuple[str, ...]
    gives: str
    call: Callable[..., Any]
    is_member: bool = True


def _is_sorted(values: list[Any]) -> bool:
    return all(before <= after for before, after in pairwise(values))


def _index_of(values: list[Any], wanted: Any) -> int:
    return next((at for at, value in enumerate(values) if _same(value, wanted)), -1)


def _last_index_of(values: list[Any], wanted: Any) -> int:
    return next((at for at in range(len(values) - 1, -1, -1) if _same(values[at], wanted)), -1)


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)


def _contains(values: list[Any], wanted: list[Any]) -> bool:
    return all(any(_same(value, each) for value in values) for each in wanted)


def _equivalent(one: list[Any], other: list[Any]) -> bool:
    return _contains(one, other) and _contains(other, one)


def _intersects(one: list[Any], other: list[Any]) -> bool:
    return any(_same(a, b) for a in one for b in other)


def _distinct(values: list[Any]) -> list[Any]:
    kept: list[Any] = []
    for value in values:
        if not any(_same(value, known) for known in kept):
            kept.append(value)
    return kept


def _flattened(values: Iterable[Any], depth: int = 1) -> list[Any]:
    flat: list[Any] = []
    for value in values:
        flat += _flattened(value, depth - 1) if isinstance(value, list) and depth else [value]
    return flat


def _sliced(values: list[Any], start: int, end: int) -> list[Any]:
    if not 0 <= start <= end <= len(values):
        raise ValueError(f"cannot slice({start}, {end}), list is length {len(values)}")
    return values[start:end]


def _extreme(pick: Callable[[list[Any]], Any], name: str) -> Callable[[list[Any]], Any]:
    def picked(values: list[Any]) -> Any:
        if not values:
            raise ValueError(f"{name} called on empty list")
        return pick(values)

    return picked


def _find(text: str, pattern: str) -> str:
    found = _compiled(pattern).search(text)
    return found[0] if found else ""


def _find_all(text: str, pattern: str, count: int = -1) -> list[str]:
    found = [match[0] for match in _compiled(pattern).finditer(text)]
    return found if count < 0 else found[:count]


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"Illegal regex: {error}") from None


def _is_url(text: str) -> bool:
    try:
        _url(text)
    except ValueError:
        return False
    return True


def _url(text: str) -> dict[str, Any]:
    parts = urlsplit(text)
    if not (parts.scheme or text.startswith("/")) or (parts.scheme and not parts.netloc and not parts.path):
        raise ValueError(
            f'URL parse error during conversion from string: parse "{text}": invalid URI for request'
        )
    if parts.port is not None and not 0 <= parts.port < 65536:
        raise ValueError(f"URL parse error during conversion from string: {text}")
    return {"@type": URL, "value": text}


def _of_url(take: Callable[[Any], Any]) -> Callable[[dict[str, Any]], Any]:
    return lambda url: take(urlsplit(url["value"]))


_ORDERED = ("int", "double", "string", "bool", "duration", "timestamp")
_EVERY = "list(dyn)"

_LISTS = (
    *(Function("isSorted", (f"list({of})",), "bool", _is_sorted) for of in _ORDERED),
    *(Function("min", (f"list({of})",), of, _extreme(min, "min")) for of in _ORDERED),
    *(Function("max", (f"list({of})",), of, _extreme(max, "max")) for of in _ORDERED),
    *(Function("sum", (f"list({of})",), of, sum) for of in ("int", "double")),
    Function("indexOf", (_EVERY, "dyn"), "int", _index_of),
    Function("lastIndexOf", (_EVERY, "dyn"), "int", _last_index_of),
    *(Function("sort", (f"list({of})",), f"list({of})", sorted) for of in _ORDERED),
    Function("distinct", (_EVERY,), _EVERY, _distinct),
    Function("reverse", (_EVERY,), _EVERY, lambda values: values[::-1]),
    Function("flatten", (_EVERY,), _EVERY, _flattened),
    Function("flatten", (_EVERY, "int"), _EVERY, _flattened),
    Function("slice", (_EVERY, "int", "int"), _EVERY, _sliced),
    Function("lists.range", ("int",), "list(int)", lambda count: list(range(count)), is_member=False),
    Function("sets.contains", (_EVERY, _EVERY), "bool", _contains, is_member=False),
    Function("sets.equivalent", (_EVERY, _EVERY), "bool", _equivalent, is_member=False),
    Function("sets.intersects", (_EVERY, _EVERY), "bool", _intersects, is_member=False),
)
_TEXTS = (
    Function("find", ("string", "string"), "string", _find),
    Function("findAll", ("string", "string"), "list(string)", _find_all),
    Function("findAll", ("string", "string", "int"), "list(string)", _find_all),
    Function("url", ("string",), URL, _url, is_member=False),
    Function("isURL", ("string",), "bool", _is_url, is_member=False),
    Function("getScheme", (URL,), "string", _of_url(lambda parts: parts.scheme)),
    Function("getHost", (URL,), "string", _of_url(lambda parts: parts.netloc.rpartition("@")[2])),
    Function("getHostname", (URL,), "string", _of_url(lambda parts: parts.hostname or "")),
    Function("getPort", (URL,), "string", _of_url(lambda parts: str(parts.port or ""))),
    Function("getEscapedPath", (URL,), "string", _of_url(lambda parts: parts.path)),
    Function("getQuery", (URL,), "map(string, list(string))", _of_url(lambda parts: parse_qs(parts.query))),
)


def _table() -> tuple[Function, ...]:
    rows = (
        *texts.FUNCTIONS,
        *quantities.FUNCTIONS,
        *addresses.FUNCTIONS,
        *versions.FUNCTIONS,
        *formats.FUNCTIONS,
        *authorization.FUNCTIONS,
    )
    return (*_LISTS, *_TEXTS, *(Function(*row) for row in rows))


FUNCTIONS = _table()
