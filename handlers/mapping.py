"""From a changed object to the keys that it concerns: ``reconcile("websites.example.com", maps={"secrets": …})``.

Not here: controlling owners (``owners``), calling the reconcile of the keys (``dispatch``).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from deltawire.common.meta.keys import key_of, split_key
from deltawire.handlers.dispatch import Call

if TYPE_CHECKING:
    from deltawire.handlers.api import Subscription
    from deltawire.handlers.common_context import ObjectContext

_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Mapper:
    """How the changes of one resource ask for a reconcile: ``number`` names its function, ``target`` its informer."""

    subscription: "Subscription"
    number: int
    target: str

    def keys(self, call: Call, context: "ObjectContext") -> list[str]:
        """The keys that the changes of ``call`` concern, each once. ``context`` is one of the target's informer."""
        how = self.subscription.maps
        found: dict[str, None] = {}
        if isinstance(how, str):
            namespace, name = split_key(call.key)
            for cached in context.lister().by_index(how, name):
                # A name in a spec means an object of the same namespace; what has none may be meant from everywhere.
                if not namespace or not cached.namespace or cached.namespace == namespace:
                    found[key_of(cached.namespace, cached.name)] = None
        elif how is not None:
            for ticket in call.tickets:
                for body in (ticket.delivery.object, ticket.delivery.old):
                    for key in _checked(how(_decode(body))) if body is not None else ():
                        found[key if "/" in key else key_of("", key)] = None
        return list(found)


def _checked(keys: Any) -> Iterable[str]:
    if keys is None:
        return ()
    if isinstance(keys, str) or not isinstance(keys, Iterable):
        raise TypeError(f"a function of maps= returns a list of keys such as ['ns/name'], not {keys!r}")
    return list(keys)
