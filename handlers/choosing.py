"""Which functions of a handler an event is for, where functions have filters.

Not here: calling them (``calls``), the filters' keywords (``filters``).
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from deltawire.handlers.dispatch import Call
from deltawire.handlers.events import OUT_OF_SCOPE, Delivery
from deltawire.handlers.filters import is_for

if TYPE_CHECKING:
    from deltawire.handlers.api import Handler, Subscription

Keys = Callable[[Delivery], Iterable[str]]


class Chooser:
    """``tree``: decodes an event's object for ``when``."""

    def __init__(self, handler: "Handler", tree: Callable[[Delivery, str], Any]) -> None:
        self._subscriptions = handler.subscriptions
        self._clauses = {s.resource: handler.clauses(s.resource) for s in handler.subscriptions}
        self._tree = tree

    def has_filter(self, resource: str) -> bool:
        """True if some function does not want all of this resource's events."""
        return bool(self._clauses.get(resource))

    def called(self, delivery: Delivery) -> "list[tuple[Subscription, Delivery]]":
        """The ``on_…`` functions that an event with parts is for, each with the event as it is to that function."""
        resource = delivery.informer.partition("/")[2]
        found = []
        for subscription in self._subscriptions:
            if subscription.resource != resource or subscription.verb in ("reconcile", "on_gap"):
                continue
            letter = self._letter(subscription, delivery)
            if is_for(letter, subscription.verb, subscription.leaving):
                found.append((subscription, _as_seen(delivery, letter, subscription.verb)))
        return found

    def is_for_any(self, delivery: Delivery) -> bool:
        """True if some ``on_…`` function is to be called for an event with parts."""
        return bool(self.called(delivery))

    def keys_of_wanted(self, subscription: "Subscription", keys: Keys) -> Keys:
        """``keys`` of the events that the reconcile's filter wants."""
        if not self.has_filter(subscription.resource):
            return keys
        return partial(self._keys, subscription, keys)

    def says_when(self, subscription: "Subscription", delivery: Delivery) -> bool:
        """What ``when`` of a function says of an event's object; true without one."""
        return subscription.when is None or bool(
            subscription.when(self._tree(delivery, subscription.resource))
        )

    def says_when_of(self, function: Callable[..., Any], call: Call) -> bool:
        """The same of a reconcile: true if it holds for one of the events that asked."""
        asked = [s for s in self._subscriptions if s.function is function and s.verb == "reconcile"]
        if all(s.when is None for s in asked):
            return True
        return any(
            self.says_when(s, ticket.delivery)
            for ticket in call.tickets
            for s in asked
            if s.resource == ticket.delivery.informer.partition("/")[2]
        )

    def _keys(self, subscription: "Subscription", keys: Keys, delivery: Delivery) -> Iterable[str]:
        if delivery.parts and self._letter(subscription, delivery) == "-":
            return ()
        return keys(delivery)

    def _letter(self, subscription: "Subscription", delivery: Delivery) -> str:
        """What an event with parts is to a function."""
        number = self._clauses[subscription.resource].index(subscription.clause)
        return delivery.parts[number] if number < len(delivery.parts) else "-"


def _as_seen(delivery: Delivery, letter: str, verb: str) -> Delivery:
    """The event as it is to a function: of kind ``letter``; one that left its filter is still there."""
    kind, flags = letter, delivery.flags
    if letter == "L":
        kind, flags = "U" if verb == "on_update" else "D", flags | OUT_OF_SCOPE
    if (kind, flags) == (delivery.kind, delivery.flags):
        return delivery
    return msgspec.structs.replace(delivery, kind=kind, flags=flags)
