"""Batches and proofs as messages to a worker (docs/wire.md §6)."""

from collections.abc import Iterable

from deltawire.common.wire.messages import shard as wire
from deltawire.common.wire.messages.fields import Message
from deltawire.common.wire.messages.proofs import ShardProof
from deltawire.fifo.actions import Send, Side
from deltawire.fifo.engine import Batch, Begin, Pop
from deltawire.fifo.shards import Informer, Shard


def send_batch(informer: str, shard: Shard, boot: str, batch: Batch) -> Send:
    """One batch to the shard's owner."""
    message: Message
    if isinstance(batch, Pop):
        keys, marks = batch.groups, list(batch.marks.items())
        message = wire.Pop(informer, shard.number, boot, batch.first, batch.last, keys, marks)
    elif isinstance(batch, Begin):
        message = wire.ListBegin(informer, shard.number, boot, batch.number, batch.stream, batch.generation)
    else:
        message = wire.ListEnd(
            *(informer, shard.number, boot, batch.number),
            *(batch.stream, batch.generation, batch.count, batch.version),
        )
    return Send(Side.WORKERS, shard.owner or b"", message)


def send_proofs(informers: Iterable[Informer]) -> list[Send]:
    """One message for each worker: the proofs of its shards that nothing waits in front of any more."""
    rows: dict[bytes, dict[tuple[str, str], list[ShardProof]]] = {}
    for informer in informers:
        for shard in informer.shards:
            if shard.owner is None or not shard.is_open:
                continue
            mine = rows.setdefault(shard.owner, {})
            for stream, proof in shard.proofs.take(shard.queue).items():
                same = mine.setdefault((informer.name, stream), [])
                row = next((row for row in same if row.proof == proof), None)
                if row is None:
                    same.append(ShardProof(informer.name, stream, proof, [shard.number]))
                else:
                    row.shards.append(shard.number)
    return [
        Send(Side.WORKERS, owner, wire.ShardProofs([row for same in mine.values() for row in same]))
        for owner, mine in rows.items()
        if mine
    ]
