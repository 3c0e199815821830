"""The shared informer: one list and watch, one cache, any number of handlers."""

import logging
import random as _random
import threading
from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from deltawire.client.tools.objects import key as key_of_object
from deltawire.client.tools.objects import metadata
from deltawire.common.clock import Clock, SystemClock
from deltawire.common.errors import ConfigError, DeltawireError
from deltawire.fifo.delta_fifo import DeltaFIFO
from deltawire.fifo.deltas import Deltas, DeltaType, Tombstone, Transform
from deltawire.handlers.freshness import Freshness
from deltawire.local.indexer import NAMESPACE_INDEX, Indexer, IndexFunction, by_namespace
from deltawire.local.listener import NOTIFICATIONS_MAX, HandlerStatus, Listener
from deltawire.local.notifications import (
    Added,
    Deleted,
    HandlerFuncs,
    ResourceEventHandler,
    Updated,
    name_of_handler,
)
from deltawire.local.processor import RESYNC_S_MIN, Processor, resync_period
from deltawire.local.reflector import QueueReflector, Source
from deltawire.local.status import InformerStatus, freshness

T = TypeVar("T")

log = logging.getLogger(__name__)

# How often a wait for a cache looks whether it is to stop; a cache that is ready ends it at once.
POLL_S = 0.1
# For the reader's thread to end after a stop: it may wait for a server's answer, and ends after it anyway.
READER_END_S = 5.0


class InformerStateError(DeltawireError):
    """The call is allowed only before the informer starts, or only until it stops."""


class HandlerRegistration:
    """One handler on one informer."""

    def __init__(self, listener: Listener[Any], processor: Processor[Any]) -> None:
        self._listener = listener
        self._processor = processor

    def has_synced(self) -> bool:
        """True once the cache is full and every call for its first objects has returned."""
        return self._listener.has_synced()

    def remove(self) -> None:
        """No further call begins; what waits is dropped. May be called again."""
        self._processor.remove(self._listener)

    def is_of(self, processor: Processor[Any]) -> bool:
        """True if the handler was added to the informer that has ``processor``."""
        return self._processor is processor

    def shut_down(self, timeout_s: float | None = None) -> bool:
        """As `remove`, and wait until the call under way has returned. True if it has; False in the handler itself."""
        self.remove()
        return self._listener.join(timeout_s)

    def status(self) -> HandlerStatus:
        return self._listener.status()


