"""Ownership of the fields of an object that is being written, and server-side apply on stored objects."""

from typing import Any

from deltawire.apiserver.core import failures
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.kinds.types import module_of, struct
from deltawire.apiserver.managed.apply import Conflict, apply, owned_by_config, summary
from deltawire.apiserver.managed.fields import compare
from deltawire.apiserver.managed.managers import (
    Entry,
    Manager,
    after_update,
    entries_of,
    ownable,
    write_entries,
)
from deltawire.apiserver.managed.structure import SchemaStructure, Structure, structure_of_kind
from deltawire.apiserver.schemas.typed import typed
from deltawire.common.errors import StatusError

Tree = dict[str, Any]


def structure_of(resource: Resource) -> Structure:
    if resource.is_custom:
        return SchemaStructure(resource.schema)
    return structure_of_kind(module_of(resource.type.group, resource.type.version), resource.type.kind)


def shaped(resource: Resource, obj: Tree) -> Tree:
    """``obj`` as Go writes a built-in kind: without nulls, with what is always written."""
    if resource.is_custom:
        return obj
    return typed(module_of(resource.type.group, resource.type.version), resource.type.kind, obj)[0]


def _nothing(resource: Resource) -> Tree:
    """An object of that kind in which nothing is set: what a new object is compared with."""
    known = struct(module_of(resource.type.group, resource.type.version), resource.type.kind)
    return known.zero() if known is not None and not resource.is_custom else {}


class Ownership:
    """Records what ``manager`` changes; None (the server itself) leaves the owners as they are."""

    def __init__(self, resource: Resource, manager: Manager | None, now: str) -> None:
        self._resource = resource
        self._manager = manager
        self._now = now

    @property
    def is_of_client(self) -> bool:
        return self._manager is not None and not self._manager.is_trusted

    def write(self, old: Tree | None, new: Tree) -> None:
        """Set managedFields of ``new``, in place. ``old`` is None for a new object."""
        if self._manager is None:
            if old is not None:
                _keep(old, new)
            return
        structure = structure_of(self._resource)
        skips_status = self._resource.has_status and self._manager.subresource != "status"
        before = ownable(_nothing(self._resource) if old is None else old, without_status=skips_status)
        difference = compare(before, ownable(new, without_status=skips_status), structure)
        entries = entries_of(old) if old is not None else []
        # A writer who sends an empty list wants to start afresh; whatever else is sent does not count.
        if old is not None and new["metadata"].get("managedFields") == []:
            entries = []
        changed = after_update(entries, self._manager, difference, self._now)
        if changed is entries and old is not None and entries:
            _keep(old, new)
        else:
            write_entries(new, changed)


class AppliedOwnership(Ownership):
    """The owners as an apply left them."""

    def __init__(self, resource: Resource, manager: Manager, now: str, entries: list[Entry]) -> None:
        super().__init__(resource, manager, now)
        self._entries = entries

    @classmethod
    def of_new(cls, resource: Resource, manager: Manager, now: str, config: Tree) -> "AppliedOwnership":
        """Of an object that the apply creates: everything listed belongs to the manager."""
        paths = owned_by_config(config, structure_of(resource))
        return cls(resource, manager, now, [Entry(manager, paths, now)])

    def write(self, old: Tree | None, new: Tree) -> None:
        if old is not None and set(entries_of(old)) == set(self._entries):
            _keep(old, new)
        else:
            write_entries(new, self._entries)


def checked_configuration(resource: Resource, config: Tree, name: str, subresource: str) -> Tree:
    """What of ``config`` an apply through ``subresource`` writes. Raises StatusError 400."""
    for field in ("apiVersion", "kind"):
        if not config.get(field):
            raise failures.bad_request(
                f"invalid object type: {field} is missing in the applied configuration"
            )
    metadata = config.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise failures.bad_request("metadata must be an object")
    if metadata.get("managedFields") is not None:
        raise failures.bad_request("metadata.managedFields must be nil")
    config = {**config, "metadata": {**metadata, "name": metadata.get("name") or name}}
    if config["metadata"]["name"] != name:
        told = f"the name of the object ({metadata['name']}) does not match the name on the URL ({name})"
        raise failures.bad_request(told)
    if subresource == "status":
        return {key: config[key] for key in ("apiVersion", "kind", "metadata", "status") if key in config}
    if resource.has_status:
        config.pop("status", None)
    return config


def applied_to(
    resource: Resource, live: Tree, config: Tree, manager: Manager, *, now: str, force: bool
) -> tuple[Tree, Ownership]:
    """``live`` after the apply, and its owners. Raises StatusError 409 for conflicts without ``force``."""
    applied = apply(live, config, manager, structure_of(resource), now=now, force=force)
    if applied.conflicts:
        raise _refused(applied.conflicts)
    return shaped(resource, applied.obj), AppliedOwnership(resource, manager, now, applied.entries)


def _refused(conflicts: list[Conflict]) -> StatusError:
    details = {"causes": [conflict.cause for conflict in conflicts]}
    return StatusError(409, "Conflict", summary(conflicts), details=details)


def _keep(old: Tree, new: Tree) -> None:
    new["metadata"].pop("managedFields", None)
    if "managedFields" in old["metadata"]:
        new["metadata"]["managedFields"] = old["metadata"]["managedFields"]
