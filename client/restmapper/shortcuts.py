"""Short names (``deploy``) and categories (``all``) as resources. Pure but for the log."""

import logging
import threading
from collections.abc import Callable

from deltawire.client.restmapper.mapper import RESTMapper
from deltawire.client.schema import GroupVersionResource, gvr_of
from deltawire.common.meta.resources import ResourceType

log = logging.getLogger(__name__)


class ShortcutExpander:
    """Turns a short name into the resource that it stands for, for a mapper that may change.

    ``current`` gives the mapper (`DeferredRESTMapper.current`). A short name that also stands for another
    resource is said once in the log.
    """

    def __init__(self, current: Callable[[], RESTMapper]) -> None:
        self._current = current
        self._lock = threading.Lock()
        self._said: set[tuple[str, str]] = set()

    def expand(self, partial: GroupVersionResource) -> GroupVersionResource:
        """``partial`` itself where its word is a resource's name, or no known short name."""
        word = partial.resource.lower()
        types = [found.type for found in self._current().discovered.resources]
        if any(word in (one.plural, one.singular or one.kind.lower()) for one in types):
            return partial
        ranked = [one for one in self._current().types if word in one.short_names]
        exact = [one for one in ranked if not partial.group or one.group == partial.group]
        found = exact or [one for one in ranked if one.group.startswith(partial.group)]
        found = [one for one in found if not partial.version or one.version == partial.version]
        if not found:
            return partial
        chosen = found[0]
        self._warn(word, chosen, found)
        return GroupVersionResource(chosen.group, partial.version, chosen.plural)

    def _warn(self, word: str, chosen: ResourceType, found: list[ResourceType]) -> None:
        for other in found:
            key = (word, other.name)
            with self._lock:
                if other.name == chosen.name or key in self._said:
                    continue
                self._said.add(key)
            log.warning("%s means %s here; it could also mean %s", word, chosen.name, other.name)


def expand_category(mapper: RESTMapper, category: str) -> tuple[GroupVersionResource, ...]:
    """The resources of a category such as ``all``, each once, in the preferred version."""
    members = {
        (found.type.group, found.type.plural)
        for found in mapper.discovered.resources
        if category in found.categories
    }
    chosen: dict[tuple[str, str], GroupVersionResource] = {}
    for one in mapper.types:
        key = (one.group, one.plural)
        if key in members:
            chosen.setdefault(key, gvr_of(one))
    return tuple(chosen.values())
