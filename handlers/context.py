"""The second argument of a reconcile function.

Not here: the caches themselves (``lister``), the REST client (client/).
"""

import logging
from typing import Any, Protocol

from deltawire.handlers.events import Event
from deltawire.handlers.lister import Lister


class Surroundings(Protocol):
    """What the process offers to the calls it makes."""

    def lister(self, cluster: str, resource: str) -> Lister: ...

    def client(self, cluster: str) -> Any: ...


class Context:
    """The surroundings of one call of a reconcile function.

    event      the last event that asked for this call; with ``owner=`` it is an event of the owned object
    log        a logger that bears the handler's name
    lister     the cache of the reconciled resource (of the owner, with ``owner=``)
    client     a REST client of the cluster, made when first used
    """

    def __init__(self, event: Event, target: str, surroundings: Surroundings, log: logging.Logger) -> None:
        self.event = event
        self.log = log
        self._target = target
        self._surroundings = surroundings

    @property
    def lister(self) -> Lister:
        return self._surroundings.lister(*_parts(self._target))

    @property
    def client(self) -> Any:
        return self._surroundings.client(self.event.cluster)

    def lister_of(self, resource: str) -> Lister:
        """The cache of another resource of the same cluster, as ``ctx.lister_of("nodes").get("", "n1")``."""
        return self._surroundings.lister(self.event.cluster, resource)


def _parts(informer: str) -> tuple[str, str]:
    cluster, _, resource = informer.partition("/")
    return cluster, resource
