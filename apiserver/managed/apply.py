"""Server-side apply: the object after one manager applied its configuration, and who owns what then."""

from dataclasses import replace
from typing import Any, NamedTuple

from deltawire.apiserver.managed.fields import Path, Paths, Tree, compare, field_set, told
from deltawire.apiserver.managed.managers import (
    Entry,
    Manager,
    entries_of,
    in_order,
    ownable,
)
from deltawire.apiserver.managed.merge import merged, with_parents, without
from deltawire.apiserver.managed.structure import Structure


class Conflict(NamedTuple):
    """A field that ``owner`` holds with another value."""

    owner: Manager
    path: Path

    @property
    def cause(self) -> dict[str, str]:
        """As Status details carry it."""
        return {
            "reason": "FieldManagerConflict",
            "message": f"conflict with {_named(self.owner)}",
            "field": told(self.path),
        }


class Applied(NamedTuple):
    """``conflicts`` is empty where the apply went through; else nothing may be stored."""

    obj: Tree
    entries: list[Entry]
    conflicts: list[Conflict]


def owned_by_config(config: Tree, structure: Structure) -> Paths:
    """The fields that an apply of ``config`` owns."""
    return frozenset(field_set(ownable(config), structure))


def apply(
    live: Tree, config: Tree, manager: Manager, structure: Structure, *, now: str, force: bool
) -> Applied:
    """``live`` after ``manager`` applied ``config``. Nothing handed in is changed.

    Conflicts are fields of others that the apply would change; ``force`` takes them over. What ``manager``
    applied before, no longer lists and shares with nobody is removed.
    """
    entries = entries_of(live)
    before = next((entry for entry in entries if _is_of(entry.manager, manager)), None)
    others = [entry for entry in entries if entry is not before]
    own = owned_by_config(config, structure)
    obj = merged(live, config, structure)
    if before is not None and before.paths:
        obj = _pruned(obj, before.paths, own.union(*(entry.paths for entry in others)), structure)
    difference = compare(ownable(live), ownable(obj), structure)
    changed = difference.added | difference.modified
    conflicts = [
        Conflict(entry.manager, path)
        for entry in sorted(others, key=lambda entry: entry.manager.name)
        for path in sorted(entry.paths & changed)
    ]
    if conflicts and not force:
        return Applied(live, entries, conflicts)
    lost = changed | difference.removed
    others = [replace(entry, paths=entry.paths - lost) for entry in others]
    is_same = before is not None and before.paths == own and not lost
    time = before.time if before is not None and is_same else now
    mine = [Entry(manager, own, time)] if own else []
    return Applied(obj, in_order([*mine, *(entry for entry in others if entry.paths)]), [])


def _pruned(obj: Any, before: Paths, held: Paths, structure: Structure) -> Any:
    """``obj`` without what the last apply set, unless another manager owns it now. Empty parents are removed, too."""
    pruned = without(obj, with_parents(before, structure), structure)
    there = with_parents(field_set(ownable(obj), structure), structure)
    left = with_parents(field_set(ownable(pruned), structure), structure)
    pruned = without(obj, there - (left | with_parents(held, structure)), structure)
    left = with_parents(field_set(ownable(pruned), structure), structure)
    return without(obj, (there - left) & with_parents(before, structure), structure)


def _is_of(one: Manager, other: Manager) -> bool:
    """Whether two applies are by the same manager: their versions may differ."""
    return replace(one, api_version="") == replace(other, api_version="")


def summary(conflicts: list[Conflict]) -> str:
    """The message of a refused apply, grouped by owner as the API words it."""
    if len(conflicts) == 1:
        owner, path = conflicts[0]
        return f"Apply failed with 1 conflict: conflict with {_named(owner)}: {told(path)}"
    by_owner: dict[str, list[str]] = {}
    for conflict in conflicts:
        by_owner.setdefault(_named(conflict.owner), []).append(f"- {told(conflict.path)}")
    parts = [f"conflicts with {owner}:\n" + "\n".join(paths) for owner, paths in by_owner.items()]
    return f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(parts)


def _named(manager: Manager) -> str:
    through = f' with subresource "{manager.subresource}"' if manager.subresource else ""
    version = f" using {manager.api_version}" if manager.operation != "Apply" else ""
    return f'"{manager.name}"{through}{version}'
