"""Fifo ↔ informer worker: batches of shards, and what of them is committed (docs/wire.md §6)."""

from typing import Annotated, NamedTuple

import msgspec

from deltawire.common.wire.messages.fields import ITEMS, Count, Message, Object, Text, Us
from deltawire.common.wire.messages.proofs import ShardProof
from deltawire.common.wire.messages.stream import DeltaType


class Row(NamedTuple):
    """A delta in the shard's order: ``number`` counts from 1 in this life of the broker."""

    number: Count
    type: DeltaType
    stream: Text
    uid: Text
    version: Text
    at: Us
    object: Object


class Key(NamedTuple):
    """The rows of one object, in their order."""

    namespace: Text
    name: Text
    rows: Annotated[list[Row], ITEMS]


class WorkerHello(msgspec.Struct, frozen=True):
    """What a worker says of itself: the shards that it owns, as informer and number."""

    shards: Annotated[list[tuple[Text, Count]], ITEMS]


class Open(Message, tag="open"):
    """Open the informer's shards for this cluster; "": the one last known."""

    informer: Text
    cluster_id: Text
    address: Text = ""


class Pop(Message, tag="pop"):
    """A prefix of the shard's order, ``first`` to ``last``, grouped by key; then the marks of streams.

    Without rows ``first`` and ``last`` are 0: such a pop is not acknowledged.
    """

    informer: Text
    shard: Count
    boot: Text
    first: Count
    last: Count
    keys: Annotated[list[Key], ITEMS]
    marks: Annotated[list[tuple[Text, Text]], ITEMS]


class ListBegin(Message, tag="begin"):
    """A list of ``stream`` begins; what follows belongs to it until its end."""

    informer: Text
    shard: Count
    boot: Text
    number: Count
    stream: Text
    generation: Count


class ListEnd(Message, tag="end"):
    """The list is complete: what it did not name is gone, and the stream is complete up to ``version``."""

    informer: Text
    shard: Count
    boot: Text
    number: Count
    stream: Text
    generation: Count
    items: Count
    version: Text


class ShardProofs(Message, tag="proof"):
    """For all shards of the worker: what the proofs speak of was popped before."""

    rows: Annotated[list[ShardProof], ITEMS]


class StreamAt(NamedTuple):
    """What a shard has of a stream. ``resume`` "" = must list; ``floor``: the highest version seen."""

    resume: Text
    floor: Text
    generation: Count


class ShardState(Message, tag="shard"):
    """What is committed; it grants the shard's credit. ``address``: at which the cluster's id was read."""

    informer: Text
    shard: Count
    cluster_id: Text
    boot: Text
    number: Count
    streams: dict[Text, StreamAt]
    address: Text = ""


class Failed(Message, tag="failed"):
    """The shard cannot be used."""

    informer: Text
    shard: Count
    reason: Text


class Ack(Message, tag="ack"):
    """All up to ``number`` is committed."""

    informer: Text
    shard: Count
    boot: Text
    number: Count


Batch = Pop | ListBegin | ListEnd
ToWorker = Open | Pop | ListBegin | ListEnd | ShardProofs
FromWorker = ShardState | Failed | Ack
