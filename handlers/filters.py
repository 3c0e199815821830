"""A function's filter: its keywords, and the letters that it is called for.

Not here: the clauses themselves (``common.meta.clauses``), keeping back what nobody wants (the informer worker).
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypedDict

from deltawire.common.errors import ConfigError, PluginError
from deltawire.common.meta.clauses import Clause, make_clause

Leaving = Literal["delete", "update"]

# Which function a letter of an event's parts is for (docs/wire.md §7); ``L`` is for the one that asks for it.
_VERBS = {"A": "on_add", "U": "on_update", "D": "on_delete", "S": "on_update"}


class Filters(TypedDict, total=False):
    """Keywords of the decorators: all that are given must hold.

    namespace           one or several globs of namespaces
    name                one or several globs of names
    labels              a label selector, as ``kubectl -l``
    annotations         ``key=value``, ``key!=value``, ``key``, ``!key``, joined by commas
    fields              ``path=value``, ``path!=value``, joined by commas
    changed             one or several paths (``{.spec}``), or ``generation``: told is an update that changes one
    ignore_own_writes   field managers, or True for the handler's name: not told is an update by these only
    when                called with the object in the handler: false, and the function is not called
    leaving             ``delete`` (default) or ``update``: as what an object that leaves the filter is told
    """

    namespace: str | Sequence[str]
    name: str | Sequence[str]
    labels: str
    annotations: str
    fields: str
    changed: str | Sequence[str]
    ignore_own_writes: bool | str | Sequence[str]
    when: Callable[[dict[str, Any]], Any]
    leaving: Leaving


def clause_of(filters: Filters, manager: str, where: str) -> Clause:
    """What the worker may keep back. Raises PluginError, which begins with ``where``."""
    unknown = set(filters) - Filters.__optional_keys__
    if unknown:
        known = ", ".join(sorted(Filters.__optional_keys__))
        raise PluginError(f"{where}: unknown keyword {sorted(unknown)[0]!r}", hint=f"known are raw, {known}")
    if filters.get("leaving", "delete") not in ("delete", "update"):
        raise PluginError(f"{where}: leaving={filters['leaving']!r} is neither 'delete' nor 'update'")
    if not callable(filters.get("when", callable)):
        raise PluginError(f"{where}: when={filters['when']!r} is not a function")
    wanted: dict[str, Any] = {k: v for k, v in filters.items() if k not in ("when", "leaving")}
    try:
        return make_clause(**wanted, manager=manager)
    except (ConfigError, TypeError) as error:
        raise PluginError(f"{where}: {error}") from None


def is_for(letter: str, verb: str, leaving: str) -> bool:
    """True if a function of this verb is called for the letter."""
    if letter == "L":
        return verb == ("on_update" if leaving == "update" else "on_delete")
    return _VERBS.get(letter) == verb
