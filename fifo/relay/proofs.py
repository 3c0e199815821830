"""Proofs from the leader to all brokers. They are not kept: each says behind which entries it holds (pure)."""

from collections.abc import Sequence

import msgspec

from deltawire.common.errors import ProtocolError
from deltawire.common.wire.messages.fields import Count, Text
from deltawire.common.wire.messages.proofs import Proof
from deltawire.fifo.relay.outbox import Outbox


class Proven(msgspec.Struct, array_like=True, frozen=True, forbid_unknown_fields=True):
    """``behind``: of each shard, boot and number of the entry behind which the proof holds."""

    stream: Text
    proof: Proof
    behind: list[tuple[Text, Count]]

    def holds_of(self, shard: int, boot: str, number: int) -> bool:
        """True for a shard that has got all up to ``number``."""
        return self.is_of(shard, boot) and self.behind[shard][1] <= number

    def is_of(self, shard: int, boot: str) -> bool:
        """True if it speaks of entries of this boot of the shard."""
        return shard < len(self.behind) and self.behind[shard][0] == boot


_decoder = msgspec.msgpack.Decoder(Proven)


def decode(data: bytes) -> Proven:
    """Raises ProtocolError."""
    try:
        return _decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise ProtocolError(f"a proof cannot be read: {error}") from None


class Outgoing:
    """Of each stream two proofs wait at most: the first, until all before it is published, and the newest."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Proven]] = {}

    def put(self, outboxes: Sequence[Outbox], stream: str, proof: Proof) -> None:
        behind = [(outbox.boot, outbox.last) for outbox in outboxes]
        self._waiting[stream] = [*self._waiting.get(stream, [])[:1], Proven(stream, proof, behind)]

    def ready(self, outboxes: Sequence[Outbox]) -> list[bytes]:
        """Those of which all is published, to be sent now; of a stream the newest is enough."""
        payloads = []
        for stream, waiting in list(self._waiting.items()):
            out = [p for p in waiting if _is_published(p, outboxes)]
            left = [p for p in waiting if not _is_published(p, outboxes)]
            if out:
                payloads.append(msgspec.msgpack.encode(out[-1]))
                # Numbers of another boot never come.
                left = [p for p in left if [b for b, _ in p.behind] == [o.boot for o in outboxes]]
                if left:
                    self._waiting[stream] = left
                else:
                    del self._waiting[stream]
        return payloads


class Incoming:
    """Of each stream two proofs wait at most: the first, until its shard has got all before it, and the newest."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Proven]] = {}

    def put(self, proven: Proven) -> None:
        self._waiting[proven.stream] = [*self._waiting.get(proven.stream, [])[:1], proven]

    def take(self, shard: int, boot: str, number: int) -> list[Proven]:
        """Those that hold of a shard which has got all up to ``number`` of ``boot``; the newest of a stream is last."""
        taken: list[Proven] = []
        for stream, waiting in list(self._waiting.items()):
            # Before one of the shard's boot stand only those of a former one, whose numbers never come.
            here = next((at for at, proven in enumerate(waiting) if proven.is_of(shard, boot)), 0)
            left: list[Proven] = []
            for proven in waiting[here:]:
                (taken if proven.holds_of(shard, boot, number) else left).append(proven)
            if left:
                self._waiting[stream] = left
            else:
                del self._waiting[stream]
        return taken


def _is_published(proven: Proven, outboxes: Sequence[Outbox]) -> bool:
    return all(
        boot == outbox.boot and number <= outbox.number and outbox.is_fenced
        for (boot, number), outbox in zip(proven.behind, outboxes, strict=True)
    )