class SharedIndexInformer(Generic[T]):
    """Keeps a cache equal to the API server's objects, and calls handlers for each change.

    The calls of one handler come one at a time, in the order in which the cache changed. The cache is changed first:
    a lister read inside a call returns the object at that version or newer. A re-creation that the watch missed is
    one update between two uids. Handlers do not wait for each other. The informer waits for a handler that is
    ``notifications_max`` behind.

    ``resync_s``: the period in which unchanged objects are delivered again; 0 is never. An informer runs once.
    """

    def __init__(
        self,
        name: str,
        source: Source[T],
        *,
        resync_s: float = 0.0,
        indexers: Mapping[str, IndexFunction[T]] | None = None,
        clock: Clock | None = None,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self.name = name
        self._source = source
        self._clock: Clock = clock or SystemClock()
        self._random = random
        self._check_s = self._default_resync_s = resync_s
        self._indexer: Indexer[T] = Indexer({NAMESPACE_INDEX: by_namespace, **(indexers or {})})
        self._processor: Processor[T] = Processor()
        self._transform: Transform[T] | None = None
        self._on_error: Callable[[DeltawireError], object] | None = None
        # Held while one key's deltas are stored and passed on, and while a handler is added.
        self._deltas = threading.Lock()
        self._life = threading.Lock()  # of start and stop; taken inside _deltas, never outside of it
        self._synced = threading.Event()
        self._is_stopping = False
        self._next_resync_s: float | None = None
        self._queue: DeltaFIFO[T] | None = None
        self._reflector: QueueReflector[T] | None = None
        self._thread: threading.Thread | None = None

    # -- before it starts

    def set_transform(self, transform: Transform[T]) -> None:
        """``transform`` gets every object before it is stored. It may change it in place and must be idempotent."""
        self._check_not_started("a transform is set")
        self._transform = transform

    def set_watch_error_handler(self, on_error: Callable[[DeltawireError], object]) -> None:
        """``on_error`` replaces the log line for each list that failed and each watch that was not opened."""
        self._check_not_started("a handler of watch errors is set")
        self._on_error = on_error

    # -- handlers

    def add_event_handler(
        self,
        handler: ResourceEventHandler[T] | None = None,
        *,
        on_add: Callable[[T], object] | None = None,
        on_update: Callable[[T, T], object] | None = None,
        on_delete: Callable[[T | Tombstone[T]], object] | None = None,
        resync_s: float | None = None,
        notifications_max: int = NOTIFICATIONS_MAX,
    ) -> HandlerRegistration:
        """Add a handler: an object, or up to three functions. Each runs in a thread of its own.

        ``on_delete`` gets a `Tombstone` (``key``, ``obj``: last known) where the deletion was seen by a list only.
        A handler added later gets an add for each cached object first. ``resync_s`` None is the informer's own. Raises
        ConfigError without any handler, InformerStateError after the informer has stopped.
        """
        functions = (on_add, on_update, on_delete)
        if (handler is None) == all(function is None for function in functions):
            raise ConfigError("give a handler or at least one of on_add, on_update, on_delete, not both")
        if notifications_max < 1:
            raise ConfigError("notifications_max must be 1 or more")
        wanted: ResourceEventHandler[T] = handler or HandlerFuncs(on_add, on_update, on_delete)
        name = f"{name_of_handler(wanted)} of {self.name}"
        with self._deltas:
            with self._life:
                if self._is_stopping:
                    raise InformerStateError(f"handler {name} was not added: the informer has stopped")
                is_started = self._thread is not None
            listener = Listener(
                wanted,
                name=name,
                resync_s=self._resync_wanted_s(resync_s, name, is_started),
                notifications_max=notifications_max,
                is_upstream_synced=self._synced.is_set,
                clock=self._clock,
            )
            for obj in self._indexer.list():
                listener.put(Added(obj, True))
            self._processor.add(listener)
            self._processor.check_resyncs_every(self._check_s)
            if self._is_stopping:
                listener.release()  # it came too late for stop's
        return HandlerRegistration(listener, self._processor)

    def remove_event_handler(self, registration: HandlerRegistration) -> None:
        """`HandlerRegistration.remove`; one that is removed already is fine. Raises TypeError for anything else.

        As in client-go nothing happens with the registration of another informer, but for a warning in the log.
        """
        if not isinstance(registration, HandlerRegistration):
            raise TypeError(f"a {type(registration).__name__} is no registration of a handler")
        if not registration.is_of(self._processor):
            log.warning("informer %s removes no handler: the registration is another informer's", self.name)
            return
        registration.remove()

    # -- the cache

    def get_indexer(self) -> Indexer[T]:
        """The cache. For reading: what is written to it by others is lost at the next change."""
        return self._indexer

    def add_indexers(self, indexers: Mapping[str, IndexFunction[T]]) -> None:
        """More indices, at any time before it stops. Raises ConfigError for a name that is taken."""
        if self._is_stopping:
            raise InformerStateError(f"no index is added: informer {self.name} has stopped")
        self._indexer.add_indexers(indexers)

    def has_synced(self) -> bool:
        """True once the cache has held everything of the first list. It says nothing of handlers."""
        return self._synced.is_set()

    def freshness(self) -> Freshness:
        """How old what the cache shows may be, in the words of a handler's lister."""
        return freshness(self._reflector, is_synced=self._synced.is_set(), clock=self._clock)

    def last_sync_resource_version(self) -> str:
        """How far the watch has come; the cache may be behind (`Indexer.resource_version`)."""
        return self._reflector.version if self._reflector is not None else ""

    def wait_for_cache_sync(
        self, stop: threading.Event | None = None, timeout_s: float | None = None
    ) -> bool:
        """Wait until `has_synced`. False if ``stop`` was set, the informer stopped or the time was over before."""
        deadline_s = None if timeout_s is None else self._clock.now_s() + timeout_s
        while not self._synced.wait(POLL_S):
            if self._is_stopping or (stop is not None and stop.is_set()):
                return self._synced.is_set()
            if deadline_s is not None and self._clock.now_s() >= deadline_s:
                return self._synced.is_set()
        return True

    def status(self) -> InformerStatus:
        """What it is doing, and why it does not go on."""
        reflector = self._reflector
        handlers = tuple(listener.status() for listener in self._processor.listeners)
        state, error, refused = "stopped" if self._is_stopping else "new", "", 0
        lists = watches = retries = 0
        if reflector is not None:
            machine, counters = reflector.machine, reflector.counters
            state = state if self._is_stopping else machine.state.value
            error = str(machine.error) if machine.error else counters.refusal
            refused = counters.refused
            lists, watches, retries = machine.lists, machine.watches, machine.retries
        return InformerStatus(
            self.name, state, self._synced.is_set(), error, self._indexer.resource_version, len(self._indexer),
            refused, lists, watches, retries, reflector.progress_at_s if reflector else None, handlers,
        )  # fmt: skip

    # -- its life

    def start(self) -> None:
        """Begin to list and watch, in a thread of its own. A second start only logs a warning."""
        with self._life:
            if self._thread is not None or self._is_stopping:
                log.warning("informer %s was started or stopped before: it is not started again", self.name)
                return
            self._queue = DeltaFIFO(
                key_of_object, known_objects=self._indexer, transform=self._transform, clock=self._clock
            )
            self._reflector = QueueReflector(
                self.name, self._source, self._queue,
                on_error=self._on_error, random=self._random, clock=self._clock,
            )  # fmt: skip
            run = (self._queue, self._reflector)
            self._thread = threading.Thread(
                target=self._run, args=run, name=f"informer {self.name}", daemon=True
            )
            self._thread.start()

    def run(self, stop: threading.Event) -> None:
        """`start`, and come back when ``stop`` was set and all has ended."""
        self.start()
        stop.wait()
        self.stop()
        self.join()

    def stop(self) -> None:
        """End, without waiting for it. Handlers finish the call under way; what waits for them is dropped."""
        with self._life:
            self._is_stopping = True
            reflector = self._reflector
        self._processor.release()
        if reflector is not None:
            reflector.wake()
        else:
            self._close_handlers()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait until the informer's and its handlers' threads have ended. True if they have."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_s)
        return (thread is None or not thread.is_alive()) and self._processor.join(timeout_s)

    @property
    def is_stopped(self) -> bool:
        return self._is_stopping

    # -- in its thread

    def _run(self, queue: DeltaFIFO[T], reflector: QueueReflector[T]) -> None:
        self._processor.start()
        reflector.start()
        try:
            while not self._is_stopping:
                is_busy = reflector.turn()
                self._drain(queue)
                self._indexer.set_resource_version(reflector.version)
                if not len(queue):
                    reflector.prove()
                if queue.has_synced():
                    self._synced.set()
                next_s = self._resync(queue)
                if not is_busy:
                    reflector.wait(next_s)
        except Exception:
            log.exception("a bug ended informer %s", self.name)
        finally:
            with self._life:
                self._is_stopping = True
            reflector.close()
            if not reflector.join(READER_END_S):
                log.info("informer %s: its reader still waits for the server's answer", self.name)
            self._close_handlers()

    def _close_handlers(self) -> None:
        with self._deltas:  # so that none is being added
            self._processor.close()

    def _drain(self, queue: DeltaFIFO[T]) -> None:
        """Store and pass on what is queued. This thread is the only one that adds to the queue."""
        while len(queue):
            self._processor.wait_for_room()
            if self._is_stopping:
                return
            with self._deltas:
                try:
                    queue.pop(lambda deltas, is_initial: self._process(queue, deltas, is_initial))
                except Exception:
                    log.exception("informer %s: a change could not be stored", self.name)

    def _process(self, queue: DeltaFIFO[T], deltas: Deltas[T], is_in_initial_list: bool) -> None:
        """One key's changes: the store first, then the handlers. What is stored decides what it was."""
        key = queue.key_of(deltas)
        for delta in deltas:
            old, obj = self._indexer.get_by_key(key), delta.obj
            if delta.type is DeltaType.DELETED or isinstance(obj, Tombstone):
                self._indexer.delete_key(key)
                if isinstance(obj, Tombstone) and obj.obj is None:
                    obj = Tombstone(key, old)
                self._processor.distribute(Deleted(obj), is_sync=False)
                continue
            self._indexer.add(obj)
            if old is None:
                self._processor.distribute(Added(obj, is_in_initial_list), is_sync=False)
            else:
                version = metadata(obj, "resourceVersion")
                # Without versions only the contents say whether it is a repetition (client-go delivers nothing then).
                is_same = version == metadata(old, "resourceVersion") and bool(version or old == obj)
                self._processor.distribute(Updated(old, obj), is_sync=is_same)

    def _resync(self, queue: DeltaFIFO[T]) -> float:
        """Replay the cache if it is time. Returns when it will be."""
        if self._check_s <= 0 or not self._synced.is_set():
            return float("inf")
        now_s = self._clock.now_s()
        if self._next_resync_s is None:
            self._next_resync_s = now_s + self._check_s
        elif now_s >= self._next_resync_s:
            self._next_resync_s = now_s + self._check_s
            if self._processor.is_resync_due(now_s):
                queue.resync()
                self._drain(queue)
        return self._next_resync_s

    def _resync_wanted_s(self, asked_s: float | None, name: str, is_started: bool) -> float:
        """The handler's resync period in seconds. Before the start it may shorten the informer's own."""
        wanted_s = self._default_resync_s if asked_s is None else asked_s
        if 0 < wanted_s < RESYNC_S_MIN:
            log.warning(
                "handler %s: a resync each %g s is too often, %g s it is", name, wanted_s, RESYNC_S_MIN
            )
            wanted_s = RESYNC_S_MIN
        if 0 < wanted_s < self._check_s and not is_started:
            self._check_s = wanted_s
        gets_s = resync_period(wanted_s, self._check_s)
        if gets_s != wanted_s:
            log.warning("handler %s: a resync each %g s instead of %g s", name, gets_s, wanted_s)
        return wanted_s

    def _check_not_started(self, what: str) -> None:
        if self._thread is not None or self._is_stopping:
            raise InformerStateError(f"informer {self.name} has started: {what} before")
