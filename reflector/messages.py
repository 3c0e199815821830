"""What the broker sends to a reflector, as checked values (docs/wire.md §5)."""

from typing import Any, NamedTuple

import msgspec

from deltawire.common.errors import ProtocolError


class Start(NamedTuple):
    """``resume`` "": list, at ``floor`` where that is known. ``deltas`` and ``bytes`` open the credit."""

    informer: str
    stream: str
    resume: str
    floor: str
    generation: int
    deltas: int
    bytes: int


class Stop(NamedTuple):
    informer: str
    stream: str
    reason: str


class Credit(NamedTuple):
    informer: str
    stream: str
    deltas: int
    bytes: int


class Cluster(NamedTuple):
    """The id that the state has, and the address at which it was read ("" where that is not known)."""

    cluster: str
    id: str
    address: str


FromBroker = Start | Stop | Credit | Cluster

_KINDS: dict[str, type[FromBroker]] = {"start": Start, "stop": Stop, "credit": Credit, "cluster": Cluster}


def from_broker(kind: str, body: list[Any]) -> FromBroker:
    """Raises ProtocolError for a kind or a body that docs/wire.md §5 does not allow."""
    shape = _KINDS.get(kind)
    if shape is None:
        raise ProtocolError(f"a message of kind {kind[:40]!r} is not expected here")
    try:
        return msgspec.convert(body, shape)
    except msgspec.ValidationError as error:
        raise ProtocolError(f"a malformed {kind}: {error}") from None
