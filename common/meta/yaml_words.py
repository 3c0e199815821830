"""Which plain words of YAML are no text to Go's Kubernetes clients, and dumpers that quote those.

YAML 1.1, but ``1:30`` and dates are text, and ``y``, ``1e3``, ``0o7`` are not. PyYAML has another table: a word is
safe without quotes where both take it for text.
"""

import re
from typing import Any

import yaml

MERGE = "tag:yaml.org,2002:merge"
NULL = "tag:yaml.org,2002:null"
BOOL = "tag:yaml.org,2002:bool"
TEXT = "tag:yaml.org,2002:str"
NUMBER = "tag:deltawire,2026:number"

TRUE = {"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"}
FALSE = {"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"}
_WORDS = {
    "<<": MERGE,
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), NULL),
    **dict.fromkeys(TRUE | FALSE, BOOL),
    **{f"{sign}.{word}": NUMBER for sign in ("", "+", "-") for word in ("inf", "Inf", "INF")},
    **dict.fromkeys((".nan", ".NaN", ".NAN"), NUMBER),
}
INTEGER = re.compile(r"[-+]?(?:0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|[1-9][0-9]*|0)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_STARTS_OF_NUMBERS = frozenset("+-.0123456789")


def tag_of(word: str) -> str:
    """What a plain word is."""
    found = _WORDS.get(word)
    if found is None:
        if word[0] not in _STARTS_OF_NUMBERS:
            return TEXT
        digits = word if word[0] == "." else word.replace("_", "")
        found = NUMBER if INTEGER.fullmatch(digits) or _FLOAT.fullmatch(digits) else TEXT
    return found


def quoting(dumper: type[Any]) -> type[Any]:
    """One of PyYAML's safe dumpers, so that what it writes as text is read as text everywhere."""

    class Quoting(dumper):  # type: ignore[misc]  # one of several classes with the same interface
        def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
            found = super().resolve(kind, value, implicit)
            if found == TEXT and kind is yaml.ScalarNode and implicit[0]:
                return tag_of(value)
            return found

    return Quoting
