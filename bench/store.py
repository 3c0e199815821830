"""The shard's store as rows (as it is) against one append-only log: CPU µs an event, of LMDB and packing alone.

    python bench/store.py [--objects 5000] [--events 4000] [--rounds 3]

Both write the same events in transactions of 1, 4 and 32: updates of 4.4 KB pods with two indices, one of ten moving
between values, every hundredth event a deletion and an add. Groups acknowledge all of a transaction with the next.

- **rows**: `objects` holds the newest state, `changes` its number; the old state is read with each update.
- **log**: `log` holds every state by number, `objects` only what is compared; the old state is read where a group
  wants it. What is superseded is trimmed with the transaction after.

Groups that take `every` version, and are behind by a transaction, have the rows keep old states in `history`.

Not here: what the project's own code costs (`bench/informer.py`), and what recovery from either takes.
"""

import argparse
import itertools
import random
import struct
import tempfile
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import lmdb
from figures import table

OBJECT_BYTES = 4400
NODES = 50
BATCHES = (1, 4, 32)
_SEQ = struct.Struct(">Q")
_HEAD = struct.Struct("<QQqHH")


class Case(NamedTuple):
    """``old``: groups ask for the version before; ``every``: they take each version; ``writemap``: LMDB writes through
    the map, without copies."""

    layout: str
    batch: int
    groups: int
    old: bool
    every: bool
    writemap: bool


class Event(NamedTuple):
    key: bytes
    uid: bytes
    version: bytes
    node: bytes
    is_deletion: bool
    object: bytes


def events(objects: int, count: int, seed: int) -> Iterator[Event]:
    chance, body = random.Random(seed), random.Random(seed).randbytes(OBJECT_BYTES)
    lives = [0] * objects
    for number in range(count):
        at = chance.randrange(objects)
        key, node = (
            b"\x01ns/web-%06d" % at,
            b"\x01node-%d" % ((at + (number if number % 10 == 0 else 0)) % NODES),
        )
        version = b"%d" % (number + 10_000)
        uid = b"%036d" % (at + objects * lives[at])
        if number % 100 == 99:
            lives[at] += 1
            yield Event(key, uid, version, node, True, body)
            uid = b"%036d" % (at + objects * lives[at])
        yield Event(key, uid, version, node, False, body)


def head_of(seq: int, born: int, event: Event) -> bytes:
    uid, version = event.uid, event.version
    return _HEAD.pack(seq, born, 0, len(uid), len(version)) + uid + version + event.node.ljust(12)


class Store:
    """What both layouts have: indices, groups, the state's row."""

    names: tuple[bytes, ...] = ()

    def __init__(self, folder: str, case: Case) -> None:
        self.case = case
        self.env = lmdb.open(
            folder,
            map_size=8 << 30,
            max_dbs=16,
            sync=False,
            metasync=False,
            writemap=case.writemap,
            max_spare_txns=4,
        )
        self.db = {n: self.env.open_db(n) for n in (*self.names, b"objects", b"gone", b"groups", b"meta")}
        self.indexes = [self.env.open_db(b"index/%d" % n, dupsort=True) for n in range(2)]
        self.seq = 0
        self.groups = [b"\x01group-%02d" % number for number in range(case.groups)]

    def commit(self, batch: list[Event]) -> None:
        with self.env.begin(write=True) as txn:
            txn.get(b"state", db=self.db[b"meta"])
            acknowledged = self.seq
            for event in batch:
                self.seq += 1
                self.apply(txn, event)
            self.trim(txn, acknowledged)
            row = b"position" + _SEQ.pack(acknowledged) + bytes(60)
            for group in self.groups:
                txn.put(group, row, db=self.db[b"groups"])
            txn.put(b"stream/*", batch[-1].version, db=self.db[b"meta"])
            txn.put(b"state", _SEQ.pack(self.seq) + bytes(80), db=self.db[b"meta"])

    def apply(self, txn: Any, event: Event) -> None:
        raise NotImplementedError

    def trim(self, txn: Any, up_to: int) -> None:
        raise NotImplementedError

    def move(self, txn: Any, key: bytes, before: bytes, after: bytes) -> None:
        if before != after:
            for index in self.indexes:
                if before:
                    txn.delete(before, key, db=index)
                if after:
                    txn.put(after, key, db=index)


