"""By what it is decided which broker leads an informer: a row on NATS, or a Lease of the informer's cluster.

Both say who may begin to publish. Neither fences: each message says which sequence it follows.
"""

from collections.abc import Callable
from typing import Protocol

from deltawire.common.clock import Clock
from deltawire.fifo.relay.servers import Servers
from deltawire.jetstream.leases import Lease
from deltawire.jetstream.settings import word_of


class Lead(Protocol):
    """One informer that this broker wants to lead, in the connection's thread."""

    @property
    def seen(self) -> str:
        """Who leads, as far as is known; "" for nobody."""
        ...

    @property
    def is_valid(self) -> bool:
        """True while nobody else can have it: a reign may begin."""
        ...

    @property
    def is_held(self) -> bool:
        """True while a reign that has begun may go on."""
        ...

    @property
    def problem(self) -> str:
        """Why it was not to be had or renewed the last time; "" where there was an answer."""
        ...

    async def keep(self) -> None:
        """Take it when it can be had, and keep it, until cancelled: then it is given back."""


class Leads(Protocol):
    def lead(self, informer: str, changed: Callable[[bool], object]) -> Lead:
        """``changed`` is called with True when it is gained, and False when it is lost."""
        ...


class NatsLead(Lease):
    """Who cannot renew it cannot publish: it is held as long as it is valid."""

    @property
    def is_held(self) -> bool:
        return self.is_valid


class NatsLeads:
    """``label``: this broker's name among those of all hosts."""

    def __init__(self, servers: Servers, label: str, clock: Clock) -> None:
        self._servers = servers
        self._label = label
        self._clock = clock

    def lead(self, informer: str, changed: Callable[[bool], object]) -> Lead:
        key = f"lead.{'.'.join(word_of(part) for part in informer.split('/'))}"
        return NatsLead(self._servers.connection, key, self._label, self._clock, changed)
