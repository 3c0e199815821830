"""The shared informer of a program that is attached to a pipeline: its cache, its handlers, its life."""

import logging
import threading
from collections.abc import Callable
from typing import Any, Generic, NoReturn, TypeVar

from deltawire.client.rest.decode import decoder_of
from deltawire.client.tools.objects import metadata
from deltawire.common.clock import Clock
from deltawire.common.errors import ConfigError, DeltawireError
from deltawire.common.meta.keys import display_key
from deltawire.fifo.deltas import Tombstone
from deltawire.handlers.dispatch import DONE, Outcome, Verdict
from deltawire.handlers.events import Delivery
from deltawire.handlers.freshness import Freshness
from deltawire.handlers.lister import Lister
from deltawire.local.attached.audience import Audience, Version
from deltawire.local.attached.events import Events
from deltawire.local.attached.indexer import AttachedIndexer
from deltawire.local.attached.pipeline import Pipeline
from deltawire.local.informer import POLL_S, HandlerRegistration, InformerStateError
from deltawire.local.listener import NOTIFICATIONS_MAX
from deltawire.local.notifications import HandlerFuncs, ResourceEventHandler, name_of_handler
from deltawire.local.processor import Processor
from deltawire.local.status import InformerStatus

T = TypeVar("T")

log = logging.getLogger(__name__)

# A cache that cannot be listed for a new handler is tried again so often.
LIST_AGAIN_S = 1.0


