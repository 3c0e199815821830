"""How far a stream, or an informer, is known to be complete, and since when the API server was not heard.

A proof travels behind what was sent before it, so that whoever gets it has everything that it speaks of
(docs/wire.md §5-§7). Times are µs since the epoch.
"""

from collections.abc import Iterable

import msgspec

from deltawire.common.wire.messages.fields import Text, Us


class Proof(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """``as_of_us``: all that was read from the API server until then was sent before this. ``proof_us``: the API
    server was heard then. ``bound_us``: so long after that the stream counts as fresh."""

    as_of_us: Us
    proof_us: Us
    bound_us: Us

    @property
    def stale_us(self) -> int:
        """From then on the stream is not fresh, unless a newer proof comes: silence, and a backlog, make it old."""
        return min(self.as_of_us, self.proof_us) + self.bound_us


class StreamProof(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """reflector → fifo: one stream's proof."""

    informer: Text
    stream: Text
    proof: Proof


class ShardProof(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """fifo → worker: one stream's proof, good for these shards."""

    informer: Text
    stream: Text
    proof: Proof
    shards: list[int]


class InformerProof(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """worker → handler: the slowest stream and shard of the worker's part of an informer."""

    informer: Text
    proof: Proof


def slowest(proofs: Iterable[Proof]) -> Proof | None:
    """What holds of all of them; None of none."""
    known = list(proofs)
    if not known:
        return None
    stalest = min(known, key=lambda proof: proof.stale_us)
    return Proof(min(proof.as_of_us for proof in known), stalest.proof_us, stalest.bound_us)
