"""One message of a shard's subject: entries in the shard's order, and how far the shard is once they are applied."""

from typing import Annotated, NamedTuple

import msgspec

from deltawire.common.errors import ProtocolError
from deltawire.common.wire.messages.fields import ITEMS, Count, Text
from deltawire.common.wire.messages.stream import Begin, Deltas, End

FORMAT = 1
Entry = Begin | Deltas | End


class Reached(NamedTuple):
    """What the queue has of a stream for one shard.

    ``resume``: complete up to there, "" = a list is open or needed. ``floor``: the highest version seen.
    ``base``: where the queue began in this boot, "" = with a list.
    """

    resume: Text
    floor: Text
    generation: Count
    base: Text


class Published(msgspec.Struct, array_like=True, forbid_unknown_fields=True):
    """``boot``: of one reign of a leader in this shard; with ``count`` it tells this message from all others.

    ``after``: boot and number of the entry that the boot's first one follows; "" and 0 where the queue begins.
    ``first``: the number of the first entry, from 1 in a boot; each row, begin and end has one. ``streams``: after the
    last entry. ``marks``: streams that are complete up to a version, behind the last entry.
    """

    format: Count
    boot: Text
    after: tuple[Text, Count]
    count: Count
    first: Count
    cluster_id: Text
    address: Text
    streams: dict[Text, Reached]
    entries: Annotated[list[Entry], ITEMS]
    marks: Annotated[list[tuple[Text, Text]], ITEMS]

    @property
    def last(self) -> int:
        """The number of the last entry; ``first`` - 1 without entries."""
        return self.first - 1 + sum(numbers_of(entry) for entry in self.entries)

    @property
    def id(self) -> tuple[str, int]:
        return self.boot, self.count


def next_boot(former: str, reign: str) -> str:
    """The boot of a new reign: the queue's line, which of its reigns it is, and the reign's own nonce."""
    place = place_of(former)
    line, count = place if place else (reign, 0)
    return f"{line}:{count + 1}:{reign}"


def place_of(boot: str) -> tuple[str, int] | None:
    """Line and count of a boot; None for one of another engine."""
    line, _, rest = boot.partition(":")
    count = rest.partition(":")[0]
    return (line, int(count)) if count.isdecimal() else None


def numbers_of(entry: Entry) -> int:
    return len(entry.rows) if isinstance(entry, Deltas) else 1


def bytes_of(entry: Entry) -> int:
    """Of the objects in it."""
    return sum(len(row.object) for row in entry.rows) if isinstance(entry, Deltas) else 0


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Published)


def encode(message: Published) -> bytes:
    return _encoder.encode(message)


def decode(data: bytes) -> Published:
    """Raises ProtocolError for what is no message of ours, or of another format."""
    try:
        message = _decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise ProtocolError(f"a message in the queue cannot be read: {error}") from None
    if message.format != FORMAT:
        raise ProtocolError(
            f"a message in the queue has format {message.format}; this program reads {FORMAT}"
        )
    return message
