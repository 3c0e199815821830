"""Takes events without blocking, and gives each to the listeners."""

import logging
import random as _random
import threading
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from deltawire.client.tools.events.event import TYPES, Event, Source, event_name, reference_of
from deltawire.client.tools.events.sink import EventSink, SinkWriter
from deltawire.common.clock import Clock, SystemClock
from deltawire.common.errors import ConfigError

log = logging.getLogger(__name__)

QUEUE_EVENTS_MAX = 1000


class EventRecorder(Protocol):
    """What code that makes events needs."""

    def event(
        self, obj: Any, type: str, reason: str, message: str, *, annotations: Mapping[str, str] | None = None
    ) -> None:
        """Record an event about ``obj`` (raw, typed, or a Reference). Returns at once and raises nothing."""


class EventBroadcaster:
    """Gives each event to each listener, in threads of their own.

    A listener that is `QUEUE_EVENTS_MAX` events behind loses the newest: counted in ``dropped`` and logged.
    Events without a valid type or reference are counted in ``refused``. `shutdown` ends the threads.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        random: Callable[[], float] = _random.random,
        new_uuid: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> None:
        self._clock = clock or SystemClock()
        self._random = random
        self._new_uuid = new_uuid
        self._stop = threading.Event()
        self._listeners: list[_Listener] = []
        self.refused = 0
        self._names_lock = threading.Lock()
        self._last_name_ns = 0

    @property
    def dropped(self) -> int:
        return sum(listener.dropped for listener in self._listeners)

    def new_recorder(self, component: str, host: str = "") -> EventRecorder:
        """A recorder that speaks for ``component``. Safe to use from many threads."""
        return _Recorder(self, Source(component, host), self._clock)

    def start_recording_to_sink(self, sink: EventSink) -> SinkWriter:
        """Write events to ``sink``. The writer that is returned counts what became of them."""
        writer = SinkWriter(sink, clock=self._clock, stop=self._stop, random=self._random)
        self.start_watcher(writer.write)
        return writer

    def start_logging(self, level: int = logging.INFO) -> None:
        """Write events to the log."""

        def write(event: Event) -> None:
            about = event.reference
            log.log(level, "%s %s %s/%s: %s", event.type, event.reason, about.kind, about.name, event.message)

        self.start_watcher(write)

    def start_watcher(self, listen: Callable[[Event], None]) -> None:
        """Call ``listen`` with each event from now on. What it raises is logged."""
        self._listeners.append(_Listener(listen, len(self._listeners)))

    def shutdown(self, timeout_s: float = 5.0) -> bool:
        """Deliver what is queued, without waiting for servers that are away. True if all was delivered.

        Later events are dropped and counted.
        """
        self._stop.set()
        for listener in self._listeners:
            listener.close()
        late = [listener for listener in self._listeners if not listener.join(timeout_s)]
        return not late

    def name_for(self, name: str, wall_s: float) -> str:
        """A name for an event about ``name`` that no other event of this broadcaster has."""
        with self._names_lock:
            self._last_name_ns = max(self._last_name_ns + 1, int(wall_s * 1e9))
            return event_name(name, self._last_name_ns, self._new_uuid)

    def broadcast(self, event: Event) -> None:
        for listener in self._listeners:
            listener.offer(event)


class _Listener:
    """A bounded queue and the thread that empties it."""

    def __init__(self, listen: Callable[[Event], None], number: int) -> None:
        self.dropped = 0
        self._listen = listen
        self._queue: deque[Event] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._is_full = False
        self._thread = threading.Thread(target=self._run, name=f"events-{number}", daemon=True)
        self._thread.start()

    def offer(self, event: Event) -> None:
        with self._changed:
            if self._is_closed or len(self._queue) >= QUEUE_EVENTS_MAX:
                self.dropped += 1
                is_news, self._is_full = not self._is_full, True
            else:
                is_news = self._is_full = False
                self._queue.append(event)
                self._changed.notify()
        if is_news:
            log.error("events are dropped: %d wait already, or recording has ended", QUEUE_EVENTS_MAX)

    def close(self) -> None:
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def join(self, timeout_s: float) -> bool:
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._is_closed:
                    self._changed.wait()
                if not self._queue:
                    return
                event = self._queue.popleft()
            try:
                self._listen(event)
            except Exception:
                log.exception("a listener for events failed")


class _Recorder:
    def __init__(self, broadcaster: EventBroadcaster, source: Source, clock: Clock) -> None:
        self._broadcaster = broadcaster
        self._source = source
        self._clock = clock

    def event(
        self, obj: Any, type: str, reason: str, message: str, *, annotations: Mapping[str, str] | None = None
    ) -> None:
        try:
            if type not in TYPES:
                raise ConfigError(f"{type!r} is no type of event", hint=f"one of {', '.join(TYPES)}")
            reference = reference_of(obj)
        except ConfigError as error:
            self._broadcaster.refused += 1
            log.error("an event is not recorded: %s (reason %s)", error, reason)
            return
        now_s = self._clock.wall_s()
        self._broadcaster.broadcast(
            Event(
                reference,
                self._source,
                type,
                reason,
                message,
                first_at_s=now_s,
                last_at_s=now_s,
                name=self._broadcaster.name_for(reference.name, now_s),
                annotations=annotations,
            )
        )


class FakeRecorder:
    """Keeps events as lines of text, for tests: ``Normal Created made it``."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def event(
        self, obj: Any, type: str, reason: str, message: str, *, annotations: Mapping[str, str] | None = None
    ) -> None:
        self.events.append(f"{type} {reason} {message}")
