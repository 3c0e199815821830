"""The interface for plug-in authors: a `Handler` and its decorators.

    from deltawire import Handler

    handler = Handler("printer")

    @handler.on_update("deployments.apps")
    def updated(old, new, event): ...

Not here: loading the file (``loader``), calling its functions (``calls``).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from deltawire.common.errors import PluginError
from deltawire.common.meta import resources
from deltawire.handlers.context import Context as Context
from deltawire.handlers.events import Dead as Dead
from deltawire.handlers.events import Event as Event
from deltawire.handlers.events import Gap as Gap
from deltawire.handlers.events import Requeue as Requeue
from deltawire.handlers.events import Retry as Retry
from deltawire.handlers.signatures import Signature, check, place_of

Delivery = Literal["latest", "every"]
F = TypeVar("F", bound=Callable[..., Any])

WORKERS_MAX = 256
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_RESOURCE = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


@dataclass(frozen=True, slots=True)
class Subscription:
    """One decorator on one function. ``verb`` is ``on_add``, ``on_update``, ``on_delete``, ``on_gap`` or ``reconcile``.

    ``resource`` and ``owner`` are canonical (``pods``, ``deployments.apps``); ``owner`` is "" without one. ``old``: the
    function looks at the object as it was before.
    """

    verb: str
    resource: str
    owner: str
    function: Callable[..., Any]
    signature: Signature
    raw: bool
    old: bool = True


class Handler:
    """A group of functions that are called for changes of objects, in a process of their own.

    name           the group's name: lower case letters, digits and '-', at most 63
    delivery       ``latest`` (the newest state of each key) or ``every`` (each state that was stored)
    workers        calls at the same time in one process; calls for one key never overlap
    resync_s       the period in seconds in which every object is delivered again; 0 = never
    deadline_s     a call that takes longer is reported and ends the process; 0 = no deadline
    attempts_max   the number of failures that make a dead letter; 0 = try for ever
    indexes        {resource: {index: path}}: indexes that the functions read; the config need not name them
    reads          resources whose cache the functions read without getting their events

    Arguments that are None are left to the config, and its defaults. Raises PluginError for an invalid value.
    """

    def __init__(
        self,
        name: str,
        *,
        delivery: Delivery | None = None,
        workers: int | None = None,
        resync_s: float | None = None,
        deadline_s: float | None = None,
        attempts_max: int | None = None,
        indexes: dict[str, dict[str, str]] | None = None,
        reads: tuple[str, ...] | list[str] = (),
    ) -> None:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise PluginError(f"Handler({name!r}): a name is lower case letters, digits and '-', at most 63")
        self.name = name
        if delivery not in (None, "latest", "every"):
            raise PluginError(f"{self}: delivery={delivery!r} is neither 'latest' nor 'every'")
        if workers is not None and not 1 <= workers <= WORKERS_MAX:
            raise PluginError(f"{self}: workers={workers} is not between 1 and {WORKERS_MAX}")
        for option, value in (
            ("resync_s", resync_s),
            ("deadline_s", deadline_s),
            ("attempts_max", attempts_max),
        ):
            if value is not None and value < 0:
                raise PluginError(f"{self}: {option}={value} is negative")
        self.delivery = delivery
        self.workers = workers
        self.resync_s = resync_s
        self.deadline_s = deadline_s
        self.attempts_max = attempts_max
        self.indexes = {self._resource(r, "indexes"): dict(paths) for r, paths in (indexes or {}).items()}
        self.reads = tuple(self._resource(r, "reads") for r in reads)
        self.subscriptions: list[Subscription] = []

    def __repr__(self) -> str:
        return f"Handler({self.name!r})"

    def on_add(self, resource: str, *, raw: bool = False) -> Callable[[F], F]:
        """Calls ``f(obj, event)`` for each object that is new to this handler."""
        return self._decorator("on_add", resource, "", raw)

    def on_update(self, resource: str, *, raw: bool = False, old: bool = True) -> Callable[[F], F]:
        """Calls ``f(old, new, event)`` for each change; ``old`` is None where it is no longer known.

        A resync calls it with ``old`` equal to ``new`` and ``event.resync`` true. With ``old=False`` it calls
        ``f(new, event)``, and where no function of the handler needs it the old object is neither kept, sent nor
        decoded.
        """
        return self._decorator("on_update", resource, "", raw, old=old)

    def on_delete(self, resource: str, *, raw: bool = False) -> Callable[[F], F]:
        """Calls ``f(obj, event)`` with the object's last known state: never None, at least its metadata."""
        return self._decorator("on_delete", resource, "", raw)

    def on_gap(self, resource: str) -> Callable[[F], F]:
        """Calls ``f(gap)`` if changes of the resource are lost (`Gap`).

        With ``delivery="every"`` for each list that the API server's lost history made necessary. With both deliveries
        after an absence so long that the handler begins anew. Each loss is logged as well.
        """
        return self._decorator("on_gap", resource, "", False)

    def reconcile(self, resource: str, owner: str | None = None) -> Callable[[F], F]:
        """Calls ``f(key, ctx)`` after any change of the object; changes during a call are merged into one more.

        With ``owner``, the key is that of the object's controlling owner of that resource, and objects
        without one are passed over.
        """
        return self._decorator("reconcile", resource, owner or "", False)

    @property
    def needs_old(self) -> bool:
        """True if a function looks at objects as they were before, or finds their former owner by them."""
        return any(s.old and (s.verb == "on_update" or s.owner) for s in self.subscriptions)

    def _decorator(
        self, verb: str, resource: str, owner: str, raw: bool, *, old: bool = True
    ) -> Callable[[F], F]:
        canonical = self._resource(resource, verb)
        of = self._resource(owner, f"{verb}(owner=…)") if owner else ""

        def decorate(function: F) -> F:
            signature = check(function, verb, old=old)
            for other in self.subscriptions:
                if (other.verb, other.resource, other.owner, other.function) == (
                    verb,
                    canonical,
                    of,
                    function,
                ):
                    raise PluginError(f"{place_of(function)}: {verb}({resource!r}) twice on one function")
            self.subscriptions.append(Subscription(verb, canonical, of, function, signature, raw, old))
            return function

        return decorate

    def _resource(self, text: Any, where: str) -> str:
        if not isinstance(text, str) or not _RESOURCE.fullmatch(text.strip().lower()):
            raise PluginError(
                f"{self}: {where}: {text!r} is not the name of a resource",
                hint="write it as kubectl does, such as 'pods' or 'deployments.apps'",
            )
        known = resources.find(text)
        return known.name if known else text.strip().lower()
