"""One message: ``[version, kind, session, n, body…]`` as msgpack, its size checked on both sides."""

from typing import Any, NamedTuple

import msgpack

from deltawire.common.errors import CapacityError, ProtocolError
from deltawire.common.limits import ARRAY_ITEMS_MAX, MESSAGE_BYTES_MAX, OBJECT_BYTES_MAX, STRING_BYTES_MAX

WIRE_VERSION = 1
# A role speaks its own version and the one before; there is none before 1.
VERSIONS_ACCEPTED = frozenset({WIRE_VERSION})
_HEAD_ITEMS = 4


class Message(NamedTuple):
    """A message taken apart. ``body`` holds what follows the four head items."""

    kind: str
    session: int
    n: int
    body: list[Any]


def pack(kind: str, session: int, n: int, *body: Any) -> bytes:
    """One message as bytes. Raises CapacityError above MESSAGE_BYTES_MAX, before anything is sent."""
    data: bytes = msgpack.packb([WIRE_VERSION, kind, session, n, *body], use_bin_type=True)
    if len(data) > MESSAGE_BYTES_MAX:
        raise CapacityError(
            f"a {kind!r} message of {len(data)} bytes is over the limit of {MESSAGE_BYTES_MAX}"
        )
    return data


def unpack(data: bytes) -> Message:
    """Inverse of `pack`. Raises ProtocolError for anything that docs/wire.md §2 does not allow."""
    if len(data) > MESSAGE_BYTES_MAX:
        raise ProtocolError(f"a message of {len(data)} bytes is over the limit of {MESSAGE_BYTES_MAX}")
    try:
        items = msgpack.unpackb(
            data,
            raw=False,
            strict_map_key=True,
            max_str_len=STRING_BYTES_MAX,
            max_bin_len=OBJECT_BYTES_MAX,
            max_array_len=ARRAY_ITEMS_MAX,
            max_map_len=ARRAY_ITEMS_MAX,
            max_ext_len=0,
        )
    # Mostly ValueError and its subclasses; deep nesting and unhashable map keys raise others.
    except (ValueError, msgpack.UnpackException, RecursionError, TypeError) as error:
        raise ProtocolError(f"not a message: {error or type(error).__name__}") from None
    if not isinstance(items, list) or len(items) < _HEAD_ITEMS:
        raise ProtocolError("not a message: an array of at least four items is expected")
    version, kind, session, n = items[:_HEAD_ITEMS]
    # True equals 1, and what cannot be hashed can be in no set.
    if type(version) is not int or version not in VERSIONS_ACCEPTED:
        raise ProtocolError(f"wire version {str(version)[:40]} is not spoken here (mine is {WIRE_VERSION})")
    if not (isinstance(kind, str) and type(session) is int and type(n) is int):
        raise ProtocolError("not a message: kind, session or n has the wrong type")
    return Message(kind, session, n, items[_HEAD_ITEMS:])
