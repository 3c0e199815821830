"""JSON as classes, as forgiving as Go: what is missing or null where a class requires it is the zero value.

Go's servers write a nil list as null, older servers leave out what newer classes require, and bookmarks have hardly
anything: client-go reads all of it. What is no character (half a surrogate pair, bytes that are not UTF-8) is U+FFFD. A
value of a wrong type is an error here and there.

Every class that an answer of a server is read as is read through here, or says ``| None`` for each of its fields
(tests/unit/client/test_null_is_zero.py).
"""

import functools
import threading
import types
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Union, get_args, get_origin

import msgspec

from deltawire.client.rest.scan import mended

_learning = threading.Lock()
_GO_ZERO_TIME = datetime(1, 1, 1, tzinfo=UTC)


@functools.cache
def decoder_of(kind: Any) -> Callable[[bytes], Any]:
    """Decodes one value of JSON as ``kind``. The decoder raises msgspec.DecodeError and UnicodeDecodeError."""
    # msgspec keeps what it learns of a class at the class, before it is complete: a second thread that meets it
    # meanwhile crashes the process.
    with _learning:
        strict = msgspec.json.Decoder(kind).decode

    def decode(data: bytes) -> Any:
        try:
            return strict(data)
        except msgspec.ValidationError as error:
            return _converted(plain(data), kind, error)
        except (msgspec.DecodeError, UnicodeDecodeError):
            whole = mended(data)
            if whole == data:
                raise
            return decode(whole)
        except RecursionError:
            raise msgspec.DecodeError("it is nested too deep") from None

    plain = decode if kind is Any else decoder_of(Any)
    return decode


def convert(plain: Any, kind: Any) -> Any:
    """Dicts and lists as ``kind``, by the same rules. Raises msgspec.ValidationError."""
    decoder_of(kind)  # so that msgspec knows all classes of it
    try:
        return msgspec.convert(plain, kind)
    except msgspec.ValidationError as error:
        return _converted(plain, kind, error)


def _converted(plain: Any, kind: Any, complaint: msgspec.ValidationError) -> Any:
    try:
        return msgspec.convert(_filled(plain, kind), kind)
    except msgspec.ValidationError:
        raise complaint from None  # about what the server really sent


def _filled(value: Any, kind: Any) -> Any:
    """``value`` with zero values where ``kind`` requires more than there is."""
    kind = _not_none(kind)
    origin = get_origin(kind)
    # A bare dict or list says nothing about what is in it.
    if origin is list and isinstance(value, list) and get_args(kind):
        (item,) = get_args(kind)
        return [_zero(item) if found is None else _filled(found, item) for found in value]
    if origin is dict and isinstance(value, dict) and get_args(kind):
        _, item = get_args(kind)
        return {key: _zero(item) if found is None else _filled(found, item) for key, found in value.items()}
    if not _is_struct(kind) or not isinstance(value, dict):
        return value
    filled = dict(value)
    for field in msgspec.structs.fields(kind):
        found = value.get(field.encode_name)
        if found is not None:
            filled[field.encode_name] = _filled(found, field.type)
        elif field.required:
            filled[field.encode_name] = _zero(field.type)
        else:
            filled.pop(field.encode_name, None)  # null is the same as not there
    return filled


def _zero(kind: Any) -> Any:
    if kind is Any or type(None) in get_args(kind):
        return None
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _zero(get_args(kind)[0])
    if origin is not None:
        kind = origin
    if _is_struct(kind):
        return _filled({}, kind)
    return _GO_ZERO_TIME if kind is datetime else kind()


def _not_none(kind: Any) -> Any:
    if get_origin(kind) in (Union, types.UnionType):
        others = [one for one in get_args(kind) if one is not type(None)]
        return others[0] if len(others) == 1 else kind
    return kind


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
