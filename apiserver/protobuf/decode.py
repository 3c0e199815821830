"""Protobuf bytes of one object as the tree that its JSON would be."""

from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from deltawire.apiserver.protobuf.schema import SCALARS, SPECIAL, Field, fields_of, message_of_kind

MAGIC = b"k8s\x00"
# JSONSchemaProps apart, no kind is nested deeper than 20; hostile input shall not exhaust the stack.
DEPTH_MAX = 100

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ProtobufError(ValueError):
    """The bytes are not an object this server can read."""


def decode_object(raw: bytes) -> dict[str, Any]:
    """The object in an envelope, with its apiVersion and kind. Raises ProtobufError.

    Go writes empty values of fields that are not pointers; they are left out again, as its JSON would.
    """
    if not raw.startswith(MAGIC):
        raise ProtobufError("the envelope's magic is missing")
    type_meta, content = b"", b""
    for number, value in _parts(raw[len(MAGIC) :]):
        if isinstance(value, bytes):
            if number == 1:
                type_meta = value
            elif number == 2:
                content = value
    types = {number: value.decode() for number, value in _parts(type_meta) if isinstance(value, bytes)}
    api_version, kind = types.get(1, ""), types.get(2, "")
    message = message_of_kind(api_version, kind)
    if message is None:
        raise ProtobufError(f"{kind} in {api_version} is not known in protobuf")
    try:
        return {"kind": kind, "apiVersion": api_version} | _message(message, content, 0)
    except (UnicodeDecodeError, msgspec.DecodeError, OverflowError) as error:
        raise ProtobufError(str(error)) from None


def _message(message: str, raw: bytes, depth: int) -> dict[str, Any]:
    if depth > DEPTH_MAX:
        raise ProtobufError(f"nested deeper than {DEPTH_MAX}")
    fields = fields_of(message)
    tree: dict[str, Any] = {}
    for number, value in _parts(raw):
        field = fields.get(number)
        if field is None:
            continue  # of a newer API than the table
        if not field.name:
            tree |= _message(field.type, _as_bytes(value), depth + 1)
        elif field.container == "[]":
            tree.setdefault(field.name, []).append(_value(field.type, value, depth))
        elif field.container == "{}":
            key, entry = _entry(field.type, _as_bytes(value), depth)
            tree.setdefault(field.name, {})[key] = entry
        else:
            _put(tree, field, _value(field.type, value, depth))
    return tree


def _put(tree: dict[str, Any], field: Field, value: Any) -> None:
    if value is None or (not field.keeps_empty and value in ("", 0, False, {}, [])):
        tree.pop(field.name, None)
    else:
        tree[field.name] = value


def _entry(of: str, raw: bytes, depth: int) -> tuple[str, Any]:
    """One entry of a map: key in field 1, value in field 2."""
    parts = dict(_parts(raw))
    key = _as_bytes(parts.get(1, b"")).decode()
    return key, _value(of, parts.get(2, 0 if of in ("i", "b") else b""), depth)


def _value(of: str, value: int | bytes, depth: int) -> Any:
    if of in SCALARS:
        return _scalar(of, value)
    raw = _as_bytes(value)
    return _SPECIAL[of](raw) if of in SPECIAL else _message(of, raw, depth + 1)


def _scalar(of: str, value: int | bytes) -> Any:
    if of == "s":
        return _as_bytes(value).decode()
    if of == "y":
        return b64encode(_as_bytes(value)).decode()
    number = _as_int(value)
    return bool(number) if of == "b" else number


def _numbers(raw: bytes) -> dict[int, int]:
    return {number: _as_int(value) for number, value in _parts(raw)}


def _time(raw: bytes) -> str | None:
    """RFC 3339 in whole seconds; the zero time is written as no content, or as year 1."""
    parts = _numbers(raw)
    if not raw or parts.get(1, 0) < -62_000_000_000:
        return None
    return (_EPOCH + timedelta(seconds=parts.get(1, 0))).strftime("%Y-%m-%dT%H:%M:%SZ")


def _micro_time(raw: bytes) -> str | None:
    whole = _time(raw)
    return whole and f"{whole[:-1]}.{_numbers(raw).get(2, 0) // 1000:06d}Z"


def _int_or_string(raw: bytes) -> int | str:
    parts = dict(_parts(raw))
    return _as_bytes(parts.get(3, b"")).decode() if parts.get(1) else _as_int(parts.get(2, 0))


def _first_text(raw: bytes) -> str:
    return _as_bytes(dict(_parts(raw)).get(1, b"")).decode()


def _embedded_json(raw: bytes) -> Any:
    text = _as_bytes(dict(_parts(raw)).get(1, b""))
    return msgspec.json.decode(text) if text else None


def _duration(raw: bytes) -> str:
    return f"{_numbers(raw).get(1, 0) / 1e9:g}s"


def _strings(raw: bytes) -> list[str]:
    return [_as_bytes(value).decode() for number, value in _parts(raw) if number == 1]


_SPECIAL: dict[str, Callable[[bytes], Any]] = {
    "Time": _time,
    "MicroTime": _micro_time,
    "Quantity": _first_text,
    "IntOrString": _int_or_string,
    "Raw": _embedded_json,
    "Duration": _duration,
    "Strings": _strings,
}


def _as_bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ProtobufError("a number where text or a message belongs")
    return value


def _as_int(value: int | bytes) -> int:
    """A signed number: negative ones are written in two's complement of 64 bits."""
    if isinstance(value, bytes):
        raise ProtobufError("text or a message where a number belongs")
    return value - (1 << 64) if value >> 63 else value


def _parts(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field number, value) in order; ProtobufError where the bytes end too early or make no sense."""
    at = 0
    while at < len(raw):
        tag, at = _varint(raw, at)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, at = _varint(raw, at)
            yield number, value
            continue
        if wire == _BYTES:
            length, at = _varint(raw, at)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise ProtobufError(f"wire type {wire} does not occur")
        if at + length > len(raw):
            raise ProtobufError("the message ends too early")
        content = raw[at : at + length]
        at += length
        yield number, content if wire == _BYTES else int.from_bytes(content, "little")


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(raw) or shift > 63:
            raise ProtobufError("a number does not end")
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value & ((1 << 64) - 1), at
