"""A plug-in's functions, and what becomes of calling them: objects decoded, outcomes from what they did.

Not here: when a call is made (``dispatch``), in which thread (``pool``).
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import msgspec

from deltawire.common.clock import Clock
from deltawire.common.meta import resources
from deltawire.common.meta.keys import display_key, split_key
from deltawire.handlers.api import Handler, Subscription
from deltawire.handlers.async_context import AsyncContext, AsyncProcessContext
from deltawire.handlers.async_loop import AsyncLoop, AsyncRunner
from deltawire.handlers.choosing import Chooser
from deltawire.handlers.common_context import CommonContext, ObjectContext, Surroundings, decoded
from deltawire.handlers.context import Context, ProcessContext
from deltawire.handlers.dispatch import DONE, Call, Outcome, Reconcile, Route, Verdict
from deltawire.handlers.events import (
    GAP_NOTICE,
    Dead,
    Delivery,
    Event,
    Requeue,
    Retry,
    event_of,
    gap_of,
)
from deltawire.handlers.failures import Failures, said_of
from deltawire.handlers.hooks import Hooks
from deltawire.handlers.leaks import Leaks, Meter, cheap_figures_of, figures_of
from deltawire.handlers.mapping import Mapper
from deltawire.handlers.models import DecodeFailed
from deltawire.handlers.owners import OwnerKeys, own_key
from deltawire.handlers.signatures import EVENT, place_of

_VERBS = {"A": "on_add", "U": "on_update", "D": "on_delete", "S": "on_update", GAP_NOTICE: "on_gap"}

# Of a delay; enough for any.
DOUBLINGS_MAX = 60
# Above the loggers that functions get as ``ctx.log``.
HANDLER_LOG = "handler"


class Program:
    """The functions of a `Handler`, as calls by `Call`. `run` may be called from several threads at once."""

    def __init__(
        self,
        handler: Handler,
        informers: Sequence[str],
        surroundings: Surroundings,
        *,
        clock: Clock,
        asyncs: AsyncRunner | None = None,
        leaving: tuple[type[BaseException], ...] = (),
    ) -> None:
        """``informers``: the names (``cluster/resource``) of what the process receives.

        ``asyncs``: who runs async functions, a thread of its own by default. ``leaving``: exceptions of a person who
        wants to leave, which `run` lets through.
        """
        self._surroundings = surroundings
        self._clock = clock
        self._name = handler.name
        self._log = logging.getLogger(f"{HANDLER_LOG}.{handler.name}")
        self._failures = Failures(self._log, clock)
        self._async = asyncs or AsyncLoop()
        self._leaving = leaving
        tasks = partial(getattr, self._async, "tasks", 0)
        self._meter = Meter(partial(cheap_figures_of, tasks))
        self.leaks = Leaks(partial(figures_of, tasks), self._meter)
        self._hooks = handler.hooks
        self._backoff = handler.backoff_s
        self._on: dict[tuple[str, str], list[Subscription]] = {}
        self._reconciles: list[Subscription | Mapper] = []
        self._chooser = Chooser(handler, _tree_of)
        for subscription in handler.subscriptions:
            if subscription.verb != "reconcile":
                self._on.setdefault((subscription.resource, subscription.verb), []).append(subscription)
        self.routes = {informer: self._route(handler, informer) for informer in informers}
        # Informer → kind → what is called.
        self._functions = {informer: self._functions_of(informer) for informer in informers}

    def run(self, call: Call) -> Outcome:
        """Make the call and say how it ended. Whatever a function raises is an outcome, but for ``leaving``."""
        try:
            if call.reconcile is not None:
                return self._reconcile(call)
            delivery = call.tickets[-1].delivery
            if delivery.parts:
                return self._handle_parts(delivery)
            return self._handle(self._functions[delivery.informer][delivery.kind], delivery)
        except Retry as retry:
            why = said_of(retry.why)
            self._log.info("%s: retry: %s", display_key(call.key), why)
            after_s = self._backoff_s(call) if retry.after_s is None else retry.after_s
            return Outcome(Verdict.RETRY, after_s, why or "Retry")
        except Dead as dead:
            why = said_of(dead.why)
            self._log.error("%s: dead: %s", display_key(call.key), why)
            return Outcome(Verdict.DEAD, None, why or "Dead")
        except DecodeFailed as failed:
            why = said_of(failed)
            self._log.error("%s: dead: %s", display_key(call.key), why)
            return Outcome(Verdict.DEAD, None, why)
        except self._leaving:
            raise
        # SystemExit and its like too: a plug-in's function must not end one thread of our process.
        except BaseException as error:
            said = self._failures.tell(display_key(call.key), call.newest.attempt, error)
            return Outcome(Verdict.RETRY, self._backoff_s(call), said)

    def hooks(self, cluster: str, replica: int, deadline_s: float = 0.0) -> Hooks:
        """The functions that no event calls, with contexts of ``cluster``; ``deadline_s`` of timers' calls."""

        def context(is_async: bool) -> CommonContext:
            kind = AsyncProcessContext if is_async else ProcessContext
            return kind(cluster, self._surroundings, self._log, handler=self._name, clock=self._clock)

        return Hooks(
            self._hooks, context, self._async, replica=replica, clock=self._clock, deadline_s=deadline_s,
            meter=self._meter,
        )  # fmt: skip

    def close(self, timeout_s: float = 1.0) -> None:
        self._async.close(timeout_s)

    def _backoff_s(self, call: Call) -> float | None:
        """The delay after a failure by the handler's own ``backoff_s``; None = the rate limiter's."""
        if self._backoff is None:
            return None
        first_s, longest_s = self._backoff
        return min(longest_s, first_s * 2.0 ** min(max(call.newest.attempt - 1, 0), DOUBLINGS_MAX))

    def _route(self, handler: Handler, informer: str) -> Route:
        cluster, _, resource = informer.partition("/")
        kinds = frozenset(kind for kind, verb in _VERBS.items() if (resource, verb) in self._on)
        reconciles = []
        for subscription in handler.subscriptions:
            if subscription.verb != "reconcile" or subscription.resource != resource:
                continue
            target = f"{cluster}/{subscription.owner or resource}"
            if subscription.maps is not None:
                # Looked up in a call of the changed object's own lane: a cache may have to be waited for.
                mapper = Mapper(subscription, self._number(subscription), target)
                wanted = self._chooser.keys_of_wanted(subscription, own_key)
                reconciles.append(Reconcile(len(self._reconciles), informer, wanted))
                self._reconciles.append(mapper)
                continue
            keys = OwnerKeys(subscription.owner) if subscription.owner else own_key
            wanted = self._chooser.keys_of_wanted(subscription, keys)
            reconciles.append(Reconcile(self._number(subscription), target, wanted))
        wants = self._chooser.is_for_any if self._chooser.has_filter(resource) else None
        return Route(kinds, tuple(reconciles), wants)

    def _functions_of(self, informer: str) -> dict[str, list[Subscription]]:
        resource = informer.partition("/")[2]
        return {
            kind: self._on[resource, verb] for kind, verb in _VERBS.items() if (resource, verb) in self._on
        }

    def _number(self, subscription: Subscription) -> int:
        """One number a function, so that several decorators on it share one queue of keys."""
        for number, other in enumerate(self._reconciles):
            if not isinstance(other, Mapper) and other.function is subscription.function:
                return number
        self._reconciles.append(subscription)
        return len(self._reconciles) - 1

    def _handle_parts(self, delivery: Delivery) -> Outcome:
        """Each function that wants the event gets what the event is to it."""
        outcome = DONE
        for subscription, seen in self._chooser.called(delivery):
            outcome = self._worse(outcome, self._handle([subscription], seen))
        return outcome

    def _worse(self, one: Outcome, other: Outcome) -> Outcome:
        return other if other is not DONE and other.verdict > one.verdict else one

    def _handle(self, subscriptions: Sequence[Subscription], delivery: Delivery) -> Outcome:
        """Call the ``on_…`` functions of an event, one after the other. The worst of what they say."""
        outcome, event, body = DONE, None, delivery.object
        for subscription in subscriptions:
            if subscription.when is not None and not self._chooser.says_when(subscription, delivery):
                continue
            signature, context = subscription.signature, None
            if body is None or delivery.kind == GAP_NOTICE or subscription.takes_old:
                arguments = arguments_of(subscription, delivery)
            else:
                # Decoded for each function anew: what one changes in its object, the next must not see.
                arguments = [subscription.read(body)]
            if signature.is_plain and not self._meter.is_on:
                returned = subscription.function(*arguments)
                if returned is not None:
                    outcome = self._worse(outcome, self._outcome_of(returned, subscription.function))
                continue
            if event is None and (signature.takes_event or signature.takes_ctx):
                event = event_of(delivery, int(self._clock.wall_s() * 1e6))
            if event is not None and signature.takes_ctx:
                read = partial(_tree_of, delivery, subscription.resource)
                context = self._context(event, delivery.informer, event.key, read, signature.is_async)
            outcome = self._worse(outcome, self._invoke(subscription, arguments, event, context))
        return outcome

    def _reconcile(self, call: Call) -> Outcome:
        subscription = self._reconciles[call.reconcile or 0]
        event = event_of(call.newest, int(self._clock.wall_s() * 1e6))
        if isinstance(subscription, Mapper):
            mapper = subscription
            context = self._context(event, mapper.target, display_key(call.key), None, False)
            more = tuple((mapper.number, mapper.target, key) for key in mapper.keys(call, context))
            return Outcome(Verdict.DONE, more=more) if more else DONE
        if not self._chooser.says_when_of(subscription.function, call):
            return DONE
        is_async = subscription.signature.is_async
        context = self._context(event, call.target, display_key(call.key), None, is_async)
        return self._invoke(subscription, [display_key(call.key)], event, context)

    def _context(
        self,
        event: Event,
        target: str,
        key: str,
        read: Callable[[], dict[str, Any] | None] | None,
        is_async: bool,
    ) -> ObjectContext:
        return (AsyncContext if is_async else Context)(
            event,
            target,
            key,
            self._surroundings,
            self._log,
            handler=self._name,
            clock=self._clock,
            read=read,
        )

    def _invoke(
        self,
        subscription: Subscription,
        arguments: list[Any],
        event: Event | None,
        context: ObjectContext | None,
    ) -> Outcome:
        """Call a function with what it takes besides its ``arguments``. What it said."""
        if self._meter.is_on:
            with self._meter.around(subscription.function):
                return self._made(subscription, arguments, event, context)
        return self._made(subscription, arguments, event, context)

    def _made(
        self,
        subscription: Subscription,
        arguments: list[Any],
        event: Event | None,
        context: ObjectContext | None,
    ) -> Outcome:
        signature = subscription.signature
        for extra in signature.extras:
            arguments.append(event if extra == EVENT else context)
        if signature.named:
            named = {extra: event if extra == EVENT else context for extra in signature.named}
            returned = subscription.function(*arguments, **named)
        else:
            returned = subscription.function(*arguments)
        return DONE if returned is None else self._outcome_of(returned, subscription.function)

    def _outcome_of(self, returned: Any, function: Callable[..., Any]) -> Outcome:
        """The outcome of a function that returned something, which may have to be awaited."""
        return outcome_of(
            self._async.run(returned) if isinstance(returned, Awaitable) else returned, function
        )


