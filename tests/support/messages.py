"""Messages as tests write and read them: a kind and its fields in order."""

from typing import Any

import msgspec

from deltawire.common.errors import ProtocolError
from deltawire.common.wire.codec import Decoder, parts, plain
from deltawire.common.wire.messages.shard import Batch, FromWorker
from deltawire.common.wire.messages.stream import FromReflector
from deltawire.fifo.actions import Side
from deltawire.fifo.broker import Broker

_DECODE: dict[Side, Decoder[Any]] = {
    Side.REFLECTORS: Decoder(FromReflector),
    Side.WORKERS: Decoder(FromWorker),
}


_DECODE_BATCH: Decoder[Any] = Decoder(Batch)


def kind_of(message: msgspec.Struct) -> str:
    """The kind, as docs/wire.md names it."""
    return str(message.__struct_config__.tag)


def fields_of(message: msgspec.Struct) -> tuple[Any, ...]:
    """The fields in their order."""
    return msgspec.structs.astuple(message)


def said(message: msgspec.Raw) -> tuple[str, list[Any]]:
    """Kind and fields of a message that came over a socket."""
    return parts(message)


def tell(broker: Broker, side: Side, identity: bytes, kind: str, body: list[Any]) -> list[Any]:
    """What the broker does about a message, as its process hands it in."""
    try:
        message = _DECODE[side](plain(kind, *body))
    except ProtocolError as error:
        return broker.broke_rules(side, identity, str(error))
    return broker.message(side, identity, message)


def work(kind: str, body: list[Any]) -> Any:
    """A batch for `Shard.apply`: ``body`` from ``boot`` on."""
    return _DECODE_BATCH(plain(kind, "dev/pods", 0, *body))
