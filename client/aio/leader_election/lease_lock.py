"""Reading and writing one Lease from an event loop."""

from collections.abc import Mapping

from deltawire.client.aio.request import AsyncRequest
from deltawire.client.aio.rest import AsyncRESTClient
from deltawire.client.rest.retry import NO_RETRIES
from deltawire.client.tools.events.recorder import EventRecorder
from deltawire.client.tools.leader_election import attempt
from deltawire.client.tools.leader_election.attempt import Held
from deltawire.client.tools.leader_election.lease_lock import (
    LEASES,
    held_of,
    new_lease,
    record_election,
    renewed_lease,
)
from deltawire.client.tools.leader_election.record import LeaseRecord
from deltawire.common.errors import ConfigError, StatusError


class AsyncLeaseLock:
    """The Lease ``namespace/name`` for one candidate. ``labels`` are set on it, others are left alone.

    With a ``recorder``, which never blocks, the begin and the end of leadership are events about the Lease.
    Methods raise StatusError and TransportError; nothing is sent twice, since electors have a loop of their own.
    """

    def __init__(
        self,
        client: AsyncRESTClient,
        namespace: str,
        name: str,
        identity: str,
        *,
        labels: Mapping[str, str] | None = None,
        recorder: EventRecorder | None = None,
    ) -> None:
        if not identity:
            raise ConfigError("a candidate for leadership needs an identity", path="identity")
        self._client = client
        self._namespace = namespace
        self._name = name
        self._labels = dict(labels or {})
        self._recorder = recorder
        self.identity = identity

    def __str__(self) -> str:
        return f"lease {self._namespace}/{self._name}"

    async def get(self) -> Held | None:
        """None where there is no such Lease."""
        try:
            return held_of((await self._named(self._client.get()).do()).into())
        except StatusError as error:
            if error.is_not_found:
                return None
            raise

    async def create(self, record: LeaseRecord) -> Held:
        lease = new_lease(record, self._namespace, self._name, self._labels)
        request = self._client.post().resource(LEASES).namespace(self._namespace).retry(NO_RETRIES)
        return held_of((await request.body(lease).do()).into())

    async def update(self, record: LeaseRecord, held: Held) -> Held:
        """Replace what ``held`` was read from; a conflict where it is no longer the newest."""
        request = self._named(self._client.put()).body(renewed_lease(record, held, self._labels))
        return held_of((await request.do()).into())

    async def send(self, step: attempt.Step) -> Held | None:
        """One step of an attempt."""
        if isinstance(step, attempt.Update):
            return await self.update(step.record, step.held)
        return await (self.create(step.record) if isinstance(step, attempt.Create) else self.get())

    def record_event(self, what: str) -> None:
        """Make an event of what this candidate does: ``web-0 became leader``. Raises nothing."""
        if self._recorder is not None:
            record_election(self._recorder, self._namespace, self._name, f"{self.identity} {what}")

    def _named(self, request: AsyncRequest) -> AsyncRequest:
        return request.resource(LEASES).namespace(self._namespace).name(self._name).retry(NO_RETRIES)
