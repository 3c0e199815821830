"""The interface for plug-in authors: a `Handler` and its decorators.

    from deltawire import Handler

    handler = Handler("printer")

    @handler.on_update("deployments.apps")
    def updated(old, new, event): ...

Not here: loading the file (``loader``), calling its functions (``calls``).
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar, Unpack

from deltawire.common.errors import PluginError
from deltawire.common.meta import resources
from deltawire.common.meta.clauses import EVERYTHING, Clause, union
from deltawire.handlers import mistakes
from deltawire.handlers.async_context import AsyncContext as AsyncContext
from deltawire.handlers.context import Context as Context
from deltawire.handlers.events import Dead as Dead
from deltawire.handlers.events import Event as Event
from deltawire.handlers.events import Gap as Gap
from deltawire.handlers.events import Requeue as Requeue
from deltawire.handlers.events import Retry as Retry
from deltawire.handlers.filters import Filters, Leaving, clause_of
from deltawire.handlers.hooks import Hook, hook_of
from deltawire.handlers.models import reader_of, resource_of
from deltawire.handlers.signatures import Signature, check, place_of

Delivery = Literal["latest", "every"]
F = TypeVar("F", bound=Callable[..., Any])
# A resource: its name, or the class of its objects.
Named = str | type[Any]
# From an object to the keys that it concerns: an index of the reconciled resource, or a function of the object.
KeysOf = str | Callable[[Any], Iterable[str]]

WORKERS_MAX = 256
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_RESOURCE = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")
# Of `writes`: verbs as RBAC names them, and a subresource.
_VERBS = re.compile(r"([a-z]+(,[a-z]+)*)?")
_SUBRESOURCE = re.compile(r"[a-z]*")


@dataclass(frozen=True, slots=True)
class Subscription:
    """One decorator on one function. ``verb`` is ``on_add``, ``on_update``, ``on_delete``, ``on_gap`` or ``reconcile``.

    ``resource`` and ``owner`` are canonical (``pods``, ``deployments.apps``); ``owner`` is "" without one. ``old``: the
    function looks at the object as it was before. ``model``: the class of the objects that it gets. ``maps``: how an
    object leads to keys of ``owner``, in place of its owner reference. ``clause``, ``when``, ``leaving``: its filter.
    ``read``: from an object's JSON to what the function gets; ``takes_old``: it gets two.
    """

    verb: str
    resource: str
    owner: str
    function: Callable[..., Any]
    signature: Signature
    raw: bool
    old: bool = True
    model: Any = None
    maps: KeysOf | None = None
    clause: Clause = EVERYTHING
    when: Callable[[dict[str, Any]], Any] | None = None
    leaving: Leaving = "delete"
    read: Callable[[bytes], Any] = bytes
    takes_old: bool = False


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
    writes         what the functions write, for `deltawire rbac`: resources, with a subresource and verbs or without
                   (``"services"``, ``"patch websites.example.com/status"``); nothing is checked by it
    backoff_s      (first, longest): the delay after a failure, doubled with each attempt
    rate_per_s     so many calls begin in a second, in one process; None = no limit
    burst          so many at once after a pause; by default what a second brings, at least one

    A resource is named as for kubectl, or by the class of its objects.

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
        indexes: Mapping[Any, Mapping[str, str]] | None = None,
        reads: Iterable[Named] = (),
        writes: Iterable[Named] = (),
        backoff_s: tuple[float, float] | None = None,
        rate_per_s: float | None = None,
        burst: int | None = None,
    ) -> None:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise PluginError(f"Handler({name!r}): a name is lower case letters, digits and '-', at most 63")
        self.name = name
        if delivery not in (None, "latest", "every"):
            raise PluginError(
                f"{self}: delivery={delivery!r} is neither 'latest' nor 'every'{mistakes.instead_of_delivery(delivery)}"
            )
        if workers is not None and not 1 <= workers <= WORKERS_MAX:
            raise PluginError(f"{self}: workers={workers} is not between 1 and {WORKERS_MAX}")
        for option, value in (
            ("resync_s", resync_s),
            ("deadline_s", deadline_s),
            ("attempts_max", attempts_max),
        ):
            if value is not None and value < 0:
                raise PluginError(f"{self}: {option}={value} is negative")
        if backoff_s is not None and not (len(backoff_s) == 2 and 0 < backoff_s[0] <= backoff_s[1]):
            raise PluginError(f"{self}: backoff_s={backoff_s!r} is not (first, longest), both above 0")
        if rate_per_s is not None and not 0 < rate_per_s < math.inf:
            raise PluginError(f"{self}: rate_per_s={rate_per_s!r} is not above 0")
        if burst is not None and (burst < 1 or rate_per_s is None):
            raise PluginError(f"{self}: burst={burst!r} is a number of calls from 1 on, beside rate_per_s")
        self.delivery = delivery
        self.workers = workers
        self.resync_s = resync_s
        self.deadline_s = deadline_s
        self.attempts_max = attempts_max
        self.indexes = {self._resource(r, "indexes"): dict(paths) for r, paths in (indexes or {}).items()}
        self.reads = tuple(self._resource(r, "reads") for r in reads)
        self.writes = tuple(map(self._write, writes))
        self.backoff_s = backoff_s
        self.rate_per_s = rate_per_s
        self.burst = burst
        self.hooks: list[Hook] = []
        self.subscriptions: list[Subscription] = []

    def __repr__(self) -> str:
        return f"Handler({self.name!r})"

    if not TYPE_CHECKING:  # a type checker finds it by itself

        def __getattr__(self, word: str) -> Any:
            raise AttributeError(f"a Handler has no {word!r}{mistakes.instead_of_decorator(word)}")

    def on_add(
        self, resource: Named, *, raw: bool = False, model: Any = None, **filters: Unpack[Filters]
    ) -> Callable[[F], F]:
        """Calls ``f(obj, event)`` for each object that is new to this handler, or to the function's `Filters`.

        With a class as ``resource``, or as ``model`` beside a name, ``obj`` is of that class. An object that does
        not fit it is a dead letter that names the field.
        """
        return self._decorator("on_add", resource, filters, raw=raw, model=model)

    def on_update(
        self,
        resource: Named,
        *,
        raw: bool = False,
        old: bool = True,
        model: Any = None,
        **filters: Unpack[Filters],
    ) -> Callable[[F], F]:
        """Calls ``f(old, new, event)`` for each change; ``old`` is None where it is no longer known.

        A resync calls it with ``old`` equal to ``new`` and ``event.resync`` true. With ``old=False`` it calls
        ``f(new, event)``, and where no function of the handler needs it the old object is neither kept, sent nor
        decoded.
        """
        return self._decorator("on_update", resource, filters, raw=raw, old=old, model=model)

    def on_delete(
        self, resource: Named, *, raw: bool = False, model: Any = None, **filters: Unpack[Filters]
    ) -> Callable[[F], F]:
        """Calls ``f(obj, event)`` with the object's last known state: never None, at least its metadata.

        Also for an object that left the function's filter: then ``event.out_of_scope``, and ``obj`` is its present
        state.
        """
        return self._decorator("on_delete", resource, filters, raw=raw, model=model)

    def on_gap(self, resource: Named) -> Callable[[F], F]:
        """Calls ``f(gap)`` if changes of the resource are lost (`Gap`).

        With ``delivery="every"`` for each list that the API server's lost history made necessary. With both deliveries
        after an absence so long that the handler begins anew. Each loss is logged as well.
        """
        return self._decorator("on_gap", resource, {})

    def reconcile(
        self,
        resource: Named,
        owner: Named | None = None,
        *,
        owns: Iterable[Named] = (),
        maps: Mapping[Any, KeysOf] | None = None,
        writes: Iterable[Named] = (),
        **filters: Unpack[Filters],
    ) -> Callable[[F], F]:
        """Calls ``f(key, ctx)`` after any change of the object; changes during a call are merged into one more.

        owner     the key is that of the object's controlling owner of that resource; objects without one are
                  passed over
        owns      changes of these resources, too, ask for the key of their controlling owner
        maps      changes of these, too: {resource: index}: an index of ``resource`` that lists, under the changed
                  object's name, who uses it; or {resource: function}, which returns the keys that its object concerns
        writes    as `Handler`'s

        Filters are of the events of ``resource``.
        """
        target = self._resource(resource, "reconcile")
        also: list[tuple[str, KeysOf | None]] = [(self._resource(child, "owns"), None) for child in owns]
        also += [(self._resource(other, "maps"), how) for other, how in (maps or {}).items()]
        for _, how in also:
            if isinstance(how, str) and how not in self.indexes.get(target, {}):
                raise PluginError(
                    f"{self}: maps: {target} has no index {how!r}",
                    hint=f"declare it: Handler(…, indexes={{{target!r}: {{{how!r}: '.spec.…'}}}})",
                )
        self.writes += tuple(r for w in writes if (r := self._write(w)) not in self.writes)
        main = self._decorator("reconcile", resource, filters, owner=owner)

        def decorate(function: F) -> F:
            main(function)
            for other, how in also:
                self._decorator("reconcile", other, {}, owner=target, maps=how)(function)
            return function

        return decorate

    def timer(
        self, every_s: float, *, each_replica: bool = False, deadline_s: float | None = None
    ) -> Callable[[F], F]:
        """Calls ``f(ctx)`` each ``every_s`` seconds in replica 0, or in each; the first time after the start.

        Calls of all timers of a process follow each other. One that raises is logged, and called again at its time.
        One that takes longer than ``deadline_s`` (None = the handler's, 0 = no deadline) is reported with its line, and
        ends the process, as a call does.
        """
        if not every_s > 0:
            raise PluginError(f"{self}: timer(every_s={every_s!r}): it must be above 0")
        if deadline_s is not None and deadline_s < 0:
            raise PluginError(f"{self}: timer(deadline_s={deadline_s!r}) is negative")
        return self._hook("timer", every_s=every_s, each_replica=each_replica, deadline_s=deadline_s)

    def on_startup(self) -> Callable[[F], F]:
        """Calls ``f(ctx)`` in each replica before the first event; if it raises, the process ends and starts again."""
        return self._hook("on_startup")

    def on_cleanup(self) -> Callable[[F], F]:
        """Calls ``f(ctx)`` in each replica when it leaves, after its last call. A kill leaves no time for it."""
        return self._hook("on_cleanup")

    def _hook(
        self, verb: str, *, every_s: float = 0.0, each_replica: bool = True, deadline_s: float | None = None
    ) -> Callable[[F], F]:
        def decorate(function: F) -> F:
            hook = hook_of(function, verb, every_s=every_s, each_replica=each_replica, deadline_s=deadline_s)
            self.hooks.append(hook)
            return function

        return decorate

    def clauses(self, resource: str) -> list[Clause]:
        """What the functions want of a resource's events: their clauses, each once; none if it is all of them."""
        return union(s.clause for s in self.subscriptions if s.resource == resource and s.verb != "on_gap")

    @property
    def needs_old(self) -> bool:
        """True if a function looks at objects as they were before, or finds their former owner by them."""
        return any(s.old and (s.verb == "on_update" or s.owner) for s in self.subscriptions)

    def _decorator(
        self,
        verb: str,
        resource: Named,
        filters: Filters,
        *,
        owner: Named | None = None,
        raw: bool = False,
        old: bool = True,
        model: Any = None,
        maps: KeysOf | None = None,
    ) -> Callable[[F], F]:
        canonical = self._resource(resource, verb)
        of = self._resource(owner, f"{verb}(owner=…)") if owner else ""
        model = model or (None if isinstance(resource, str) or verb == "reconcile" else resource)
        if raw and model is not None:
            raise PluginError(f"{self}: {verb}: raw=True and a class of objects contradict each other")
        clause = clause_of(filters, self.name, f"{self}: {verb}({resource!r})")
        when, leaving = filters.get("when"), filters.get("leaving", "delete")

        def decorate(function: F) -> F:
            signature = check(function, verb, old=old)
            wanted = (verb, canonical, of, function)
            if any((s.verb, s.resource, s.owner, s.function) == wanted for s in self.subscriptions):
                raise PluginError(f"{place_of(function)}: {verb}({resource!r}) twice on one function")
            self.subscriptions.append(
                Subscription(
                    verb, canonical, of, function, signature, raw, old, model, maps, clause, when, leaving,
                    reader_of(model, function, raw=raw), old and verb == "on_update",
                )
            )  # fmt: skip
            return function

        return decorate

    def _write(self, text: Any) -> str:
        """``[verb[,verb…] ]resource[/subresource]``, the resource by its full name."""
        if not isinstance(text, str):
            return self._resource(text, "writes")
        verbs, _, place = text.strip().rpartition(" ")
        resource, _, subresource = place.partition("/")
        if not _VERBS.fullmatch(verbs.strip()) or not _SUBRESOURCE.fullmatch(subresource):
            raise PluginError(
                f"{self}: writes: {text!r} is not what is written",
                hint="a resource, with verbs before it or not: 'services', 'patch websites.example.com/status'",
            )
        name = self._resource(resource, "writes") + (f"/{subresource}" if subresource else "")
        return f"{verbs.strip()} {name}".strip()

    def _resource(self, text: Any, where: str) -> str:
        if isinstance(text, type):
            text = resource_of(text)
        if not isinstance(text, str) or not _RESOURCE.fullmatch(text.strip().lower()):
            raise PluginError(
                f"{self}: {where}: {text!r} is not the name of a resource",
                hint="write it as kubectl does, such as 'pods' or 'deployments.apps'",
            )
        known = resources.find(text)
        meant = "" if known or "." in text else mistakes.built_in_like(text.strip().lower())
        if meant:
            raise PluginError(
                f"{self}: {where}: there is no resource {text!r}; did you mean {meant!r}?",
                hint=f"a custom resource is named with its group, as in {text}.example.com",
            )
        return known.name if known else text.strip().lower()
