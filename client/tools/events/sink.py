"""Writes correlated events to the API server."""

import logging
import random as _random
import threading
from collections.abc import Callable
from typing import Any, Protocol

from deltawire.client.rest.client import RESTClient
from deltawire.client.rest.retry import NO_RETRIES
from deltawire.client.tools.events.correlator import Correlated, EventCorrelator
from deltawire.client.tools.events.event import Event
from deltawire.client.tools.objects import metadata
from deltawire.common.clock import Clock
from deltawire.common.errors import DeltawireError, StatusError
from deltawire.common.meta.resources import ResourceType

log = logging.getLogger(__name__)

EVENTS = ResourceType("", "v1", "events", "Event", True)
TRIES_MAX = 12
RETRY_S = 10.0


class EventSink(Protocol):
    """Where events are written. Methods return the object as stored; they raise DeltawireError."""

    def create(self, event: Event) -> dict[str, Any]: ...

    def patch(self, event: Event) -> dict[str, Any]: ...


class ApiSink:
    """The API server. A patch is a merge patch: for these fields the same as the strategic one of client-go."""

    def __init__(self, client: RESTClient) -> None:
        self._client = client

    def create(self, event: Event) -> dict[str, Any]:
        request = self._client.post().resource(EVENTS).namespace(event.namespace).retry(NO_RETRIES)
        stored: dict[str, Any] = request.body(event.body()).do().into()
        return stored

    def patch(self, event: Event) -> dict[str, Any]:
        request = self._client.patch("merge").resource(EVENTS).namespace(event.namespace).name(event.name)
        stored: dict[str, Any] = request.retry(NO_RETRIES).body(event.patch()).do().into()
        return stored


class SinkWriter:
    """Correlates and writes one event after the other; tries again where the server cannot be reached.

    ``stop`` ends the waits between tries: what is under way gets one last try. ``written``, ``failed`` and the
    correlator's ``filtered`` count what became of the events.
    """

    def __init__(
        self,
        sink: EventSink,
        *,
        clock: Clock,
        stop: threading.Event,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self._sink = sink
        self._clock = clock
        self._stop = stop
        self._random = random
        self.correlator = EventCorrelator()
        self.written = 0
        self.failed = 0

    def write(self, event: Event) -> None:
        """Never raises for what a server does: an event is not worth a crash."""
        correlated = self.correlator.correlate(event)
        if correlated is None:
            return
        for tries in range(1, TRIES_MAX + 1):
            error = self._try(correlated)
            if error is None:
                return
            if not error.retryable or isinstance(error, StatusError) or tries == TRIES_MAX:
                break
            # The first wait is random: all programs lost the same server in the same moment.
            delay_s = RETRY_S * self._random() if tries == 1 else RETRY_S
            if self._stop.is_set() or self._clock.sleep(delay_s, self._stop):
                break
        self.failed += 1
        log.warning("an event about %s is lost: %s", event.reference.name, error)

    def _try(self, correlated: Correlated) -> DeltawireError | None:
        try:
            stored = self._store(correlated.event)
        except DeltawireError as error:
            return error
        self.written += 1
        self.correlator.written(correlated, metadata(stored, "name"), metadata(stored, "resourceVersion"))
        return None

    def _store(self, event: Event) -> dict[str, Any]:
        if event.count > 1:
            try:
                return self._sink.patch(event)
            except StatusError as error:
                if not error.is_not_found:
                    raise
                # It went after its hour: made again, with its count.
        return self._sink.create(event)
