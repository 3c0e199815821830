"""Names of fields as rules write them: what is no identifier of CEL is escaped."""

import re

_WORDS = "true false null in as break const continue else for function if import let loop package namespace return var"
_RESERVED = frozenset((*_WORDS.split(" "), "void", "while"))
_ESCAPES = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_SPECIAL = re.compile(r"__|[-./]")
_NAME = re.compile(r"[a-zA-Z_.\-/][a-zA-Z0-9_.\-/]*")


def escaped(name: str) -> str | None:
    """The identifier for a field; None for a field that no rule can name."""
    if name in _RESERVED:
        return f"__{name}__"
    if not _NAME.fullmatch(name):
        return None
    return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], name)
