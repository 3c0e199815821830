"""What a shard's archive holds: records of what each transaction changed, and the image that they add up to (pure).

A record says for some tables, named as the databases of the shard, which rows are new or gone. Rows that hold an object
are archived without it: its content comes again from the API server. Parked changes are whole. A record that is too
large for one message goes in parts, which count once the last one is there.
"""

from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from deltawire.common.errors import StateError
from deltawire.common.store import layout
from deltawire.common.store.layout import Row as StoredRow
from deltawire.common.store.layout import pack_past, pack_row, seq_key, seq_of, unpack_row

# 1: the first.
FORMAT = 1
# Of one part, so that it fits into one message of a NATS server with its defaults (1 MiB). A larger row is alone.
PART_BYTES_MAX = 512 * 1024
TABLES = (
    layout.OBJECTS,
    layout.GONE,
    layout.HISTORY,
    layout.GROUPS,
    layout.PARKED,
    layout.OWED,
    layout.MATCHED,
    layout.LOST,
    layout.META,
)
# Bytes that a row costs beside its key and its data.
_ROW_BYTES = 16

# A row (table, key, data); None: it is gone.
Op = tuple[bytes, bytes, bytes | None]


class Place(msgspec.Struct, frozen=True, array_like=True, order=True):
    """Of a transaction: ``number`` counts them, ``epoch`` the owners that the shard has had."""

    epoch: int = 0
    number: int = 0


class Position(msgspec.Struct, frozen=True, array_like=True):
    """How far the shard was: as `ShardState`."""

    boot: str = ""
    number: int = 0
    seq: int = 0


class Record(msgspec.Struct, array_like=True, kw_only=True):
    """``kind``: ``take``: another owner; ``ops``: a transaction; ``all``: the whole shard, nothing before it counts.

    ``epoch``: of the owner who wrote it, ``place``: of the transaction it is, or for ``take`` and ``all`` the newest
    that it contains. ``part``: from 0; ``more``: another part follows. ``trims``: rows of these tables up to this
    number are gone. ``format``: of the record; rows in it are of the store's schema.
    """

    format: int = FORMAT
    kind: Literal["take", "ops", "all"]
    epoch: int
    place: Place
    owner: str = ""
    position: Position = Position()
    part: int = 0
    more: bool = False
    ops: list[Op] = []
    trims: list[tuple[bytes, int]] = []


encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


def decode(data: bytes) -> Record:
    """Raises StateError for what is no record, or one of a newer program."""
    try:
        record = _decode(data)
    except msgspec.MsgspecError as error:
        raise StateError(f"the archive holds something that is no record: {error}") from None
    if record.format > FORMAT:
        raise StateError(
            f"the archive holds records of format {record.format}, this program reads {FORMAT}",
            hint="use the version that wrote them",
        )
    return record


def bare(row: StoredRow) -> bytes:
    """A row of ``objects`` or ``gone`` without its object."""
    return pack_row(_without_content(row), with_key=True)


def bare_past(row: StoredRow, replaced_by: int) -> bytes:
    """A row of ``history`` without its object."""
    return pack_past(_without_content(row), replaced_by)


def _without_content(row: StoredRow) -> StoredRow:
    return StoredRow(row.key, row.uid, row.version, row.seq, row.born, row.at, b"", row.flags)


def parts_of(record: Record) -> Iterator[Record]:
    """The record as parts of at most `PART_BYTES_MAX`, but for a single row that is larger."""
    ops: list[Op] = []
    part = size = 0
    for op in record.ops:
        cost = len(op[1]) + len(op[2] or b"") + _ROW_BYTES
        if ops and size + cost > PART_BYTES_MAX:
            yield msgspec.structs.replace(record, part=part, more=True, ops=ops, trims=[])
            part, ops, size = part + 1, [], 0
        ops.append(op)
        size += cost
    yield msgspec.structs.replace(record, part=part, more=False, ops=ops)


class Image:
    """What the records of an archive add up to. ``place``, ``position``: of the newest transaction; ``epoch``,
    ``owner``: who took the shard last. ``is_empty``: nobody has archived it yet."""

    def __init__(self) -> None:
        self.epoch = 0
        self.owner = ""
        self.place = Place()
        self.position = Position()
        self.tables: dict[bytes, dict[bytes, bytes]] = {name: {} for name in TABLES}
        self.is_empty = True
        self._parts: list[Record] = []

    def add_all(self, records: Iterable[Record]) -> "Image":
        for record in records:
            self.add(record)
        return self

    def add(self, record: Record) -> None:
        """The next record."""
        if record.part == 0:
            # What came before without an end was cut by a kill.
            self._parts = []
        elif not self._parts or (self._parts[-1].part, self._parts[-1].place) != (
            record.part - 1,
            record.place,
        ):
            # The first parts were removed with what is out of date.
            self._parts = []
            return
        self._parts.append(record)
        if record.more:
            return
        parts, self._parts = self._parts, []
        self.epoch = max(self.epoch, record.epoch)
        if record.kind == "take":
            self.owner = record.owner
            return
        self.is_empty = False
        if record.kind == "all":
            self.tables = {name: {} for name in TABLES}
        for one in parts:
            self._carry_out(one)
        self.place, self.position = record.place, record.position

    def _carry_out(self, record: Record) -> None:
        for name, key, data in record.ops:
            if data is None:
                self.tables[name].pop(key, None)
            else:
                self.tables[name][key] = data
        for name, up_to in record.trims:
            table = self.tables[name]
            for raw in [raw for raw in table if seq_of(raw) <= up_to]:
                del table[raw]

    def rows(self, name: bytes) -> Iterator[StoredRow]:
        """The rows of ``objects`` or ``gone``, oldest first."""
        found = [unpack_row(data) for data in self.tables[name].values()]
        return iter(sorted(found, key=lambda row: row.seq))


def object_op(row: StoredRow) -> Op:
    """An object is stored."""
    return layout.OBJECTS, row.key.encode(), bare(row)


def end_op(key: str) -> Op:
    """An object is stored no more."""
    return layout.OBJECTS, key.encode(), None


def gone_op(row: StoredRow) -> Op:
    """A deletion that some group has still to see."""
    return layout.GONE, seq_key(row.seq), bare(row)


def past_op(row: StoredRow, replaced_by: int) -> Op:
    """A version that some group has still to see."""
    return layout.HISTORY, seq_key(row.seq), bare_past(row, replaced_by)
