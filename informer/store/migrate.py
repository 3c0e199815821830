"""A shard's environment of an earlier schema is brought up to date when it is opened, in one transaction.

Handlers of the version before read it on: what listers read (``objects``, ``changes``, ``meta``, indices) keeps its
shape from one schema to the next. What cannot needs a new generation of the folder.
"""

from typing import Any

from deltawire.common.store import layout
from deltawire.common.store.layout import pack_past, seq_of, unpack_row
from deltawire.informer.groups.memory import OWED


def upgrade(txn: Any, dbs: dict[bytes, Any], schema: int, newest: int) -> None:
    """From ``schema`` to the present one; ``newest``: number of the newest change."""
    if schema == 1:
        _tell_history_what_replaced_it(txn, dbs, newest)
        _owe_by_life(txn, dbs)


def _owe_by_life(txn: Any, dbs: dict[bytes, Any]) -> None:
    """``owed``: group, key → born, key becomes group, born → note."""
    rows = list(txn.cursor(db=dbs[layout.OWED]))
    for raw, data in rows:
        txn.delete(raw, db=dbs[layout.OWED])
        txn.put(raw.partition(b"\0")[0] + b"\0" + data[:8], bytes([OWED]), db=dbs[layout.OWED])


def _tell_history_what_replaced_it(txn: Any, dbs: dict[bytes, Any], newest: int) -> None:
    """A row of ``history`` gets the change that replaced it: the next one of its key; ``newest`` if that is gone."""
    rows = [unpack_row(data) for _, data in txn.cursor(db=dbs[layout.HISTORY])]
    changes: dict[str, list[int]] = {row.key: [] for row in rows}
    for row in rows:
        changes[row.key].append(row.seq)
    for raw, data in txn.cursor(db=dbs[layout.CHANGES]):
        if (key := data.decode()) in changes:
            changes[key].append(seq_of(raw))
    for _, data in txn.cursor(db=dbs[layout.GONE]):
        gone = unpack_row(data)
        if gone.key in changes:
            changes[gone.key].append(gone.seq)
    for row in rows:
        replaced_by = min((seq for seq in changes[row.key] if seq > row.seq), default=newest)
        txn.put(layout.seq_key(row.seq), pack_past(row, replaced_by), db=dbs[layout.HISTORY])
