"""The model world's worker with the informer's real rules: `deltawire.informer.apply` over a store in memory."""

from collections.abc import Sequence
from typing import Any

import msgspec

from deltawire.common.meta.keys import split_key
from deltawire.common.store.layout import Row
from deltawire.common.store.meta import StreamState
from deltawire.informer.apply import Apply
from deltawire.informer.archive.restore import begin_again
from deltawire.informer.changes import Change, Counters, ForgetMarks, Mark, Remove, SetAside
from deltawire.informer.progress import Progress
from tests.support.fifo_model import CLUSTER_ID, INFORMER, STREAMS, Store, Worker
from tests.support.messages import work

SCOPE = "scope"


class Disk:
    """What an LMDB environment holds: rows, marks, rows set aside, and how far it is."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.marks: dict[str, int] = {}
        self.aside: dict[str, Row] = {}
        self.progress = Progress({stream: StreamState() for stream in STREAMS})

    def held(self, key: str) -> Row | None:
        row = self.rows.get(key)
        return msgspec.structs.replace(row) if row else None

    def unmarked(self, prefix: str, generation: int) -> Sequence[str]:
        return [k for k in self.rows if k.startswith(prefix) and self.marks.get(k) != generation]

    def is_marked(self, key: str, generation: int) -> bool:
        return self.marks.get(key) == generation

    def set_aside(self, prefix: str) -> Sequence[Row]:
        return [row for key, row in self.aside.items() if key.startswith(prefix)]

    def lost(self, key: str) -> Sequence[Row]:
        return []

    def lost_under(self, prefix: str) -> Sequence[Row]:
        return []


class Archived(Store):
    """A store with a disk, which is filled as `deltawire.informer.archive.restore` fills one."""

    def __init__(self) -> None:
        super().__init__()
        self.disk = Disk()

    def move(self) -> None:
        super().move()
        self.disk.marks.clear()
        self.disk.aside.clear()
        for stream in self.disk.progress.streams.values():
            begin_again(stream)


class RealWorker(Worker):
    """Each batch is one transaction: the world kills between them, never inside."""

    def disk(self, shard: int) -> Disk:
        store = self.world.stores[shard]
        if not isinstance(store, Archived):
            # It rides along with the store that may be lost.
            store = self.world.stores[shard] = Archived()
        return store.disk

    def receive(self, kind: str, body: tuple[Any, ...]) -> None:
        if kind == "open":
            for shard in self.shards:
                progress = self.disk(shard).progress
                streams = {
                    name: [state.resume, state.floor, state.generation]
                    for name, state in progress.streams.items()
                }
                self.send("shard", INFORMER, shard, CLUSTER_ID, progress.boot, progress.number, streams)
            return
        shard, boot = body[1], body[2]
        if self.world.owners.get(shard) is not self:
            return
        disk, store = self.disk(shard), self.world.stores[shard]
        draft, counters = disk.progress.draft(), Counters()

        def put(row: Row, old: Row | None) -> None:
            disk.rows[row.key] = row
            store.put(split_key(row.key), row.uid, int(row.version))

        applying = Apply(draft, counters, disk, put, lambda change: self.make(disk, store, change))
        if kind == "pop":
            number = body[4]
            applying.pop(work("pop", list(body[2:])))
        elif kind == "begin":
            number = body[3]
            applying.begin_list(work("begin", list(body[2:])))
        else:
            number = body[3]
            applying.end_list(work("end", list(body[2:])), SCOPE, 1)
        disk.progress = draft
        store.resume = {
            name: int(state.resume) if state.resume else None for name, state in draft.streams.items()
        }
        if number:
            self.send("ack", INFORMER, shard, boot, number)

    def make(self, disk: Disk, store: Store, change: Change) -> None:
        if isinstance(change, Remove):
            del disk.rows[change.old.key]
            store.remove(split_key(change.old.key))
        elif isinstance(change, Mark):
            disk.marks[change.key] = change.generation
        elif isinstance(change, SetAside):
            disk.aside[change.row.key] = change.row
        elif isinstance(change, ForgetMarks):
            for table in (disk.marks, disk.aside):
                for key in [key for key in table if key.startswith(change.prefix)]:
                    del table[key]
