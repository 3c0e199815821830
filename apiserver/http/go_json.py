"""What Go's JSON decoder says of a text that it cannot read."""

import json
from typing import Any

_LOOKING = {
    "Expecting value": "looking for beginning of value",
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Expecting ':' delimiter": "after object key",
    "Extra data": "after top-level value",
}
_ENDED = "unexpected end of JSON input"
_SUMMARY_BYTES_MAX = 30


def problem(raw: bytes) -> str:
    """Why ``raw`` is not JSON; "" if it is."""
    text = raw.decode("utf-8", "replace")
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated"):
            return _ENDED
        looking = _LOOKING.get(error.msg)
        if looking is None:
            is_in_object = text[: error.pos].rfind("{") > text[: error.pos].rfind("[")
            looking = "after object key:value pair" if is_in_object else "after array element"
        return f"invalid character {_quoted(text[error.pos])} {looking}"
    except RecursionError:
        return "exceeded max depth"
    return ""


def _quoted(character: str) -> str:
    return "'\\''" if character == "'" else f"'{character}'"


def kind_of(value: Any) -> str:
    """What Go calls a JSON value's kind."""
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def summary(raw: bytes) -> str:
    """The beginning of a body as refusals repeat it: text where it begins like an object, else hexadecimal."""
    if not raw:
        return "<empty>"
    head = raw[:_SUMMARY_BYTES_MAX]
    shown = head.decode("utf-8", "replace") if raw.startswith(b"{") else head.hex()
    return shown if len(raw) <= _SUMMARY_BYTES_MAX else f"{shown} ..."


_META_STRUCT = (
    'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
)


def no_kind(value: Any) -> str:
    """The error text for a decoded body that is no object."""
    return (
        "couldn't get version/kind; json parse error: json: cannot unmarshal "
        f"{kind_of(value)} into Go value of type {_META_STRUCT}"
    )