def _tree_of(delivery: Delivery, resource: str) -> dict[str, Any] | None:
    """The object of an event, for `Context.object`; a notice of lost changes has none."""
    if delivery.kind == GAP_NOTICE:
        return None
    return decoded(delivery.object if delivery.object is not None else metadata_only(delivery, resource))


def arguments_of(subscription: Subscription, delivery: Delivery) -> list[Any]:
    """What an ``on_…`` function is called with, without the event."""
    if delivery.kind == GAP_NOTICE:
        return [gap_of(delivery)]
    read = subscription.read
    body = delivery.object if delivery.object is not None else metadata_only(delivery, subscription.resource)
    new = read(body)
    if not subscription.takes_old:
        return [new]
    if delivery.kind == "S":
        return [read(body), new]
    return [None if delivery.old is None else read(delivery.old), new]


def metadata_only(delivery: Delivery, resource: str) -> bytes:
    """The object of a deletion of which nothing but the key is left (promise P4 after a machine crash)."""
    known = resources.find(resource)
    namespace, name = split_key(delivery.key)
    metadata = {"name": name, "uid": delivery.uid, "resourceVersion": delivery.version}
    if namespace:
        metadata["namespace"] = namespace
    head = {"apiVersion": known.api_version, "kind": known.kind} if known else {}
    return msgspec.json.encode({**head, "metadata": metadata})


def outcome_of(returned: Any, function: Callable[..., Any]) -> Outcome:
    """The outcome of a function that returned. Raises TypeError for what no function may return."""
    if returned is None:
        return DONE
    if isinstance(returned, Requeue):
        return Outcome(Verdict.REQUEUE, returned.after_s)
    raise TypeError(
        f"the function returned {type(returned).__name__}; expected None or Requeue(after_s): {place_of(function)}"
    )
