"""metadata.managedFields: one entry for each manager, with the fields it owns.

An update makes its manager the only owner of changed fields. An apply makes its manager an owner, together with
others that hold the same value.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from deltawire.apiserver.managed.fields import Difference, Path, Tree, from_fields_v1, to_fields_v1

APPLY = "Apply"
UPDATE = "Update"
# Managers of kind Update that an object keeps apart; the oldest beyond it are joined (API server's figure).
UPDATE_MANAGERS_MAX = 10
ANCIENT = "ancient-changes"
NAME_CHARS_MAX = 128

_UNOWNED = frozenset(("apiVersion", "kind"))
# The place itself has no owner; its content can have one.
_METADATA: Path = ("f:metadata",)
_UNOWNED_METADATA = frozenset(
    (
        "name",
        "namespace",
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
    """A writer: ``operation`` is Apply or Update, ``subresource`` the part it went through.

    What the server itself writes in its own name is trusted: it is not held to the rules for clients.
    """

    name: str
    operation: str = UPDATE
    api_version: str = ""
    subresource: str = ""
    is_trusted: bool = field(default=False, compare=False)


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


def ownable(obj: Tree, *, without_status: bool = False) -> Tree:
    """What managers can own of an object: not its identity, not what only the server sets."""
    skipped = _UNOWNED | {"status"} if without_status else _UNOWNED
    tree: dict[str, Any] = {name: value for name, value in obj.items() if name not in skipped}
    metadata = obj.get("metadata") or {}
    tree["metadata"] = {name: value for name, value in metadata.items() if name not in _UNOWNED_METADATA}
    if not tree["metadata"]:
        del tree["metadata"]
    return tree


def after_update(entries: list[Entry], manager: Manager, difference: Difference, now: str) -> list[Entry]:
    """The entries after ``manager`` made that ``difference``; the same list if nothing changed hands."""
    changed = (difference.added | difference.modified) - {_METADATA}
    gone = difference.removed
    if not changed and not gone:
        return entries
    lost = changed | gone
    result = []
    before: Entry | None = None
    for entry in entries:
        if entry.manager == manager:
            before = entry
        else:
            result.append(replace(entry, paths=entry.paths - lost))
    own = ((before.paths if before is not None else frozenset()) - gone) | changed
    is_same = before is not None and own == before.paths
    result.append(Entry(manager, own, before.time if before is not None and is_same else now))
    return in_order(_joined([entry for entry in result if entry.paths]))


def in_order(entries: list[Entry]) -> list[Entry]:
    """As the API lists them: applies first, then by time and name."""
    return sorted(
        entries,
        key=lambda e: (
            e.manager.operation,
            e.time,
            e.manager.name,
            e.manager.api_version,
            e.manager.subresource,
        ),
    )


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
