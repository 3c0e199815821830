"""How far a stream, or an informer, is known to be complete, and since when the API server was not heard.

A proof travels behind what was sent before it, so that whoever gets it has everything that it speaks of
(docs/wire.md §5-§7). Times are µs since the epoch.
"""

from collections.abc import Iterable
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from deltawire.common.errors import ProtocolError

Us = Annotated[int, Meta(ge=0, le=2**63 - 1)]
_T = TypeVar("_T")


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

    informer: str
    stream: str
    proof: Proof


class ShardProof(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """fifo → worker: one stream's proof, good for these shards."""

    informer: str
    stream: str
    proof: Proof
    shards: list[int]


class InformerProof(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """worker → handler: the slowest stream and shard of the worker's part of an informer."""

    informer: str
    proof: Proof


def plain(rows: Iterable[msgspec.Struct]) -> list[Any]:
    """The rows as a message carries them."""
    found: list[Any] = msgspec.to_builtins(list(rows))
    return found


def parse(kind: str, body: list[Any], row: type[_T]) -> list[_T]:
    """The rows of a message's body. Raises ProtocolError for what the shape does not allow."""
    try:
        (rows,) = msgspec.convert(body, tuple[list[row]])  # type: ignore[valid-type]  # a type made here
    except msgspec.ValidationError as error:
        raise ProtocolError(f"a malformed {kind}: {error}") from None
    return rows


def slowest(proofs: Iterable[Proof]) -> Proof | None:
    """What holds of all of them; None of none."""
    known = list(proofs)
    if not known:
        return None
    stalest = min(known, key=lambda proof: proof.stale_us)
    return Proof(min(proof.as_of_us for proof in known), stalest.proof_us, stalest.bound_us)
