"""Server-side apply: the object after one manager applied its configuration, and who owns what then."""

from dataclasses import replace
from typing import Any, NamedTuple

from deltawire.apiserver.managed.fields import PRESENT, Path, Tree, Values, told
from deltawire.apiserver.managed.managers import Entry, Manager, entries_of, owned_values
from deltawire.apiserver.managed.merge import merged, without
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


def apply(
    live: Tree, config: Tree, manager: Manager, structure: Structure, *, now: str, force: bool
) -> Applied:
    """``live`` after ``manager`` applied ``config``. Nothing handed in is changed.

    Conflicts are fields of others with another value; ``force`` takes them over. Fields that ``manager``
    applied before, no longer lists and shares with nobody are removed.
    """
    entries = entries_of(live)
    wanted = owned_values(config, structure)
    present = owned_values(live, structure)
    others = [entry for entry in entries if entry.manager != manager]
    conflicts = [
        Conflict(entry.manager, path)
        for entry in others
        for path in sorted(entry.paths)
        if path in wanted and _clashes(wanted[path], present.get(path))
    ]
    if conflicts and not force:
        return Applied(live, entries, conflicts)
    taken = {conflict.path for conflict in conflicts}
    others = [replace(entry, paths=entry.paths - taken) for entry in others]
    before = next((entry for entry in entries if entry.manager == manager), None)
    given_up = (before.paths if before else frozenset()) - wanted.keys()
    removed = [path for path in given_up if not _is_held(path, others)]
    obj = without(merged(live, config, structure), removed, structure)
    left = owned_values(obj, structure)
    others = [entry for entry in (_still_there(entry, left) for entry in others) if entry.paths]
    own = frozenset(wanted)
    time = before.time if before is not None and before.paths == own else now
    return Applied(obj, [Entry(manager, own, time), *others], [])


def summary(conflicts: list[Conflict]) -> str:
    """The message of a refused apply, grouped by owner as the API words it."""
    by_owner: dict[str, list[str]] = {}
    for conflict in conflicts:
        by_owner.setdefault(_named(conflict.owner), []).append(told(conflict.path))
    parts = [
        f"conflict with {owner}: {paths[0]}"
        if len(paths) == 1
        else f"conflicts with {owner}:\n- " + "\n- ".join(paths)
        for owner, paths in by_owner.items()
    ]
    count = f"{len(conflicts)} conflict{'s' if len(conflicts) != 1 else ''}"
    return f"Apply failed with {count}: " + "\n".join(parts)


def _clashes(wanted: Any, present: Any) -> bool:
    return wanted is not PRESENT and present is not PRESENT and wanted != present


def _is_held(path: Path, others: list[Entry]) -> bool:
    """True if somebody else owns the path or something below it."""
    return any(other[: len(path)] == path for entry in others for other in entry.paths)


def _still_there(entry: Entry, left: Values) -> Entry:
    return replace(entry, paths=frozenset(path for path in entry.paths if path in left))


def _named(manager: Manager) -> str:
    through = f' with subresource "{manager.subresource}"' if manager.subresource else ""
    return f'"{manager.name}"{through} using {manager.api_version}'
