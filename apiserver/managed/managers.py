"""metadata.managedFields: one entry for each manager, with the fields it owns.

Whoever changes a field owns it, the others lose it. Whoever applies owns what he applied, together with
others that hold the same value.
"""

from dataclasses import dataclass, replace
from typing import Any

from deltawire.apiserver.managed.fields import (
    PRESENT,
    Path,
    Tree,
    Values,
    from_fields_v1,
    to_fields_v1,
    values_of,
)
from deltawire.apiserver.managed.structure import Structure

APPLY = "Apply"
UPDATE = "Update"
# Managers of kind Update that an object keeps apart; the oldest beyond it are joined (API server's figure).
UPDATE_MANAGERS_MAX = 10
ANCIENT = "ancient-changes"
NAME_CHARS_MAX = 128

_UNOWNED = frozenset(("apiVersion", "kind"))
_UNOWNED_METADATA = frozenset(
    (
        "name",
        "namespace",
        "generateName",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "managedFields",
    )
)


@dataclass(frozen=True, slots=True)
class Manager:
    """Who writes, and how: ``operation`` is Apply or Update, ``subresource`` the part it went through."""

    name: str
    operation: str = UPDATE
    api_version: str = ""
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """What one manager owns, and when it last changed what it owns (as the API writes times)."""

    manager: Manager
    paths: frozenset[Path]
    time: str


def entries_of(obj: Tree) -> list[Entry]:
    """The entries stored in an object; entries of another form are dropped."""
    entries = []
    for stored in obj["metadata"].get("managedFields") or ():
        manager = Manager(
            str(stored.get("manager", "")),
            str(stored.get("operation", UPDATE)),
            str(stored.get("apiVersion", "")),
            str(stored.get("subresource", "")),
        )
        paths = frozenset(from_fields_v1(stored.get("fieldsV1")))
        entries.append(Entry(manager, paths, str(stored.get("time", ""))))
    return entries


def write_entries(obj: Tree, entries: list[Entry]) -> None:
    """Put ``entries`` in place of those that ``obj`` has; without any the field goes."""
    metadata = obj["metadata"]
    metadata.pop("managedFields", None)
    stored = [_stored(entry) for entry in entries if entry.paths]
    if stored:
        metadata["managedFields"] = stored


def owned_values(obj: Tree, structure: Structure, *, without_status: bool = False) -> Values:
    """The values that managers can own: not the identity, not what only the server sets."""
    skipped = _UNOWNED | {"status"} if without_status else _UNOWNED
    tree: dict[str, Any] = {name: value for name, value in obj.items() if name not in skipped}
    tree["metadata"] = {
        name: value for name, value in (obj.get("metadata") or {}).items() if name not in _UNOWNED_METADATA
    }
    if not tree["metadata"]:
        del tree["metadata"]
    return values_of(tree, structure)


def after_update(entries: list[Entry], manager: Manager, old: Values, new: Values, now: str) -> list[Entry]:
    """The entries after ``manager`` changed ``old`` into ``new``; the same list if nothing changed hands."""
    changed = {path for path, value in new.items() if path not in old or _differs(old[path], value)}
    gone = {path for path in old if path not in new}
    if not changed and not gone:
        return entries
    lost = changed | gone
    result = []
    own: frozenset[Path] = frozenset()
    for entry in entries:
        if entry.manager == manager:
            own = entry.paths - gone
        else:
            result.append(replace(entry, paths=entry.paths - lost))
    result.append(Entry(manager, own | frozenset(changed), now))
    return _joined([entry for entry in result if entry.paths])


def _differs(old: Any, new: Any) -> bool:
    return old is not new and (old is PRESENT or new is PRESENT or old != new)


def _joined(entries: list[Entry]) -> list[Entry]:
    """At most `UPDATE_MANAGERS_MAX` entries of kind Update: the oldest become one."""
    updates = sorted((e for e in entries if e.manager.operation == UPDATE), key=lambda entry: entry.time)
    surplus = updates[: len(updates) - UPDATE_MANAGERS_MAX + 1] if len(updates) > UPDATE_MANAGERS_MAX else []
    if not surplus:
        return entries
    ancient = Entry(
        replace(surplus[-1].manager, name=ANCIENT),
        frozenset().union(*(entry.paths for entry in surplus)),
        surplus[-1].time,
    )
    return [ancient, *(entry for entry in entries if entry not in surplus)]


def _stored(entry: Entry) -> Tree:
    manager = entry.manager
    stored = {
        "manager": manager.name,
        "operation": manager.operation,
        "apiVersion": manager.api_version,
        "time": entry.time,
        "fieldsType": "FieldsV1",
        "fieldsV1": to_fields_v1(entry.paths),
    }
    if manager.subresource:
        stored["subresource"] = manager.subresource
    return stored
