"""Proofs as messages to workers (docs/wire.md §6)."""

from collections.abc import Iterable

from deltawire.common.wire.messages import shard as wire
from deltawire.common.wire.messages.proofs import ShardProof
from deltawire.fifo.actions import Send, Side
from deltawire.fifo.shards import Informer


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
