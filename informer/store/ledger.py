"""What must outlive a crash of the machine, beside a shard's cache that does not (docs/design.md §4).

The cache is written without syncing, so after such a crash it is thrown away. The ledger is a small LMDB
environment that is synced at each commit: which lives of objects the groups may know of, how far the streams
were, which groups there are. It is committed once a second, in a thread: a commit waits for the disk, 66 µs an
event if it were the batch's own. What happened in the second before the crash is not in it.

A life is one object from its creation to its deletion; ``born`` separates it from others of its name. It stays in the
ledger until every group is past its deletion.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import lmdb
import msgspec

from deltawire.common.errors import CapacityError, StateError
from deltawire.common.store import layout
from deltawire.common.store.folder import informer_folder
from deltawire.common.store.layout import seq_key, seq_of
from deltawire.common.store.meta import StreamState
from deltawire.informer.groups.state import GroupState
from deltawire.informer.store.trouble import explain

log = logging.getLogger(__name__)

# Lives that wait to be written; at so many the shard waits for the disk.
PENDING_MAX = 100_000
_LIVES = b"lives"
_STATE = b"state"


class Life(msgspec.Struct, frozen=True, array_like=True):
    """One object from its creation to its deletion."""

    uid: str
    key: str


class LedgerState(msgspec.Struct, omit_defaults=True):
    """``seq``: all changes up to this one are in the ledger. Of groups, only what does not depend on the cache.

    ``schema``: of the program that wrote it, 2 where it does not say.
    """

    seq: int = 0
    streams: dict[str, StreamState] = {}
    groups: dict[str, GroupState] = {}
    schema: int = 2


_encode = msgspec.msgpack.Encoder().encode
_decode_life = msgspec.msgpack.Decoder(Life).decode
_decode_state = msgspec.msgpack.Decoder(LedgerState).decode


def folder_of(store_dir: Path, cluster_id: str, resource: str, shard: int) -> Path:
    """Where the shard keeps what must outlive its cache: beside all generations."""
    return informer_folder(store_dir, cluster_id, resource) / f"ledger-{shard}"


class Ledger:
    """The file. Raises CapacityError where there is no room to make it, StateError where it cannot be read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._env = lmdb.open(str(folder), map_size=layout.MAP_BYTES, max_dbs=2, mode=0o600)
            self._lives = self._env.open_db(_LIVES)
            with self._env.begin() as txn:
                data = txn.get(_STATE)
        except lmdb.Error as error:
            if isinstance(explained := explain(error, folder), CapacityError):
                raise explained from None
            raise StateError(
                f"the ledger {folder} cannot be read: {error}",
                hint="remove it: deletions that a crash of the machine hid are not reported then",
            ) from None
        self.state = LedgerState() if data is None else _decode_state(data)
        if self.state.schema > layout.SCHEMA:
            schema = self.state.schema
            self._env.close()
            raise StateError(
                f"the ledger {folder} was written in schema {schema}, this program reads {layout.SCHEMA}",
                hint="use the version that wrote it, or name another folder in store.dir",
            )

    def lives(self) -> Iterator[tuple[int, Life]]:
        """(born, life) of each, oldest first."""
        with self._env.begin() as txn:
            for raw, data in txn.cursor(db=self._lives):
                yield seq_of(raw), _decode_life(data)

    def count(self) -> int:
        with self._env.begin() as txn:
            return int(txn.stat(self._lives)["entries"])

    def commit(self, state: LedgerState, lives: Mapping[int, Life | None]) -> None:
        """Write what changed, None for lives that are over, and wait for the disk. Raises lmdb.Error."""
        with self._env.begin(write=True) as txn:
            for born, life in lives.items():
                if life is None:
                    txn.delete(seq_key(born), db=self._lives)
                else:
                    txn.put(seq_key(born), _encode(life), db=self._lives)
            txn.put(_STATE, _encode(state))
        self.state = state

    def close(self) -> None:
        self._env.close()


Submit = Callable[[Callable[[], None]], "Future[None]"]


def submit_now(job: Callable[[], None]) -> "Future[None]":
    """For those who have no thread for it."""
    future: Future[None] = Future()
    try:
        job()
        future.set_result(None)
    except lmdb.Error as error:
        future.set_exception(error)
    return future


class LedgerKeeper:
    """Collects what a shard committed and has it written, one commit at a time.

    ``late``: how often a commit of the second before was still waiting for the disk; ``error``: why the last one
    failed, "" if it did not. What could not be written is written with the next.
    """

    def __init__(self, ledger: Ledger, submit: Submit) -> None:
        self.late = 0
        self.error = ""
        self._ledger = ledger
        self._submit = submit
        self._pending: dict[int, Life | None] = {}
        self._handed: dict[int, Life | None] = {}
        self._written = ledger.state
        self._commit: Future[None] | None = None

    @property
    def is_full(self) -> bool:
        """Too much waits: call `flush`."""
        return len(self._pending) >= PENDING_MAX

    def note(self, lives: Mapping[int, Life | None]) -> None:
        """Lives that began, or (None) are over. Only what is committed in the shard."""
        self._pending.update(lives)

    def write(self, state: LedgerState) -> None:
        """Have all that was noted written, unless the disk is still busy with what was before."""
        if self._commit is not None and not self._commit.done():
            self.late += 1
            return
        self._settle()
        if self._pending or state != self._written:
            lives, self._pending = self._pending, {}
            self._handed, self._written = lives, state
            self._commit = self._submit(lambda: self._ledger.commit(state, lives))

    def flush(self, state: LedgerState) -> None:
        """As `write`, and wait for the disk."""
        self._settle()
        self.write(state)
        self._settle()

    def close(self) -> None:
        """Wait for the disk and close the file; what was only noted is found again from the cache."""
        self._settle()
        self._ledger.close()

    def _settle(self) -> None:
        """Wait for the commit under way, and take back what it could not write."""
        commit, self._commit = self._commit, None
        if commit is None:
            return
        failure = commit.exception()
        if failure is not None:
            if not self.error:
                log.error("what must outlive a crash of the machine cannot be written: %s", failure)
            self._pending = {**self._handed, **self._pending}
            self._written = LedgerState()
        self.error = "" if failure is None else str(failure)
        self._handed = {}


def groups_of(groups: Mapping[str, Any]) -> dict[str, GroupState]:
    """What the ledger keeps of each group."""
    return {
        name: GroupState(
            birth=group.record.state.birth,
            delivery=group.record.state.delivery,
            last_seen=group.record.state.last_seen,
            epoch=group.record.state.epoch,
            forgotten=group.record.state.forgotten,
            gaps=group.gaps.waiting,
            clauses={} if group.scope is None else group.scope.clauses.bits,
        )
        for name, group in groups.items()
    }
