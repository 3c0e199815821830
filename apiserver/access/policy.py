"""Roles and bindings in a form that decisions are made from, read from the objects that clients wrote."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from deltawire.apiserver.access.rules import Rule, read_rules
from deltawire.apiserver.core.scale import selector_text
from deltawire.common.meta.selectors import LabelSelector, parse_label_selector

Tree = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Subject:
    """The holder of a role: a ``User``, a ``Group``, or a ``ServiceAccount`` of a namespace."""

    kind: str
    name: str
    namespace: str = ""


@dataclass(frozen=True, slots=True)
class Binding:
    """Gives a role to subjects, in ``namespace`` or, where that is empty, in the whole cluster."""

    name: str
    namespace: str
    role_kind: str
    role_name: str
    subjects: tuple[Subject, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """All roles and bindings. Roles are found by (namespace, name); cluster roles have no namespace."""

    roles: Mapping[tuple[str, str], tuple[Rule, ...]] = field(default_factory=dict)
    cluster_bindings: tuple[Binding, ...] = ()
    bindings: Mapping[str, tuple[Binding, ...]] = field(default_factory=dict)


def read_policy(
    *,
    roles: Iterable[Tree] = (),
    cluster_roles: Iterable[Tree] = (),
    role_bindings: Iterable[Tree] = (),
    cluster_role_bindings: Iterable[Tree] = (),
) -> Policy:
    """The policy that these objects make. What cannot be read in them grants nothing."""
    found = {_key(role): read_rules(_list(role, "rules")) for role in roles}
    found |= _cluster_roles(list(cluster_roles))
    by_namespace: dict[str, list[Binding]] = {}
    for tree in role_bindings:
        by_namespace.setdefault(tree["metadata"]["namespace"], []).append(_binding(tree))
    return Policy(
        found,
        tuple(_binding(tree) for tree in cluster_role_bindings),
        {namespace: tuple(bindings) for namespace, bindings in by_namespace.items()},
    )


def _cluster_roles(trees: list[Tree]) -> dict[tuple[str, str], tuple[Rule, ...]]:
    """With an aggregationRule, a role has the rules of those it selects, and none of its own."""
    selectors = {_key(tree): _selectors(tree) for tree in trees}

    def rules(tree: Tree, above: frozenset[tuple[str, str]]) -> tuple[Rule, ...]:
        key = _key(tree)
        wanted = selectors[key]
        if wanted is None:
            return read_rules(_list(tree, "rules"))
        # Roles that select each other share their rules; each is walked once on the way.
        above |= {key}
        parts = [
            rules(other, above)
            for other in trees
            if _key(other) not in above and any(selector.matches(_labels(other)) for selector in wanted)
        ]
        return tuple(dict.fromkeys(rule for part in parts for rule in part))

    return {_key(tree): rules(tree, frozenset()) for tree in trees}


def _selectors(tree: Tree) -> list[LabelSelector] | None:
    """What a cluster role aggregates; None where it has rules of its own."""
    aggregation = tree.get("aggregationRule")
    if not isinstance(aggregation, Mapping):
        return None
    selectors = []
    for item in _list(aggregation, "clusterRoleSelectors"):
        try:
            if isinstance(item, Mapping):
                selectors.append(parse_label_selector(selector_text(item)))
        except (AttributeError, TypeError, ValueError):
            continue  # stored unchecked; it selects nothing
    return selectors


def _binding(tree: Tree) -> Binding:
    metadata, reference = tree["metadata"], tree.get("roleRef")
    reference = reference if isinstance(reference, Mapping) else {}
    return Binding(
        metadata["name"],
        metadata.get("namespace", ""),
        str(reference.get("kind", "")),
        str(reference.get("name", "")),
        tuple(
            Subject(str(item.get("kind", "")), str(item.get("name", "")), str(item.get("namespace") or ""))
            for item in _list(tree, "subjects")
            if isinstance(item, Mapping)
        ),
    )


def _key(tree: Tree) -> tuple[str, str]:
    return tree["metadata"].get("namespace", ""), tree["metadata"]["name"]


def _labels(tree: Tree) -> dict[str, str]:
    return tree["metadata"].get("labels") or {}


def _list(tree: Tree, name: str) -> list[Any]:
    items = tree.get(name)
    return items if isinstance(items, list) else []
