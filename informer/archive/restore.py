"""A shard from its archive: an empty store is filled, with objects whose content a list is to bring.

Each archived object stands in ``lost`` with its version and number. A list, or the watch, that names the same version
brings the content back under the same number: for groups that have acknowledged it nothing has happened. Another
version is an update, another uid or no mention a deletion without content. Nothing is delivered before all are settled:
what a group's scan passed over would never come again.
"""

from collections.abc import Iterator

import msgspec

from deltawire.common.store import layout, meta
from deltawire.common.store.layout import Row, pack_past, pack_row, seq_key, unpack_past, unpack_row
from deltawire.common.store.meta import StreamState
from deltawire.informer.archive.batch import position_of
from deltawire.informer.archive.mark import put_mark
from deltawire.informer.archive.record import Image, Op, Position, gone_op, object_op, past_op
from deltawire.informer.store.indexer import Indexer
from deltawire.informer.store.lost import NO_CONTENT, LostName, decode_lost, encode_lost, minimal_object
from deltawire.informer.store.view import View

_AS_THEY_ARE = (layout.GROUPS, layout.PARKED, layout.OWED, layout.MATCHED)


def fill(indexer: Indexer, image: Image) -> None:
    """Fill an empty store, in one transaction."""
    names = {data.key: data for data in map(decode_lost, image.tables[layout.LOST].values())}
    for row in image.rows(layout.OBJECTS):
        names.setdefault(row.key, LostName(row.key)).held = pack_row(row, with_key=True)
    with indexer.batch() as batch:
        for key, name in names.items():
            indexer.beats.progress("a store filled from its archive")
            batch.lose(key, encode_lost(name))
        for row in image.rows(layout.GONE):
            row.object, row.flags = minimal_object(row), row.flags | layout.FINAL_STATE_UNKNOWN
            batch.put(layout.GONE, seq_key(row.seq), pack_row(row, with_key=True))
        for raw, data in image.tables[layout.HISTORY].items():
            past, replaced_by = unpack_past(data)
            past.flags |= NO_CONTENT
            batch.put(layout.HISTORY, raw, pack_past(past, replaced_by))
        for table in _AS_THEY_ARE:
            for raw, data in image.tables[table].items():
                batch.put(table, raw, data)
        for raw, data in image.tables[layout.META].items():
            stream = meta.decode_stream(data)
            begin_again(stream)
            batch.put_stream(raw.removeprefix(meta.STREAM_PREFIX).decode(), stream)
        position = image.position
        batch.state.boot, batch.state.number, batch.state.seq = position.boot, position.number, position.seq
        put_mark(batch, image.place)


def begin_again(stream: StreamState) -> None:
    """The stream of a store that was filled: a list is needed from its begin on."""
    stream.give_up_resume()
    if stream.open:
        # What it named is not known any more. Its end may still come, and must not be taken for one that will do.
        stream.open = 0
        stream.generation += 1


def copy(indexer: Indexer) -> tuple[Position, Iterator[Op]]:
    """The whole store as committed, as the archive holds it."""
    return position_of(indexer.state), _rows(indexer)


def _rows(indexer: Indexer) -> Iterator[Op]:
    with indexer.view() as view:
        for op in rows_of(view):
            indexer.beats.progress("a copy for the archive")
            yield op


def rows_of(view: View) -> Iterator[Op]:
    """All that an archive holds of a shard."""
    for name in (layout.OBJECTS, layout.GONE, layout.HISTORY):
        for raw, data in view.rows(name):
            if name == layout.HISTORY:
                yield past_op(*unpack_past(data))
            elif name == layout.GONE:
                yield gone_op(unpack_row(data))
            else:
                yield object_op(unpack_row(data, layout.text_of(raw)))
    for raw, data in view.rows(layout.LOST):
        lost = decode_lost(data)
        if lost.held:
            yield object_op(unpack_row(lost.held))
        if lost.lives:
            yield layout.LOST, raw, encode_lost(msgspec.structs.replace(lost, held=b""))
    for table in _AS_THEY_ARE:
        for raw, data in view.rows(table):
            yield table, raw, data
    for raw, data in view.rows(layout.META):
        if raw.startswith(meta.STREAM_PREFIX):
            yield layout.META, raw, data


class WithLost:
    """What a group reads while objects have no content: calls under way are known by their rows."""

    def __init__(self, view: View) -> None:
        self._view = view
        self.seq, self.fresh = view.seq, view.fresh
        self.scan, self.gone, self.history, self.page = view.scan, view.gone, view.history, view.page

    def object(self, key: str) -> Row | None:
        """The live object of a key, or its row without content."""
        return self._view.object(key) or self._view.lost(key)


def is_restoring(indexer: Indexer) -> bool:
    """True while objects of the archive have no content yet."""
    return indexer.has_lost and any(decode_lost(data).held for _, data in indexer.rows(layout.LOST))


def versions_without_content(indexer: Indexer) -> tuple[bool, set[int]]:
    """Whether ``history`` has rows of which the archive had no content, and the seqs of the others."""
    found, others = False, set()
    with indexer.view() as view:
        for _, data in view.rows(layout.HISTORY):
            row, _ = unpack_past(data)
            if row.flags & NO_CONTENT:
                found = True
            else:
                others.add(row.seq)
    return found, others
