"""An object's tree as protobuf bytes, for clients that ask for nothing else.

What the table does not know is left out, as older servers leave it out.
"""

from base64 import b64decode
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

import msgspec

from deltawire.apiserver.kinds.durations import seconds_of
from deltawire.apiserver.protobuf.decode import MAGIC
from deltawire.apiserver.protobuf.schema import Field, fields_of, message_of_kind

Tree = dict[str, Any]
Encode = Callable[[Any], bytes]

_encode_json = msgspec.json.encode
_WORD = 1 << 64


class NotInProtobuf(ValueError):
    """A kind that has no messages: custom ones, tables, definitions."""


def is_known(api_version: str, kind: str) -> bool:
    """Whether objects of a kind can be encoded in protobuf."""
    return message_of_kind(api_version, kind) is not None


def encode_object(tree: Tree) -> bytes:
    """``tree``, which says its kind and apiVersion, in the envelope. Raises NotInProtobuf."""
    api_version, kind = str(tree.get("apiVersion", "")), str(tree.get("kind", ""))
    message = message_of_kind(api_version, kind)
    if message is None:
        raise NotInProtobuf(f"{kind} in {api_version}")
    about = _text(1, api_version) + _text(2, kind)
    return MAGIC + _bytes(1, about) + _bytes(2, _message(message, tree)) + _bytes(3, b"") + _bytes(4, b"")


def encode_event(kind: str, obj: Tree) -> bytes:
    """One event of a watch as a frame: its length in four bytes, then a WatchEvent."""
    event = _text(1, kind) + _bytes(2, _bytes(1, encode_object(obj)))
    return len(event).to_bytes(4, "big") + event


def _message(message: str, tree: Tree) -> bytes:
    parts = []
    plain, embedded = _encoders(message)
    for name, value in tree.items():
        encode = plain.get(name)
        if encode is not None and value is not None:
            parts.append(encode(value))
    for number, inner in embedded:
        content = _message(inner, tree)
        if content:
            parts.append(_bytes(number, content))
    return b"".join(parts)


@cache
def _encoders(message: str) -> tuple[dict[str, Encode], tuple[tuple[int, str], ...]]:
    """How each field of a message is written, by its name; and which messages are embedded in it."""
    plain, embedded = {}, []
    for number, field in fields_of(message).items():
        if field.name:
            plain[field.name] = _encoder(number, field)
        else:
            embedded.append((number, field.type))
    return plain, tuple(embedded)


def _encoder(number: int, field: Field) -> Encode:
    one = _of_type(number, field.type)
    if field.container == "[]":
        return lambda values: b"".join([one(value) for value in values])
    if field.container == "{}":
        entry = _of_type(2, field.type)
        return lambda values: b"".join(
            [_bytes(number, _text(1, key) + entry(value)) for key, value in values.items()]
        )
    return one


def _of_type(number: int, of: str) -> Encode:
    match of:
        case "s":
            return lambda value: _text(number, value)
        case "i":
            return lambda value: _number(number, value)
        case "b":
            return lambda value: _number(number, int(value))
        case "y":
            return lambda value: _bytes(number, b64decode(value))
    special = _SPECIAL.get(of)
    if special is not None:
        return lambda value: _bytes(number, special(value))
    return lambda value: _bytes(number, _message(of, value))


def _time(value: str) -> bytes:
    return _number(1, int(datetime.fromisoformat(value).timestamp())) + _number(2, 0)


def _micro_time(value: str) -> bytes:
    moment = datetime.fromisoformat(value)
    return _number(1, int(moment.timestamp() // 1)) + _number(2, moment.microsecond * 1000)


def _int_or_string(value: int | str) -> bytes:
    if isinstance(value, str):
        return _number(1, 1) + _number(2, 0) + _text(3, value)
    return _number(1, 0) + _number(2, value) + _text(3, "")


_SPECIAL: dict[str, Encode] = {
    "Time": _time,
    "MicroTime": _micro_time,
    "Quantity": lambda value: _text(1, str(value)),
    "IntOrString": _int_or_string,
    "Raw": lambda value: _bytes(1, _encode_json(value)),
    "Duration": lambda value: _number(1, int(seconds_of(value) * 10**9)),
    "Strings": lambda values: b"".join([_text(1, value) for value in values]),
}


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3) + _varint(value % _WORD)


def _text(number: int, value: str) -> bytes:
    return _bytes(number, value.encode())


def _bytes(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    if value < 0x80:
        return _SMALL[value]
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


_SMALL = [bytes((value,)) for value in range(0x80)]