class AttachedInformer(Generic[T]):
    """As `SharedIndexInformer`, on a pipeline's cache. Handlers need the pipeline's group: `attach(name=…)`.

    A handler is shown each object that is there as an add, then what changes. An event is acknowledged to the pipeline
    when the calls of all handlers for it have ended, so that a deletion is told also where this program was away when
    it happened: then as a `Tombstone`.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        cluster: str,
        resource: str,
        object_type: Any,
        *,
        resync_s: float,
        clock: Clock,
    ) -> None:
        self.name = f"{cluster}/{resource}"
        self._pipeline = pipeline
        self._place = cluster, resource
        self._decode: Callable[[bytes], T] = decoder_of(object_type)
        self._resync_s = resync_s
        self._clock = clock
        indexes = pipeline.plan.informers[self.name].options.indexes
        self._indexer: AttachedIndexer[T] = AttachedIndexer(self._lister, self._decode, indexes)
        # Its handlers' threads; which of them gets what is said by their audiences.
        self._processor: Processor[T] = Processor()
        # Held while handlers are told, and while one is added.
        self._telling = threading.Lock()
        self._audiences: list[Audience[T]] = []
        self._events: Events | None = None
        self._life = threading.Lock()
        self._is_started = self._is_stopping = self._is_synced = False
        self._threads: list[threading.Thread] = []
        self._error = ""

    def set_transform(self, transform: object) -> NoReturn:
        """Raises ConfigError: what is stored is said by the pipeline's config (`drop`, `metadata_only`)."""
        raise ConfigError("the pipeline's config says what of objects is stored: drop, metadata_only")

    def add_indexers(self, indexers: object) -> NoReturn:
        """Raises ConfigError: indexes are declared in the pipeline's config."""
        raise ConfigError("the pipeline's config says which indexes there are", hint="informers: indexes")

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
        """As `SharedIndexInformer.add_event_handler`; resyncs are the factory's. ``old`` of an update is None where it
        is not known any more. Raises ConfigError without `attach(name=…)`."""
        functions = (on_add, on_update, on_delete)
        if (handler is None) == all(function is None for function in functions):
            raise ConfigError("give a handler or at least one of on_add, on_update, on_delete, not both")
        if not self._pipeline.name:
            raise ConfigError("events are for a group of the pipeline", hint="give it a name: attach(name=…)")
        if resync_s is not None and resync_s != self._resync_s:
            raise ConfigError("resyncs come from the pipeline, for all handlers", hint="attach(resync_s=…)")
        wanted: ResourceEventHandler[T] = handler or HandlerFuncs(on_add, on_update, on_delete)
        name = f"{name_of_handler(wanted)} of {self.name}"
        audience = Audience(wanted, name=name, notifications_max=notifications_max, clock=self._clock)
        with self._telling, self._life:
            if self._is_stopping:
                raise InformerStateError(f"handler {name} was not added: the informer has stopped")
            self._audiences.append(audience)
            self._processor.add(audience.listener)
            if self._is_started:
                self._begin(audience)
        return _Registration(audience, self._processor, self._forget)

    def remove_event_handler(self, registration: HandlerRegistration) -> None:
        """`HandlerRegistration.remove`; nothing happens with the registration of another informer."""
        if registration.is_of(self._processor):
            registration.remove()
        else:
            log.warning("informer %s removes no handler: the registration is another informer's", self.name)

    # -- the cache

    def get_indexer(self) -> AttachedIndexer[T]:
        return self._indexer

    def has_synced(self) -> bool:
        """True once all shards of the cache were known to be complete up to some time after this program began."""
        if not self._is_synced and self._is_started and not self._is_stopping:
            self._is_synced = self.freshness().as_of_s is not None
        return self._is_synced

    def freshness(self) -> Freshness:
        """As the workers say it."""
        return self._pipeline.freshness(self.name)

    def last_sync_resource_version(self) -> str:
        """"": a cache of several shards has one for each."""
        return ""

    def wait_for_cache_sync(self, stop: threading.Event | None = None, timeout_s: float | None = None) -> bool:
        """Wait until `has_synced`. False if ``stop`` was set, the informer stopped or the time was over before."""
        deadline_s = None if timeout_s is None else self._clock.now_s() + timeout_s
        while not self.has_synced():
            is_late = deadline_s is not None and self._clock.now_s() >= deadline_s
            if is_late or self._is_stopping or (stop is not None and stop.is_set()):
                return False
            self._clock.sleep(POLL_S)
        return True

    def status(self) -> InformerStatus:
        state = "stopped" if self._is_stopping else "attached" if self._is_started else "new"
        handlers = tuple(listener.status() for listener in self._processor.listeners)
        error = self._error or ("" if self.has_synced() else self.freshness().why)
        return InformerStatus(self.name, state, self._is_synced, error, "", 0, 0, 0, 0, 0, None, handlers)

    # -- its life

    def start(self) -> None:
        """Connect, and begin to tell handlers. A second start only logs a warning. Raises ConfigError without a key."""
        with self._telling, self._life:
            if self._is_started or self._is_stopping:
                log.warning("informer %s was started or stopped before: it is not started again", self.name)
                return
            self._pipeline.open()
            self._is_started = True
            self._processor.start()
            for audience in self._audiences:
                self._begin(audience)

    def run(self, stop: threading.Event) -> None:
        """`start`, and come back when ``stop`` was set and all has ended."""
        self.start()
        stop.wait()
        self.stop()
        self.join()

    def stop(self) -> None:
        """End, without waiting for it. Calls under way are finished; what waits comes again, to the next replica."""
        with self._life:
            was_stopping, self._is_stopping = self._is_stopping, True
            events = self._events
        if was_stopping:
            return
        if events is not None:
            events.stop()
        for audience in list(self._audiences):
            audience.close()
        if self._is_started:
            thread = threading.Thread(target=self._end, name=f"end of {self.name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait until the informer's and its handlers' threads have ended. True if they have."""
        for thread in list(self._threads):
            if thread is not threading.current_thread():
                thread.join(timeout_s)
        has_ended = not any(thread.is_alive() for thread in self._threads)
        return has_ended and self._processor.join(timeout_s)

    @property
    def is_stopped(self) -> bool:
        return self._is_stopping

    # -- what handlers are told

    def deliver(self, delivery: Delivery) -> Outcome:
        """An event of the pipeline, in a thread of the pool: until the calls for it have ended."""
        key = display_key(delivery.key)
        try:
            obj, old = (None if raw is None else self._decode(raw) for raw in (delivery.object, delivery.old))
        except Exception as error:
            self._error = f"{key} does not fit its class: {error}"[:500]
            return Outcome(Verdict.DEAD, error=self._error)
        with self._telling:
            told = [(a, a.tell(a.told.event(delivery, key, obj, old))) for a in self._audiences]
        # Those who were removed meanwhile have heard enough; at the end of all it goes to the next replica.
        heard = [audience.wait(number) or audience not in self._audiences for audience, number in told]
        return DONE if all(heard) else Outcome(Verdict.REQUEUE, 0.0)

    def _begin(self, audience: Audience[T]) -> None:
        """With the locks held: what is there is shown, and events come."""
        thread = threading.Thread(
            target=self._show, args=(audience,), name=f"list of {audience.listener.name}", daemon=True
        )
        self._threads.append(thread)
        thread.start()
        if self._events is None:
            self._events = self._pipeline.events(self.name, self.deliver, self._resync_s)

    def _show(self, audience: Audience[T]) -> None:
        """Each object that is there, as an add; one that changes meanwhile is told in its place."""
        while not self._is_stopping and audience in self._audiences:
            if self.wait_for_cache_sync(timeout_s=LIST_AGAIN_S):
                try:
                    found = self._lister().list()
                    break
                except DeltawireError as error:
                    self._error = str(error)
                    self._clock.sleep(LIST_AGAIN_S)
        else:
            return
        self._error = ""
        for one in found:
            obj = self._decode(one.raw)
            with self._telling:
                version = Version(str(metadata(obj, "uid")), one.resource_version)
                audience.tell(audience.told.listed(one.key, version, obj))
        with self._telling:
            audience.told.list_ended()
            audience.is_listed = True

    def _lister(self) -> Lister:
        return self._pipeline.lister(*self._place)

    def _forget(self, audience: Audience[T]) -> None:
        with self._telling:
            self._audiences = [one for one in self._audiences if one is not audience]
        audience.close()

    def _end(self) -> None:
        """In a thread: the events end before the connections that they were read on."""
        if self._events is not None:
            self._events.join()
        self._processor.close()
        self._pipeline.close()


class _Registration(HandlerRegistration):
    """One handler on one attached informer."""

    def __init__(self, audience: Audience[Any], processor: Processor[Any], forget: Callable[[Any], None]) -> None:
        super().__init__(audience.listener, processor)
        self._audience = audience
        self._forget = forget

    def remove(self) -> None:
        self._forget(self._audience)
        super().remove()
