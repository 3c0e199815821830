"""client-go's keyed queue: all pending changes of the oldest key at once."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from deltawire.common.clock import Clock, SystemClock
from deltawire.fifo.deltas import (
    Delta,
    Deltas,
    DeltaType,
    FIFOClosed,
    KnownObjects,
    ObjectKeyError,
    Process,
    Tombstone,
    Transform,
)

T = TypeVar("T")

_log = logging.getLogger(__name__)

# Deltas held before add, update and delete wait for a pop.
DELTAS_MAX = 100_000

# A pop that leaves more than so many keys and takes longer than so long is worth a line.
SLOW_DEPTH = 10
SLOW_PROCESS_S = 0.1


@dataclass(slots=True)
class DeltaFIFOCounters:
    """What happened so far. Everything that is not handed out shows up here."""

    queued: int = 0  # deltas accepted, the deduplicated ones included
    deduplicated: int = 0  # of two Deleted in a row the one that was given up
    unknown_deletes: int = 0  # deletions of objects that were neither known nor queued
    popped: int = 0  # deltas handed out
    failed: int = 0  # deltas whose process raised; they do not come back
    waits: int = 0  # calls that had to wait for room


class DeltaFIFO(Generic[T]):
    """A map of key → its pending deltas, and the order in which the keys came.

    The contract (docs/contracts.md, queue 1-13) in short:

    - A key is queued at its first pending change and keeps that place. `pop` hands out *all* deltas of the
      oldest key, so the order per object is kept and the order between objects is not.
    - Nothing is merged but two Deleted in a row: N updates are N deltas.
    - `delete` of an object that is neither known nor queued is dropped (and counted).
    - `replace` names the whole collection: what it does not name is deleted with a `Tombstone`.
    - `resync` replays what is known, but never a key with something pending, which is newer.
    - `has_synced` turns true once the first `replace` has been popped, and stays true.

    Thread-safe. `pop` holds the lock while it processes, as client-go's does: the producers wait for a slow
    consumer. The thread in ``process`` itself may call back into the queue.

    Bounded: `add`, `update` and `delete` wait while ``deltas_max`` deltas are pending, unless the queue is
    closed or the caller is inside ``process``. `replace` and `resync` are whole or nothing and do not wait;
    they add one delta a key. client-go has no such bound.

    ``key_function`` computes an object's key. ``known_objects`` is what the consumer holds; without it
    `replace` only compares with the queue, `resync` does nothing. ``transform`` sees every object once on
    its way in, except tombstones and what is replayed. ``emit_replaced`` False makes `replace` say Sync
    instead of Replaced, as client-go's oldest users expect.
    """

    def __init__(
        self,
        key_function: Callable[[T], str],
        *,
        known_objects: KnownObjects[T] | None = None,
        transform: Transform[T] | None = None,
        emit_replaced: bool = True,
        deltas_max: int = DELTAS_MAX,
        clock: Clock | None = None,
    ) -> None:
        self._key_function = key_function
        self._known = known_objects
        self._transform: Transform[T] = transform or _unchanged
        self._replace_type = DeltaType.REPLACED if emit_replaced else DeltaType.SYNC
        self._deltas_max = deltas_max
        self._clock: Clock = clock or SystemClock()
        self._changed = threading.Condition(threading.RLock())
        self._items: dict[str, list[Delta[T]]] = {}
        self._order: deque[str] = deque()
        self._pending = 0
        self._processing = 0
        self._populated = False
        self._initial_keys_left = 0
        self._closed = False
        self.counters = DeltaFIFOCounters()
        # Set just before the last pop of the first list processes; `has_synced` waits for its end.
        self.synced = threading.Event()

    def add(self, obj: T) -> None:
        """Queue an Added. Raises ObjectKeyError, and whatever the transform raises."""
        self._put(DeltaType.ADDED, obj)

    def update(self, obj: T) -> None:
        """Queue an Updated. Raises like `add`."""
        self._put(DeltaType.UPDATED, obj)

    def delete(self, obj: T | Tombstone[T]) -> None:
        """Queue a Deleted, if the object is known or queued. Raises like `add`."""
        with self._changed:
            self._wait_for_room_locked()
            key = self.key_of(obj)
            self._populate_locked()
            if key not in self._items and not self._may_be_known(key):
                self.counters.unknown_deletes += 1
                return
            self._enqueue_locked(
                key, DeltaType.DELETED, obj if isinstance(obj, Tombstone) else self._transform(obj)
            )

    def replace(self, objects: Iterable[T], resource_version: str = "") -> None:
        """Take ``objects`` for the whole collection, as listed at ``resource_version``.

        One Replaced (or Sync) each; then a Deleted with a `Tombstone` for every key that is pending and not
        named; then the same for every known key neither named nor pending. Raises like `add`, and leaves
        what was queued until then: the caller lists again.
        """
        with self._changed:
            named: set[str] = set()
            for obj in objects:
                key = self.key_of(obj)
                named.add(key)
                self._enqueue_locked(key, self._replace_type, self._transform(obj))
            gone = self._tombstones_locked(named)
            for tombstone in gone:
                self._enqueue_locked(tombstone.key, DeltaType.DELETED, tombstone)
            _log.debug("replaced at version %s: %d named, %d gone", resource_version, len(named), len(gone))
            if not self._populated:
                self._populated = True
                self._initial_keys_left = len(named) + len(gone)
                self._check_synced_locked()

    def resync(self) -> None:
        """Queue a Sync for every known object that has nothing pending."""
        with self._changed:
            if self._known is None:
                return
            for known_key in list(self._known.list_keys()):
                obj = self._look_up(known_key)
                if obj is None:
                    continue
                key = self.key_of(obj)
                if key not in self._items:
                    self._enqueue_locked(key, DeltaType.SYNC, obj)

    def pop(self, process: Process[T], timeout_s: float | None = None) -> Deltas[T]:
        """Wait for a key, call ``process(deltas, is_in_initial_list)`` under the lock, return the deltas.

        Raises FIFOClosed once the queue is closed and empty, TimeoutError after ``timeout_s`` without a
        key, and whatever ``process`` raises: the deltas are gone then, nothing is queued again.
        """
        deadline_s = None if timeout_s is None else self._clock.now_s() + timeout_s
        with self._changed:
            while not self._order:
                if self._closed:
                    raise FIFOClosed
                if deadline_s is not None and self._clock.now_s() >= deadline_s:
                    raise TimeoutError(f"nothing was queued for {timeout_s} s")
                self._clock.wait_until(self._changed, deadline_s)
            is_in_initial_list = not self._is_synced_locked()
            key = self._order.popleft()
            deltas = Deltas(self._items.pop(key))
            self._pending -= len(deltas)
            self.counters.popped += len(deltas)
            if self._initial_keys_left:
                self._initial_keys_left -= 1
                self._check_synced_locked()
            self._changed.notify_all()  # there is room now
            self._process_locked(process, key, deltas, is_in_initial_list)
            return deltas

    def close(self) -> None:
        """Wake every `pop`: what is queued is still handed out, then they raise FIFOClosed."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    @property
    def is_closed(self) -> bool:
        return self._closed

    def has_synced(self) -> bool:
        """True once everything of the first `replace` was popped and processed, or without one if something
        else came first."""
        with self._changed:
            return self._is_synced_locked()

    def keys(self) -> list[str]:
        """The queued keys, oldest first."""
        with self._changed:
            return list(self._order)

    def __len__(self) -> int:
        """How many keys are queued."""
        with self._changed:
            return len(self._order)

    @property
    def pending(self) -> int:
        """How many deltas are queued, over all keys."""
        return self._pending

    def key_of(self, obj: T | Tombstone[T] | Deltas[T]) -> str:
        """The key of an object, of a tombstone, or of the newest of some deltas. Raises ObjectKeyError."""
        if isinstance(obj, Deltas):
            newest = obj.newest
            if newest is None:
                raise ObjectKeyError(obj, ValueError("there are no deltas"))
            return self.key_of(newest.obj)
        if isinstance(obj, Tombstone):
            return obj.key
        try:
            return self._key_function(obj)
        except Exception as error:
            raise ObjectKeyError(obj, error) from error

    # The rest is called with the lock held, except where it touches no state of ours.

    def _put(self, delta_type: DeltaType, obj: T) -> None:
        with self._changed:
            self._wait_for_room_locked()
            self._populate_locked()
            self._enqueue_locked(self.key_of(obj), delta_type, self._transform(obj))

    def _wait_for_room_locked(self) -> None:
        if not self._is_full_locked():
            return
        self.counters.waits += 1
        while self._is_full_locked():
            self._clock.wait_until(self._changed, None)

    def _is_full_locked(self) -> bool:
        # Inside process the lock is ours, so only the processing thread can be here: no other would pop.
        return self._pending >= self._deltas_max and not self._closed and not self._processing

    def _enqueue_locked(self, key: str, delta_type: DeltaType, obj: T | Tombstone[T]) -> None:
        """``key`` is that of the object before its transform, which must not change it."""
        deltas = self._items.get(key)
        if deltas is None:
            deltas = self._items[key] = []
            self._order.append(key)
        deltas.append(Delta(delta_type, obj))
        self._pending += 1
        self.counters.queued += 1
        if _collapse_deletions(deltas):
            self._pending -= 1
            self.counters.deduplicated += 1
        self._changed.notify_all()

    def _tombstones_locked(self, named: set[str]) -> list[Tombstone[T]]:
        gone: list[Tombstone[T]] = []
        for key, deltas in self._items.items():
            if key not in named:
                last = deltas[-1].obj
                gone.append(Tombstone(key, last.obj if isinstance(last, Tombstone) else last))
        if self._known is not None:
            for key in self._known.list_keys():
                if key not in named and key not in self._items:
                    gone.append(Tombstone(key, self._look_up(key)))
        return gone

    def _look_up(self, key: str) -> T | None:
        """The known object, None (with a line in the log) where it vanished or the lookup fails."""
        if self._known is None:
            return None
        try:
            obj = self._known.get_by_key(key)
        except Exception:
            _log.exception("the lookup of known object %s failed", key)
            return None
        if obj is None:
            _log.info("known object %s is listed and not there", key)
        return obj

    def _may_be_known(self, key: str) -> bool:
        if self._known is None:
            return False
        try:
            return self._known.get_by_key(key) is not None
        except Exception:
            # A deletion too many is harmless, a deletion too few is for ever.
            _log.exception("the lookup of known object %s failed; its deletion is queued", key)
            return True

    def _process_locked(
        self, process: Process[T], key: str, deltas: Deltas[T], is_in_initial_list: bool
    ) -> None:
        depth, started_s = len(self._order), self._clock.now_s()
        self._processing += 1
        try:
            process(deltas, is_in_initial_list)
        except BaseException:
            self.counters.failed += len(deltas)
            raise
        finally:
            self._processing -= 1
            took_s = self._clock.now_s() - started_s
            if depth > SLOW_DEPTH and took_s > SLOW_PROCESS_S:
                _log.info("slow handlers block the queue: %s took %.3f s, %d keys wait", key, took_s, depth)

    def _populate_locked(self) -> None:
        self._populated = True
        self._check_synced_locked()

    def _is_synced_locked(self) -> bool:
        return self._populated and self._initial_keys_left == 0

    def _check_synced_locked(self) -> None:
        if self._is_synced_locked():
            self.synced.set()


def _unchanged(obj: T) -> T:
    return obj


def _collapse_deletions(deltas: list[Delta[T]]) -> bool:
    """Make one of two Deleted at the end, keeping the one that knows more. True if there were two."""
    if len(deltas) < 2:
        return False
    older, newer = deltas[-2], deltas[-1]
    if older.type is not DeltaType.DELETED or newer.type is not DeltaType.DELETED:
        return False
    deltas[-2:] = [newer if isinstance(older.obj, Tombstone) else older]
    return True
