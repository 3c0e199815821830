"""What reflectors and workers send, as checked values (docs/wire.md §5, §6).

The shapes are declared once and msgspec checks them: a message is taken whole or refused whole, before
anything of it is queued. Objects stay the bytes that came, they are not copied.
"""

from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

from deltawire.common.errors import ProtocolError
from deltawire.common.wire.messages.proofs import StreamProof

Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
# type, namespace, name, uid, version, object
WireDelta = tuple[Literal["A", "U", "D", "R"], str, str, str, str, bytes]
T = TypeVar("T")


class Cluster(NamedTuple):
    """``id`` "": not known. ``address``: a hash of the API server's URL and CA, "" where the client cannot be made."""

    cluster: str
    id: str
    address: str = ""


class Begin(NamedTuple):
    informer: str
    stream: str
    generation: Count


class Deltas(NamedTuple):
    informer: str
    stream: str
    version: str
    at: Count
    rows: list[WireDelta]


class Mark(NamedTuple):
    informer: str
    stream: str
    version: str


class End(NamedTuple):
    informer: str
    stream: str
    generation: Count
    items: Count
    version: str


class Proofs(NamedTuple):
    rows: list[StreamProof]


class StreamState(NamedTuple):
    """A stream as a shard committed it. ``resume`` "" = must list; ``floor``: the highest version seen."""

    resume: str
    floor: str
    generation: Count


class Shard(NamedTuple):
    informer: str
    shard: int
    cluster_id: str
    boot: str
    number: Count
    streams: dict[str, StreamState]
    address: str = ""  # at which the cluster's id was read


class Failed(NamedTuple):
    informer: str
    shard: int
    reason: str


class Ack(NamedTuple):
    informer: str
    shard: int
    boot: str
    number: Count


FromReflector = Cluster | Begin | Deltas | Mark | End | Proofs
FromWorker = Shard | Failed | Ack

_FROM_REFLECTOR: dict[str, type[FromReflector]] = {
    "cluster": Cluster,
    "begin": Begin,
    "deltas": Deltas,
    "mark": Mark,
    "end": End,
    "proof": Proofs,
}
_FROM_WORKER: dict[str, type[FromWorker]] = {"shard": Shard, "failed": Failed, "ack": Ack}


def from_reflector(kind: str, body: list[Any]) -> FromReflector:
    """Raises ProtocolError for a kind or a body that docs/wire.md §5 does not allow."""
    return _parse(_FROM_REFLECTOR, kind, body)


def from_worker(kind: str, body: list[Any]) -> FromWorker:
    """Raises ProtocolError for a kind or a body that docs/wire.md §6 does not allow."""
    return _parse(_FROM_WORKER, kind, body)


def hello_streams(body: dict[str, Any]) -> list[tuple[str, str]]:
    """The (informer, stream) pairs of a reflector's hello. Raises ProtocolError."""
    return _convert(body.get("streams"), list[tuple[str, str]], "hello")


def hello_shards(body: dict[str, Any]) -> list[tuple[str, int]]:
    """The (informer, shard) pairs of a worker's hello. Raises ProtocolError."""
    return _convert(body.get("shards"), list[tuple[str, int]], "hello")


def _parse(shapes: dict[str, type[T]], kind: str, body: list[Any]) -> T:
    shape = shapes.get(kind)
    if shape is None:
        raise ProtocolError(f"a message of kind {kind[:40]!r} is not expected here")
    return _convert(body, shape, kind)


def _convert(value: Any, shape: type[T], kind: str) -> T:
    try:
        return msgspec.convert(value, shape, builtin_types=(bytes,))
    except msgspec.ValidationError as error:
        raise ProtocolError(f"malformed {kind}: {error}") from None
