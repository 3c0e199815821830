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
    LeaseCandidacy,
    held_of,
    new_lease,
    renewed_lease,
)
from deltawire.client.tools.leader_election.record import LeaseRecord
from deltawire.common.errors import StatusError


class AsyncLeaseLock(LeaseCandidacy):
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
        super().__init__(namespace, name, identity, labels, recorder)
        self._client = client

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

    def _named(self, request: AsyncRequest) -> AsyncRequest:
        return request.resource(LEASES).namespace(self._namespace).name(self._name).retry(NO_RETRIES)
