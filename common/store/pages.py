"""Pages of rows inside a read transaction: what readers and the worker's own queries have in common."""

from typing import Any

from deltawire.common.clock import Clock
from deltawire.common.meta.keys import split_key
from deltawire.common.store.layout import (
    Row,
    is_cut,
    prefix_key,
    seq_key,
    seq_of,
    text_key,
    text_of,
    unpack_indexed,
    unpack_row,
)

PAGE_OBJECTS_MAX = 256
PAGE_S_MAX = 0.005
# Always there: keys begin with their namespace.
NAMESPACE_INDEX = "namespace"


def read_page(
    txn: Any, objects: Any, prefix: str, after: str, limit: int, clock: Clock
) -> tuple[list[Row], str]:
    """Objects whose key has the prefix, after the key ``after``, and where to go on ("" = complete).

    At most `PAGE_OBJECTS_MAX` objects or `PAGE_S_MAX` seconds a page, so that no transaction lives long.
    """
    limit = min(limit, PAGE_OBJECTS_MAX)
    deadline_s = clock.now_s() + PAGE_S_MAX
    start = prefix_key(prefix)
    cursor = txn.cursor(db=objects)
    rows: list[Row] = []
    if not _seek_after(cursor, start, after):
        return rows, ""
    for raw, data in cursor:
        if not raw.startswith(start):
            return rows, ""
        if len(rows) >= limit or (len(rows) % 16 == 15 and clock.now_s() > deadline_s):
            return rows, rows[-1].key if rows else after
        row = unpack_row(data, text_of(raw))
        if row.key.startswith(prefix):
            rows.append(row)
    return rows, ""


def read_index_page(
    txn: Any, index: Any, objects: Any, name: str, value: str, after: str, limit: int, clock: Clock
) -> tuple[list[Row], str]:
    """Objects with this value in the index ``name``, by key, paged like `read_page`."""
    limit = min(limit, PAGE_OBJECTS_MAX)
    deadline_s = clock.now_s() + PAGE_S_MAX
    wanted = text_key(value)
    cursor = txn.cursor(db=index)
    rows: list[Row] = []
    found = cursor.set_range_dup(wanted, text_key(after)) if after else cursor.set_key(wanted)
    if found and after and cursor.value() == text_key(after):
        found = cursor.next_dup()
    while found:
        if len(rows) >= limit or (len(rows) % 16 == 15 and clock.now_s() > deadline_s):
            return rows, rows[-1].key
        raw = cursor.value()
        data = txn.get(raw, db=objects)
        row = unpack_row(data, text_of(raw)) if data is not None else None
        # A cut value is known by its hash alone: the object's own entries decide.
        if row is not None and (not is_cut(wanted) or value in _values(row, name)):
            rows.append(row)
        found = cursor.next_dup()
    return rows, ""


def read_index_values(txn: Any, index: Any, objects: Any, name: str) -> list[str]:
    """All values of an index, each once, sorted."""
    values: set[str] = set()
    cursor = txn.cursor(db=index)
    found = cursor.first()
    while found:
        wanted = cursor.key()
        if is_cut(wanted):
            data = txn.get(cursor.value(), db=objects)
            held = _values(unpack_row(data), name) if data is not None else []
            values.update(value for value in held if text_key(value) == wanted)
        else:
            values.add(text_of(wanted))
        found = cursor.next_nodup()
    return sorted(values)


def read_changes(txn: Any, changes: Any, objects: Any, seq: int, limit: int) -> tuple[list[Row], int]:
    """Objects by the number of their newest change, after ``seq``; and the last number that was looked at."""
    rows: list[Row] = []
    cursor = txn.cursor(db=changes)
    if not cursor.set_range(seq_key(seq + 1)):
        return rows, seq
    for raw, key in cursor:
        if len(rows) >= min(limit, PAGE_OBJECTS_MAX):
            break
        seq = seq_of(raw)
        text = key.decode()
        data = txn.get(text_key(text), db=objects)
        if data is not None:
            rows.append(unpack_row(data, text))
    return rows, seq


def read_namespaces(txn: Any, objects: Any) -> list[str]:
    """The namespaces that have objects, by one seek each."""
    namespaces = []
    cursor = txn.cursor(db=objects)
    found = cursor.first()
    while found:
        raw = cursor.key()
        # A cut key still shows its namespace, which has at most 63 characters.
        namespace, _ = split_key(raw[1:].partition(b"\xff")[0].decode(errors="ignore"))
        namespaces.append(namespace)
        # "0" is the character after "/".
        found = cursor.set_range(prefix_key(f"{namespace}0"))
    return sorted(set(namespaces))


def _values(row: Row, name: str) -> list[str]:
    return unpack_indexed(row.indexed).get(name, [])


def _seek_after(cursor: Any, start: bytes, after: str) -> bool:
    """Put the cursor on the first key at or after ``start`` and after the text ``after``."""
    if not after:
        return bool(cursor.set_range(start))
    raw = text_key(after)
    if raw < start:
        return bool(cursor.set_range(start))
    found = bool(cursor.set_range(raw))
    if found and cursor.key() == raw:
        found = bool(cursor.next())
    return found
