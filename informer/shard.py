"""One shard in its worker: its store, how far it is, and the groups that follow it.

Store before notify: `apply` commits first, and only then does `deliver` look for events, in what is committed.
What groups acknowledged is written in the same transaction as the next batch, or in one of its own where there
is no batch.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from deltawire.common.clock import Clock
from deltawire.common.store import layout
from deltawire.common.wire.messages import shard as wire
from deltawire.common.wire.messages.group import EventRow
from deltawire.informer.adopt import adopt
from deltawire.informer.apply import Apply
from deltawire.informer.archive.keeper import ArchiveKeeper
from deltawire.informer.archive.restore import WithLost, is_restoring, versions_without_content
from deltawire.informer.changes import Change, Counters, Hole, Remove
from deltawire.informer.groups import delivery, merging, outcomes
from deltawire.informer.groups.book import GroupBook
from deltawire.informer.groups.group import Group
from deltawire.informer.groups.options import GroupOptions
from deltawire.informer.groups.replica import Departure, Replica
from deltawire.informer.groups.state import KnownReplica
from deltawire.informer.progress import Progress
from deltawire.informer.store.batch import Batch
from deltawire.informer.store.indexer import Indexer
from deltawire.informer.store.ledger import LedgerKeeper, LedgerState, groups_of
from deltawire.informer.store.lost import minimal_object
from deltawire.informer.store.pins import ReaderWatch

log = logging.getLogger(__name__)


class Shard:
    """``streams`` and ``scope``: what the config asks for now; what the store has besides is swept at once."""

    def __init__(
        self,
        informer: str,
        number: int,
        indexer: Indexer,
        *,
        streams: Sequence[str],
        scope: str,
        lease_s: float,
        is_dead: Callable[[KnownReplica], bool],
        clock: Clock,
        keeper: LedgerKeeper | None = None,
        archive: ArchiveKeeper | None = None,
    ) -> None:
        """``keeper``: None if nothing need outlive a crash of the machine, ``archive``: the host."""
        self.informer = informer
        self.number = number
        self.indexer = indexer
        self.counters = Counters()
        self.keeper = keeper
        self.archive = archive
        # Objects of the archive have no content yet: nothing is delivered before a list has brought it.
        self.is_restoring = is_restoring(indexer)
        self._book = GroupBook(lease_s=lease_s, is_dead=is_dead, clock=clock)
        self.groups = self._book.groups
        self._streams = list(streams)
        self._scope = scope
        self._clock = clock
        self._gone_to = self._history_to = 0
        # Of the transaction under way.
        self._kept_from = 0, 0
        # A list of each stream has ended, and the groups know it.
        self._knows_list = False
        # From the API server's socket to the commit, of the newest change.
        self.lag_ms = 0.0
        # Processes that hold an old state of the store: it grows until they let go.
        self.pinned_by: list[int] = []
        self._readers = ReaderWatch(indexer)
        state = indexer.state
        self.progress = Progress(indexer.streams(), state.boot, state.number, state.seq)
        self._book.load(indexer)
        self._adopt_config()
        # Of the archive, versions that `every` groups have still to see have no content.
        if self.is_restoring and (lacks := versions_without_content(self.indexer))[0]:
            self._drop_history(lacks[1], is_gap=True)

    @property
    def seq(self) -> int:
        return self.progress.seq

    @property
    def is_listed(self) -> bool:
        """All streams have been listed once: the store is a state that existed."""
        return self._are_listed(self.progress)

    @property
    def is_stored(self) -> bool:
        """All streams are complete up to a version now, or as of a list of a server that has no versions."""
        return all(self.progress.streams[name].is_complete for name in self._streams)

    @property
    def ledger_error(self) -> str:
        """Why a crash of the machine would now hide deletions, "" if it would not."""
        error = self.keeper.error if self.keeper is not None else ""
        return f"what must outlive a crash of the machine cannot be written: {error}" if error else ""

    def now(self) -> float:
        """Wall s: the groups' time."""
        return self._clock.wall_s()

    def report(self) -> dict[str, wire.StreamAt]:
        """How far each stream is, as committed."""
        streams = self.progress.streams.items()
        return {name: wire.StreamAt(known.resume, known.floor, known.generation) for name, known in streams}

    # ---- the broker's side

    def apply(self, work: Sequence[wire.Batch]) -> None:
        """Commit these batches, in order, with all that groups acknowledged until now.

        Raises OwnerLost, CapacityError, StateError, and ProtocolError for deltas that cannot follow.
        """
        draft = self.progress.draft()
        before = draft.seq
        with self.indexer.batch(self._book) as batch:
            applying = Apply(draft, self.counters, batch, batch.store, partial(self._make, batch))
            for one in work:
                if isinstance(one, wire.Pop):
                    applying.pop(one)
                elif isinstance(one, wire.ListBegin):
                    applying.begin_list(one)
                else:
                    applying.end_list(one, self._scope, int(self._clock.wall_s() * 1e6))
            self._put_progress(batch, draft)
            self._seal(batch, draft.seq)
        self._go_on(draft, batch)
        if draft.seq != before:
            self.lag_ms = round(self._clock.wall_s() * 1e3 - batch.newest_at / 1e3, 3)

    def flush(self) -> bool:
        """Commit what groups did where no batch carries it. False if there was nothing."""
        if not self._book.has_writes:
            return False
        with self.indexer.batch() as batch:
            self._seal(batch, self.progress.seq)
        self._go_on(self.progress, batch)
        return True

    def flush_urgent(self, groups: Iterable[Group] | None = None) -> bool:
        """`flush`, where more than acknowledgements of these groups (None: of all) waits: epochs, replicas, what is
        parked."""
        for group in self.groups.values() if groups is None else groups:
            if group.record.is_urgent or group.lot.writes:
                return self.flush()
        return False

    @property
    def has_backlog(self) -> bool:
        """True if a group that is here was not sent all that is stored."""
        seq = self.progress.seq
        return any(group.track.cursor < seq and group.members.here for group in self.groups.values())

    @property
    def has_writes(self) -> bool:
        return self._book.has_writes

    def probe(self) -> None:
        """See whether something can be committed. Raises CapacityError."""
        with self._transaction():
            pass

    # ---- the handlers' side

    def join(
        self,
        name: str,
        options: GroupOptions,
        replica: Replica,
        held: Sequence[tuple[str, int, int]],
    ) -> None:
        """A replica of a group is there; a group that was never here before is registered."""
        now = self._clock.wall_s()
        group = self.groups.get(name)
        is_new = group is None
        if group is None:
            group = self._book.add(name, options.delivery, self.seq)
            if self.is_listed:
                group.record.listed(self.seq)
        group.configure(options, self.seq)
        group.filter_by(replica.identity, options.clauses, self.seq, is_new=is_new)
        with self.indexer.view() as view:
            outcomes.join(group, replica, held, WithLost(view) if self.is_restoring else view, now)
        if group.scope is not None and group.scope.is_mixed:
            what = "replicas of group %s have different filters; it gets what any of them wants"
            log.warning(f"%s shard %d: {what}", self.informer, self.number, name)

    def leave(self, name: str, identity: bytes, reason: str, how: Departure) -> None:
        """A replica is gone, or only its session."""
        group = self.groups.get(name)
        if group is not None:
            outcomes.leave(group, identity, reason, self._clock.wall_s(), how)

    def forget(self, name: str) -> bool:
        """Remove a group and all that is kept for it. False if it is not known."""
        group = self.groups.get(name)
        if group is None or group.members.here:
            return False
        with self._transaction() as batch:
            self._book.erase(self.indexer, batch, name)
            del self.groups[name]
        return True

    def forget_absent(self, forget_after_s: float) -> None:
        """Groups that stayed away too long hold nothing back any more."""
        for name in self._book.forget_absent(forget_after_s):
            what = "was away too long; it will get all objects again"
            log.warning("%s shard %d: group %s %s", self.informer, self.number, name, what)

    def deliver(
        self, groups: Iterable[Group] | None = None
    ) -> Iterable[tuple[str, dict[bytes, list[EventRow]]]]:
        """What each of these groups (None: each of all) is to be sent now. Only committed changes are found."""
        if self.is_restoring or (self.archive is not None and self.archive.is_behind):
            return ()
        now, seq = self._clock.wall_s(), self.progress.seq
        looked_at = self.groups.values() if groups is None else groups
        busy = [group for group in looked_at if group.may_send(seq, now)]
        return self._collect(busy, now) if busy else ()

    def _collect(self, busy: list[Group], now: float) -> Iterator[tuple[str, dict[bytes, list[EventRow]]]]:
        for group in busy:
            if group.scope is not None:
                group.scope.begin_turn()
        while busy:
            with self.indexer.view() as view:
                for group in busy:
                    sending = delivery.Sending(group, view, now, self._clock)
                    sending.run()
                    if sending.out:
                        yield group.name, sending.out
            # What is beyond what a group may send: that it may be sent is committed first.
            busy = [group for group in busy if group.reserve()]
            if busy:
                self.flush()
            busy = [group for group in busy if group.scope is None or not group.scope.has_more]

    def look_after_readers(self) -> None:
        """Free the slots of dead readers and note who holds an old state for too long. Call once a second."""
        self.pinned_by = self._readers.look(self._clock.now_s())

    def pending(self, group: Group) -> int:
        """Changes that the group has still to acknowledge; exact at rest."""
        if group.track.cursor >= self.seq:
            return group.pending(self.seq, 0)
        with self.indexer.view() as view:
            return group.pending(self.seq, view.counts())

    # ---- bounds

    def give_up_history(self) -> None:
        """The byte bound: versions that `every` groups have still to see are dropped, and their next events say so."""
        # What is in flight is in the store only: it would be lost with the worker.
        self._drop_history({f.seq for group in self.groups.values() for f in group.in_flight.values()})

    def shorten_gone(self) -> None:
        """The byte bound: deletions keep only the object's metadata."""
        with self.indexer.batch() as batch:
            batch.shorten_gone(minimal_object)

    def close(self, *, clean: bool) -> None:
        """Close the environment; ``clean``: after everything has reached the disk."""
        try:
            if clean:
                self.flush()
                self.indexer.sync()
            if self.keeper is not None:
                if clean:
                    self.keeper.flush(self._remembered())
                self.keeper.close()
        finally:
            self.indexer.close()
            if self.archive is not None:
                self.archive.close()

    def keep_ledger(self) -> None:
        """Have written what must outlive a crash of the machine. Call once a second; the disk is not waited for."""
        if self.keeper is not None:
            self.keeper.write(self._remembered())

    # ---- inside

    def _make(self, batch: Batch, change: Change) -> None:
        """All changes but that a row is stored."""
        keep_history = keep_gone = False
        if isinstance(change, Remove):
            for group in self.groups.values():
                keep_history |= merging.removed(group, change.old, change.tombstone.seq)
                keep_gone |= merging.needs_deletion(group, change.old)
        elif isinstance(change, Hole):
            self._book.tell_of_hole(change)
        batch.make(change, keep_gone=keep_gone, keep_history=keep_history)

    def _drop_history(self, kept: set[int], *, is_gap: bool = False) -> None:
        """Versions are given up but for ``kept``, or (``is_gap``) were lost with a host."""
        groups = [group for group in self.groups.values() if group.record.is_every]
        with self._transaction() as batch:
            for row, replaced_by in batch.drop_history(kept):
                for group in groups:
                    merging.lose_version(group, row, replaced_by, is_gap=is_gap)

    @contextmanager
    def _transaction(self) -> Iterator[Batch]:
        """A transaction without deltas."""
        with self.indexer.batch() as batch:
            yield batch
            self._seal(batch, self.seq)
        self._go_on(self.progress, batch)

    def _put_progress(self, batch: Batch, draft: Progress) -> None:
        """How far the streams are by this transaction."""
        for name in draft.touched:
            batch.put_stream(name, draft.streams[name])
        state = batch.state
        state.boot, state.number, state.seq = draft.boot, draft.number, draft.seq
        if draft.touched and not self._knows_list and self._are_listed(draft):
            for group in self.groups.values():
                group.record.listed(draft.seq)

    def _seal(self, batch: Batch, seq: int) -> None:
        """The end of each transaction, after which ``seq`` is the newest change: what it means for groups.

        All here moves on only once it is committed (`_go_on`): after an error this is the shard that it was before, but
        for groups' counters.
        """
        self._kept_from = gone_to, history_to = self._book.seal(batch, self.progress.seq, seq)
        if gone_to > self._gone_to:
            trimmed = batch.trim(layout.GONE, gone_to)
            if trimmed:
                batch.lives.update(dict.fromkeys(trimmed))
        if history_to > self._history_to:
            batch.trim(layout.HISTORY, history_to)

    def _go_on(self, progress: Progress, batch: Batch) -> None:
        """The transaction is committed."""
        self.progress = progress
        gone_to, history_to = self._kept_from
        if gone_to > self._gone_to:
            self._gone_to = gone_to
        if history_to > self._history_to:
            self._history_to = history_to
        self._book.written()
        if progress.touched and not self._knows_list:
            self._knows_list = self._are_listed(progress)
        if self.keeper is not None and batch.lives:
            self.keeper.note(batch.lives)
            if self.keeper.is_full:
                self.keeper.flush(self._remembered())
        if self.is_restoring and not self.indexer.has_lost:
            self.is_restoring = False
        if self.archive is not None:
            self.archive.push()

    def _are_listed(self, progress: Progress) -> bool:
        return all(progress.streams[name].is_listed for name in self._streams)

    def _remembered(self) -> LedgerState:
        return LedgerState(self.seq, dict(self.progress.streams), groups_of(self.groups), layout.SCHEMA)

    def _adopt_config(self) -> None:
        """Make the streams those of the config: what is covered no more leaves, what is new must be listed."""
        draft = self.progress.draft()
        with self.indexer.batch(self._book) as batch:
            applying = Apply(draft, self.counters, batch, batch.store, partial(self._make, batch))
            retired = adopt(
                draft, applying, batch, self._streams, self._scope, int(self._clock.wall_s() * 1e6)
            )
            for name in retired:
                batch.drop_stream(name)
            self._put_progress(batch, draft)
            self._seal(batch, draft.seq)
        self._go_on(draft, batch)
