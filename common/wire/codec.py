"""One frame: ``[version, session, n, [message…]]`` as msgpack, its size checked on both sides.

A frame carries what is ready for one peer. Messages are taken apart in two steps: the frame first, for its session,
then each message by the code that knows its kinds.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgpack
import msgspec

from deltawire.common.errors import CapacityError, ProtocolError
from deltawire.common.limits import ARRAY_ITEMS_MAX, MESSAGE_BYTES_MAX, OBJECT_BYTES_MAX, STRING_BYTES_MAX

WIRE_VERSION = 2
# A role speaks its own version and the one before, from 2 on: nothing was released with 1.
VERSIONS_ACCEPTED = frozenset(range(max(2, WIRE_VERSION - 1), WIRE_VERSION + 1))
# A larger number in a frame's head is no version.
_VERSION_MAX = 2**31

# What a frame adds to a message that travels alone.
FRAME_HEAD_BYTES = 32

# What msgspec raises for bytes that are no message, or not one of the shape that is asked for.
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

T = TypeVar("T")
# A message, or a frame of some, packed; nothing is checked.
packed: Callable[[Any], bytes] = msgspec.msgpack.Encoder().encode


class _Version(msgspec.Struct, array_like=True):
    version: Any


class UnspokenVersion(ProtocolError):
    """A frame of a version that is not spoken here; ``version``: which."""

    def __init__(self, version: int) -> None:
        super().__init__(_unspoken(version))
        self.version = version


class Frame(msgspec.Struct, array_like=True, forbid_unknown_fields=True, gc=False):
    """A frame taken apart. ``messages``: packed, at least one."""

    version: int
    session: int
    n: int
    messages: list[msgspec.Raw]


_decode_version = msgspec.msgpack.Decoder(_Version).decode
_decode_frame = msgspec.msgpack.Decoder(Frame).decode


def encode(message: msgspec.Struct | msgspec.Raw) -> bytes:
    """One message, packed. Raises CapacityError above MESSAGE_BYTES_MAX, before anything is sent."""
    data = packed(message)
    if len(data) > MESSAGE_BYTES_MAX:
        raise too_large(message, len(data))
    return data


def too_large(message: msgspec.Struct | msgspec.Raw, size: int) -> CapacityError:
    """What is raised for a message of ``size`` bytes, above MESSAGE_BYTES_MAX."""
    kind = type(message).__name__.lower()
    return CapacityError(f"a message ({kind}) of {size} bytes is over the limit of {MESSAGE_BYTES_MAX}")


def plain(kind: str, *fields: Any) -> msgspec.Raw:
    """A message of any kind and shape, as another implementation might send it."""
    return msgspec.Raw(packed([kind, *fields]))


def pack(session: int, n: int, *messages: bytes, version: int = WIRE_VERSION) -> bytes:
    """Packed messages as one frame. ``version``: of the session, or of the frame that is answered."""
    return packed([version, session, n, list(map(msgspec.Raw, messages))])


def unpack(data: bytes) -> Frame:
    """Inverse of `pack`. Raises ProtocolError for anything that docs/wire.md §2 does not allow, `UnspokenVersion` where
    only the version is at fault.
    """
    if len(data) > MESSAGE_BYTES_MAX + FRAME_HEAD_BYTES:
        raise ProtocolError(f"a message of {len(data)} bytes is over the limit of {MESSAGE_BYTES_MAX}")
    try:
        frame = _decode_frame(data)
    except UNREADABLE as error:
        raise _problem(data, error) from None
    if frame.version not in VERSIONS_ACCEPTED:
        raise _other_version(frame.version)
    if not 0 < len(frame.messages) <= ARRAY_ITEMS_MAX:
        raise ProtocolError(f"a frame has 1 to {ARRAY_ITEMS_MAX} messages, not {len(frame.messages)}")
    return frame


class Decoder(Generic[T]):
    """Takes messages of some kinds, a union of `messages.fields.Message` classes, apart.

    ``decode``: as a call, but raises one of UNREADABLE, from which `malformed` makes the ProtocolError.
    """

    def __init__(self, kinds: Any) -> None:
        self.decode: Callable[[msgspec.Raw], T] = msgspec.msgpack.Decoder(kinds).decode

    def __call__(self, message: msgspec.Raw) -> T:
        """Raises ProtocolError for a kind that is not among them, or a shape that its class does not allow."""
        try:
            return self.decode(message)
        except UNREADABLE as error:
            raise malformed(message, error) from None


def malformed(message: msgspec.Raw, error: Exception) -> ProtocolError:
    """What is said of a message that cannot be taken apart. ``error``: one of UNREADABLE."""
    return ProtocolError(f"a malformed message{_kind_of(message)}: {error}")


def parts(message: msgspec.Raw) -> tuple[str, list[Any]]:
    """(kind, fields) of a message whose fields may be anything, within the bounds of docs/wire.md §2."""
    try:
        items = msgpack.unpackb(
            bytes(message),
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
    if not isinstance(items, list) or not items or not isinstance(items[0], str):
        raise ProtocolError("not a message: an array that begins with its kind is expected")
    return items[0], items[1:]


def take(message: msgspec.Raw, kinds: Any) -> Any:
    """A message with fields of any shape as one of ``kinds``. Raises ProtocolError as `Decoder` does."""
    kind, fields = parts(message)
    try:
        return msgspec.convert([kind, *fields], kinds, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise ProtocolError(f"a malformed message {kind[:40]!r}: {error}") from None


def _problem(data: bytes, error: Exception) -> ProtocolError:
    try:
        version = _decode_version(data).version
    except UNREADABLE:
        return ProtocolError(f"not a message: {error}")
    is_spoken = type(version) is int and version in VERSIONS_ACCEPTED
    return ProtocolError(f"not a message: {error}") if is_spoken else _other_version(version)


def _other_version(version: Any) -> ProtocolError:
    is_version = type(version) is int and 0 < version < _VERSION_MAX
    return UnspokenVersion(version) if is_version else ProtocolError(_unspoken(version))


def _unspoken(version: Any) -> str:
    return f"wire version {str(version)[:40]} is not spoken here (mine is {WIRE_VERSION})"


def _kind_of(message: msgspec.Raw) -> str:
    try:
        return f" {parts(message)[0][:40]!r}"
    except ProtocolError:
        return ""