class Rows(Store):
    names = (b"changes", b"history")

    def apply(self, txn: Any, event: Event) -> None:
        objects, changes = self.db[b"objects"], self.db[b"changes"]
        data, born, before = txn.get(event.key, db=objects), self.seq, b""
        if data is not None:
            seq, born, _, uid, version = _HEAD.unpack_from(data)
            end = _HEAD.size + uid + version
            before, _old = data[end : end + 12].rstrip(), data[end + 12 :]
            txn.delete(_SEQ.pack(seq), db=changes)
            if self.case.every:
                txn.put(_SEQ.pack(seq), data + _SEQ.pack(self.seq), db=self.db[b"history"])
        raw = _SEQ.pack(self.seq)
        if event.is_deletion:
            txn.delete(event.key, db=objects)
            txn.put(raw, head_of(self.seq, born, event) + event.object, db=self.db[b"gone"])
            self.move(txn, event.key, before, b"")
            return
        txn.put(event.key, head_of(self.seq, born, event) + event.object, db=objects)
        txn.put(raw, event.key, db=changes, append=True)
        self.move(txn, event.key, before, event.node)

    def trim(self, txn: Any, up_to: int) -> None:
        for name in (b"gone", b"history") if self.case.every else (b"gone",):
            cursor = txn.cursor(db=self.db[name])
            cursor.first()
            while (raw := cursor.key()) and _SEQ.unpack(raw)[0] <= up_to:
                cursor.delete()


class Log(Store):
    names = (b"log",)

    def __init__(self, folder: str, case: Case) -> None:
        super().__init__(folder, case)
        self.superseded: list[tuple[int, int]] = []

    def apply(self, txn: Any, event: Event) -> None:
        objects, log = self.db[b"objects"], self.db[b"log"]
        data, born, before = txn.get(event.key, db=objects), self.seq, b""
        if data is not None:
            seq, born, _, uid, version = _HEAD.unpack_from(data)
            end = _HEAD.size + uid + version
            before = data[end : end + 12].rstrip()
            if self.case.old:
                _old = txn.get(_SEQ.pack(seq), db=log)
            self.superseded.append((self.seq, seq))
        head = head_of(self.seq, born, event)
        txn.put(_SEQ.pack(self.seq), head + event.object, db=log, append=True)
        if event.is_deletion:
            txn.delete(event.key, db=objects)
            # The tombstone itself, once all are past it.
            self.superseded.append((self.seq, self.seq))
        else:
            txn.put(event.key, head, db=objects)
        self.move(txn, event.key, before, b"" if event.is_deletion else event.node)

    def trim(self, txn: Any, up_to: int) -> None:
        left = []
        for by, seq in self.superseded:
            if by <= up_to:
                txn.delete(_SEQ.pack(seq), db=self.db[b"log"])
            else:
                left.append((by, seq))
        self.superseded = left


LAYOUTS: dict[str, type[Store]] = {"rows": Rows, "log": Log}


def measured(case: Case, objects: int, count: int) -> tuple[float, float]:
    """CPU µs an event, and the size of the file at the end, MiB."""
    with tempfile.TemporaryDirectory(prefix="dw-store-") as folder:
        store = LAYOUTS[case.layout](folder, case)
        first = [Event(b"\x01ns/web-%06d" % n, b"%036d" % n, b"%d" % n, b"\x01node-%d" % (n % NODES), False,
                       bytes(OBJECT_BYTES)) for n in range(objects)]  # fmt: skip
        for start in range(0, objects, 64):
            store.commit(first[start : start + 64])
        found = list(events(objects, count, 1))
        began = time.process_time()
        for batch in _cut(found, case.batch):
            store.commit(batch)
        spent = time.process_time() - began
        used = store.env.info()["last_pgno"] * store.env.stat()["psize"] / 2**20
        store.env.close()
        return spent * 1e6 / len(found), used


def _cut(items: list[Event], size: int) -> Iterator[list[Event]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--objects", type=int, default=5000)
    parser.add_argument("--events", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    modes = ((False, False), (True, False), (False, True))
    wanted = list(itertools.product((False, True), (1, 20), modes, BATCHES))
    cases = [Case(name, b, g, old, every, w) for w, g, (old, every), b in wanted for name in LAYOUTS]
    best: dict[Case, tuple[float, float]] = {}
    for _ in range(options.rounds):
        for case in cases:
            found = measured(case, options.objects, options.events)
            best[case] = min(best.get(case, found), found)
    rows = []
    for w, g, (old, every), b in wanted:
        both = [best[Case(name, b, g, old, every, w)] for name in LAYOUTS]
        figures = [f"{spent:.1f}" for spent, _ in both] + [f"{used:.0f}" for _, used in both]
        rows.append(
            ["yes" if w else "no", str(g), "every" if every else "old" if old else "latest", str(b), *figures]
        )
    print(
        table(["writemap", "groups", "mode", "batch", "rows, µs", "log, µs", "rows, MiB", "log, MiB"], rows)
    )


if __name__ == "__main__":
    main()
