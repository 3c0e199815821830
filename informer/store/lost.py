"""Objects of which a crash of the machine left nothing but their identity (pure)."""

import msgspec

from deltawire.common.store.layout import Row


class LostName(msgspec.Struct, array_like=True):
    """The lives of a name that may have ended unseen, oldest first: (born, uid)."""

    key: str
    lives: list[tuple[int, str]] = []


encode_lost = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(LostName).decode


def rows_of_lost(data: bytes) -> list[Row]:
    """A row for each lost life, with an object of which only the identity is known."""
    name = _decode(data)
    rows = []
    for born, uid in name.lives:
        row = Row(name.key, uid, "", 0, born, 0, b"")
        row.object = minimal_object(row)
        rows.append(row)
    return rows


def minimal_object(row: Row) -> bytes:
    """An object of which nothing but its identity is kept."""
    namespace, _, name = row.key.partition("/")
    metadata = {"namespace": namespace, "name": name, "uid": row.uid, "resourceVersion": row.version}
    return msgspec.json.encode({"metadata": {field: text for field, text in metadata.items() if text}})
