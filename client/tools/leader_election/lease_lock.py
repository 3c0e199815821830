"""Reading and writing one Lease."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from deltawire.client.config.client_config import ClientConfig
from deltawire.client.rest.client import RESTClient
from deltawire.client.rest.request import Request
from deltawire.client.rest.retry import NO_RETRIES
from deltawire.client.tools.events.event import NORMAL, Reference
from deltawire.client.tools.events.recorder import EventRecorder
from deltawire.client.tools.leader_election.attempt import Held
from deltawire.client.tools.leader_election.record import LeaseRecord, from_spec, to_spec
from deltawire.common.errors import ConfigError, StatusError
from deltawire.common.meta.resources import ResourceType

LEASES = ResourceType("coordination.k8s.io", "v1", "leases", "Lease", True)
REQUEST_TIMEOUT_S_MIN = 1.0


class LeaseCandidacy:
    """Which Lease, and for whom. Raises ConfigError without an identity."""

    def __init__(
        self,
        namespace: str,
        name: str,
        identity: str,
        labels: Mapping[str, str] | None,
        recorder: EventRecorder | None,
    ) -> None:
        if not identity:
            raise ConfigError("a candidate for leadership needs an identity", path="identity")
        self._namespace = namespace
        self._name = name
        self._labels = dict(labels or {})
        self._recorder = recorder
        self.identity = identity

    def __str__(self) -> str:
        return f"lease {self._namespace}/{self._name}"

    def record_event(self, what: str) -> None:
        """Make an event of what this candidate does: ``web-0 became leader``. Raises nothing."""
        if self._recorder is not None:
            about = Reference(LEASES.api_version, LEASES.kind, self._name, self._namespace)
            self._recorder.event(about, NORMAL, "LeaderElection", f"{self.identity} {what}")


class LeaseLock(LeaseCandidacy):
    """The Lease ``namespace/name`` for one candidate. ``labels`` are set on it, others are left alone.

    With a ``recorder`` the begin and the end of this candidate's leadership are events about the Lease.

    Methods raise StatusError and TransportError; nothing is sent twice, since the elector has its own loop.
    """

    def __init__(
        self,
        client: RESTClient,
        namespace: str,
        name: str,
        identity: str,
        *,
        labels: Mapping[str, str] | None = None,
        recorder: EventRecorder | None = None,
    ) -> None:
        super().__init__(namespace, name, identity, labels, recorder)
        self._client = client

    def get(self) -> Held | None:
        """None where there is no such Lease."""
        try:
            return held_of(self._named(self._client.get()).do().into())
        except StatusError as error:
            if error.is_not_found:
                return None
            raise

    def create(self, record: LeaseRecord) -> Held:
        lease = new_lease(record, self._namespace, self._name, self._labels)
        request = self._client.post().resource(LEASES).namespace(self._namespace).retry(NO_RETRIES)
        return held_of(request.body(lease).do().into())

    def update(self, record: LeaseRecord, held: Held) -> Held:
        """Replace what ``held`` was read from; a conflict where it is no longer the newest."""
        return held_of(
            self._named(self._client.put()).body(renewed_lease(record, held, self._labels)).do().into()
        )

    def _named(self, request: Request) -> Request:
        return request.resource(LEASES).namespace(self._namespace).name(self._name).retry(NO_RETRIES)


def config_for_election(config: ClientConfig, renew_deadline_s: float) -> ClientConfig:
    """``config`` with time-outs that leave room for a second try before the deadline."""
    timeout_s = max(REQUEST_TIMEOUT_S_MIN, renew_deadline_s / 2)
    return replace(config, connect_timeout_s=timeout_s, read_timeout_s=timeout_s)


def new_lease(record: LeaseRecord, namespace: str, name: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """The object to create."""
    metadata: dict[str, Any] = {"name": name, "namespace": namespace}
    if labels:
        metadata["labels"] = dict(labels)
    return {
        "apiVersion": LEASES.api_version,
        "kind": LEASES.kind,
        "metadata": metadata,
        "spec": to_spec(record),
    }


def renewed_lease(record: LeaseRecord, held: Held, labels: Mapping[str, str]) -> dict[str, Any]:
    """What ``held`` was read from, with another record; what else is in it stays."""
    metadata = dict(held.lease["metadata"])
    if labels:
        metadata["labels"] = {**(metadata.get("labels") or {}), **labels}
    spec = {**(held.lease.get("spec") or {}), **to_spec(record)}
    return {**held.lease, "metadata": metadata, "spec": spec}


def held_of(lease: dict[str, Any]) -> Held:
    """A Lease as the server sent it."""
    return Held(from_spec(lease.get("spec") or {}), lease)
