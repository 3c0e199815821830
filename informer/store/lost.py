"""Objects of which a crash of the machine left but their identity, or an archive all but their content (pure)."""

import msgspec

from deltawire.common.store.layout import Row, unpack_row

# Flag of a row that stands for an object whose content is to come.
NO_CONTENT = 64


class LostName(msgspec.Struct, array_like=True):
    """The lives of a name that may have ended unseen, oldest first: (born, uid).

    ``held``: the row without its object of the life that was stored, where an archive has it.
    """

    key: str
    lives: list[tuple[int, str]] = []
    held: bytes = b""


encode_lost = msgspec.msgpack.Encoder().encode
decode_lost = msgspec.msgpack.Decoder(LostName).decode


def rows_of_lost(data: bytes) -> list[Row]:
    """A row for each lost life, with an object of which only the identity is known.

    One that an archive has says so (`NO_CONTENT`), and has its version and its number; the others' seq is 0.
    """
    name = decode_lost(data)
    rows = []
    for born, uid in name.lives:
        row = Row(name.key, uid, "", 0, born, 0, b"")
        row.object = minimal_object(row)
        rows.append(row)
    if name.held:
        row = unpack_row(name.held)
        row.object, row.flags = minimal_object(row), row.flags | NO_CONTENT
        rows.append(row)
    return rows


def minimal_object(row: Row) -> bytes:
    """An object of which nothing but its identity is kept."""
    namespace, _, name = row.key.partition("/")
    metadata = {"namespace": namespace, "name": name, "uid": row.uid, "resourceVersion": row.version}
    return msgspec.json.encode({"metadata": {field: text for field, text in metadata.items() if text}})
