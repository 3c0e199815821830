"""One rule of a role, and whether it covers what is asked (the API server's RBAC, rule by rule)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deltawire.apiserver.access.attributes import Attributes

ALL = "*"


@dataclass(frozen=True, slots=True)
class Rule:
    """Verbs on resources of groups, or on URL ``paths``. ``names`` limits it to some objects; none means all."""

    verbs: tuple[str, ...]
    groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()

    def allows(self, asked: Attributes) -> bool:
        if not _holds(self.verbs, asked.verb):
            return False
        if asked.path:
            return any(_covers_path(path, asked.path) for path in self.paths)
        return (
            _holds(self.groups, asked.group)
            and any(_covers_resource(resource, asked) for resource in self.resources)
            and (not self.names or asked.name in self.names)
        )


def read_rules(tree: Any) -> tuple[Rule, ...]:
    """The ``rules`` of a role. Roles are stored unchecked: what is not a rule grants nothing."""
    return tuple(
        Rule(
            _strings(item.get("verbs")),
            _strings(item.get("apiGroups")),
            _strings(item.get("resources")),
            _strings(item.get("resourceNames")),
            _strings(item.get("nonResourceURLs")),
        )
        for item in tree or ()
        if isinstance(item, Mapping) and _names_are_readable(item)
    )


def _names_are_readable(item: Mapping[str, Any]) -> bool:
    """False where a limit to some objects cannot be read: without it, the rule would grant all of them."""
    names = item.get("resourceNames")
    return names is None or (isinstance(names, list) and len(_strings(names)) == len(names))


def _strings(words: Any) -> tuple[str, ...]:
    return tuple(word for word in words if isinstance(word, str)) if isinstance(words, list) else ()


def _holds(words: tuple[str, ...], word: str) -> bool:
    return ALL in words or word in words


def _covers_resource(resource: str, asked: Attributes) -> bool:
    """``pods``, ``pods/log``, ``*`` for all of both kinds, ``*/scale`` for one part of any resource."""
    if resource in (ALL, asked.combined_resource):
        return True
    return bool(asked.subresource) and resource == f"*/{asked.subresource}"


def _covers_path(path: str, asked: str) -> bool:
    """``/healthz``, or ``/apis/*`` for what begins so."""
    return path == asked or (path.endswith(ALL) and asked.startswith(path.rstrip(ALL)))
