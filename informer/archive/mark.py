"""The row of a shard's store that names the newest transaction in it, as its archive counts them."""

import msgspec

from deltawire.common.store import layout
from deltawire.informer.archive.record import Place
from deltawire.informer.store.batch import Batch
from deltawire.informer.store.indexer import Indexer

MARK_KEY = b"archived"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Place).decode


def put_mark(batch: Batch, place: Place) -> None:
    """In the transaction that it names."""
    batch.txn.put(MARK_KEY, _encode(place), db=batch.db(layout.META))


def mark_of(indexer: Indexer) -> Place | None:
    """None: nothing of this store was archived."""
    data = dict(indexer.rows(layout.META)).get(MARK_KEY)
    return None if data is None else _decode(data)
