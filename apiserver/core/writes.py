"""Creating and changing objects: what is checked, what the server sets, when nothing is written."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any, NamedTuple

from deltawire.apiserver.core import failures, metadata
from deltawire.apiserver.core.admission import Admission, quality_of_service
from deltawire.apiserver.core.checks import check_change, check_content, check_status
from deltawire.apiserver.core.context import Context
from deltawire.apiserver.core.crds import complete_definition
from deltawire.apiserver.core.custom import OnUnknown, complete_custom
from deltawire.apiserver.core.defaults import fill_in
from deltawire.apiserver.core.deletes import Deleter
from deltawire.apiserver.core.marks import check_marks
from deltawire.apiserver.core.options import parse_version
from deltawire.apiserver.core.ownership import (
    AppliedOwnership,
    Ownership,
    applied_to,
    checked_configuration,
    shaped,
)
from deltawire.apiserver.core.parts import part_taken
from deltawire.apiserver.core.record import Record, encode_record
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.kinds.types import module_of, struct, zero_of
from deltawire.apiserver.managed.managers import Manager
from deltawire.apiserver.schemas.typed import typed
from deltawire.common.errors import StatusError

Tree = dict[str, Any]
# What webhooks make of an object before it is stored, in the version that is served.
Admit = Callable[[Tree], Tree]

_GENERATE_ATTEMPTS = 8
_IDENTITY = ("name", "namespace", "uid", "creationTimestamp", "resourceVersion", "managedFields")


class Write(NamedTuple):
    """Options of one write: the owner of its fields, whether it is stored, the callback for unknown fields."""

    ownership: Ownership
    is_dry: bool = False
    on_unknown: OnUnknown | None = None
    subresource: str = ""
    admit: Admit | None = None


class Writer:
    """Create, update and patch. Every method raises StatusError for what the API refuses."""

    def __init__(self, context: Context, deleter: Deleter) -> None:
        self._context = context
        self._store = context.store
        self._deleter = deleter
        self._admission = Admission(context.store, context.now)

    def create(
        self,
        resource: Resource,
        namespace: str,
        obj: dict[str, Any],
        *,
        dry_run: bool = False,
        manager: Manager | None = None,
        on_unknown: OnUnknown | None = None,
        admit: Admit | None = None,
    ) -> Record:
        """Store a new object and return its record; a dry run returns one without version.

        ``manager`` becomes the owner of its fields; without one nobody does. ``on_unknown`` hears of fields
        that a custom resource's schema does not know; they are dropped.
        """
        obj = metadata.checked_shape(resource, obj)
        write = Write(Ownership(resource, manager, self._now), dry_run, on_unknown, admit=admit)
        return self._create(resource, namespace, obj, write)

    def update(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        obj: dict[str, Any],
        *,
        subresource: str = "",
        dry_run: bool = False,
        manager: Manager | None = None,
        on_unknown: OnUnknown | None = None,
        admit: Admit | None = None,
    ) -> Record:
        """Replace an object, or only its part under ``subresource``. What changes nothing is not written."""
        write = Write(Ownership(resource, manager, self._now), dry_run, on_unknown, admit=admit)
        return self._update(resource, namespace, name, obj, subresource, write)

    def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        apply: Callable[[dict[str, Any]], Any],
        *,
        subresource: str = "",
        dry_run: bool = False,
        manager: Manager | None = None,
        on_unknown: OnUnknown | None = None,
        admit: Admit | None = None,
    ) -> Record:
        """Update with what ``apply`` makes of the stored object (in the version that is served)."""
        patched = apply(_as_served(resource, self._context.existing(resource, namespace, name)))
        return self.update(
            resource,
            namespace,
            name,
            patched,
            subresource=subresource,
            dry_run=dry_run,
            manager=manager,
            on_unknown=on_unknown,
            admit=admit,
        )

    def apply(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        config: dict[str, Any],
        manager: Manager,
        *,
        force: bool,
        dry_run: bool = False,
        on_unknown: OnUnknown | None = None,
        admit: Admit | None = None,
    ) -> tuple[Record, bool]:
        """Server-side apply: the record, and whether the object is new. Raises StatusError 409 for conflicts."""
        config = checked_configuration(resource, config, name, manager.subresource)
        key = f"{namespace}/{name}" if resource.type.namespaced else f"/{name}"
        stored = self._store.table(resource.storage).records.get(key)
        if stored is None:
            if manager.subresource:
                raise failures.not_found(resource, name)
            if config["metadata"].get("uid"):
                why = (
                    f"uid mismatch: the provided object specified uid {config['metadata']['uid']}, and no existing "
                    "object was found"
                )
                raise failures.conflict(resource, name, why)
            own: Ownership = AppliedOwnership.of_new(resource, manager, self._now, config)
            obj = shaped(resource, metadata.checked_shape(resource, config))
            return self._create(resource, namespace, obj, Write(own, dry_run, on_unknown, admit=admit)), True
        obj, own = applied_to(
            resource, _as_served(resource, stored), config, manager, now=self._now, force=force
        )
        write = Write(own, dry_run, on_unknown, admit=admit)
        return self._update(resource, namespace, name, obj, manager.subresource, write), False

    def rewrite(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        change: Callable[[dict[str, Any]], dict[str, Any]],
        *,
        dry_run: bool = False,
    ) -> Record:
        """Change a stored object in any of its parts, its status included, on behalf of the server itself."""
        stored = self._context.existing(resource, namespace, name)
        write = Write(Ownership(resource, None, self._now), dry_run)
        changed = shaped(resource, change(stored.decode()))
        # What the server does itself is not what somebody asks for: the generation stays.
        return self._replace(resource, stored, stored.decode(), changed, write)

    @property
    def _now(self) -> str:
        return metadata.timestamp(self._context.now())

    def _create(self, resource: Resource, namespace: str, obj: dict[str, Any], write: Write) -> Record:
        meta = obj["metadata"]
        has_version = bool(meta.pop("resourceVersion", ""))
        metadata.check_namespace(resource, meta, namespace)
        self._name(resource, meta)
        self._check_namespace_takes_content(resource, namespace, meta["name"])
        there = self._store.table(resource.storage).records.get(f"{namespace}/{meta['name']}")
        if there is not None and not has_version:
            raise failures.already_exists(resource, meta["name"], is_terminating=there.is_terminating)
        for name in ("deletionTimestamp", "deletionGracePeriodSeconds"):
            meta.pop(name, None)
        meta["uid"] = self._context.new_uid()
        meta["creationTimestamp"] = self._now
        if resource.has_generation:
            meta["generation"] = 1
        if resource.has_status and not resource.takes_status_on_create:
            _reset_status(resource, obj)
        self._complete(resource, obj, write.on_unknown)
        write.ownership.write(None, obj)
        obj = _as_stored(resource, obj)
        self._admission.on_create(resource, obj)
        obj = self._admitted(resource, obj, write)
        self._check(resource, None, obj, write)
        if write.is_dry and there is not None:
            raise failures.already_exists(resource, meta["name"], is_terminating=there.is_terminating)
        if write.is_dry:
            return encode_record(resource, obj, 0)
        if has_version:  # found by the storage: after what is wrong with the object, and not in a dry run
            raise failures.unnamed("resourceVersion should not be set on objects to be created")
        record = self._store.put(resource, obj)
        self._context.after_write(resource, obj)
        return record

    def _update(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        obj: dict[str, Any],
        subresource: str,
        write: Write,
    ) -> Record:
        stored = self._context.existing(resource, namespace, name)
        old = _as_served(resource, stored)
        obj = metadata.checked_shape(resource, obj)
        self._check_identity(resource, stored, obj["metadata"], namespace, name)
        obj = part_taken(resource, old, obj, subresource)
        return self._replace(resource, stored, old, obj, write._replace(subresource=subresource))

    def _replace(
        self,
        resource: Resource,
        stored: Record,
        old: dict[str, Any],
        obj: dict[str, Any],
        write: Write,
    ) -> Record:
        meta, old_meta = obj["metadata"], old["metadata"]
        metadata.keep_identity(meta, old_meta)
        added = set(meta.get("finalizers") or ()) - set(old_meta.get("finalizers") or ())
        if stored.is_terminating and added:
            why = f"Forbidden: no new finalizers can be added if the object is being deleted: {sorted(added)}"
            raise failures.invalid(
                resource, stored.name, failures.cause("metadata.finalizers", why, "FieldValueForbidden")
            )
        self._complete(resource, obj, write.on_unknown, write.subresource, old)
        meta["resourceVersion"] = old_meta["resourceVersion"]
        old["apiVersion"] = obj["apiVersion"]
        write.ownership.write(old, obj)
        obj, old = _as_stored(resource, obj), _as_stored(resource, old)
        self._admission.on_update(resource, old, obj)
        obj = self._admitted(resource, obj, write, old)
        self._check(resource, old, obj, write)
        is_asked = write.ownership.is_of_client or resource.storage != "pods"
        if resource.has_generation and is_asked and metadata.differs_outside_status(resource, old, obj):
            obj["metadata"]["generation"] = old_meta.get("generation", 0) + 1
        if obj == old:
            return stored
        if write.is_dry:
            return encode_record(resource, obj, stored.version)
        record = self._store.put(resource, obj)
        self._context.after_write(resource, obj)
        if record.is_terminating:
            self._deleter.finish(resource, record)
        return record

    def _admitted(self, resource: Resource, obj: Tree, write: Write, old: Tree | None = None) -> Tree:
        """What webhooks make of it, complete again. Who an object is they cannot change."""
        if write.admit is None:
            return obj
        meta = obj["metadata"]
        changed = write.admit(in_served_version(resource, deepcopy(obj)))
        if not resource.is_custom:
            kind = resource.type
            changed = typed(module_of(kind.group, kind.version), kind.kind, changed)[0]
        changed["metadata"] |= {name: meta[name] for name in _IDENTITY if name in meta}
        self._complete(resource, changed, write.on_unknown, write.subresource, old)
        return _as_stored(resource, changed)

    def _check(self, resource: Resource, old: Tree | None, obj: Tree, write: Write) -> None:
        """Clients are held to all rules, the server's own writes to the first ones only."""
        if write.subresource == "resize" and old is not None:
            from deltawire.apiserver.rules.pods import quality_change

            causes = list(
                quality_change(*(quality_of_service(tree.get("spec") or {}) for tree in (old, obj)))
            )
            if causes:
                raise failures.invalid(resource, obj["metadata"]["name"], *causes)
        if write.subresource == "status" and old is not None and write.ownership.is_of_client:
            check_status(resource, old, obj)
        if resource.is_custom or write.subresource:
            return
        is_client = write.ownership.is_of_client
        check_content(resource, old, obj, is_client=is_client)
        if is_client:
            self._admission.check(resource, old, obj)
            if old is not None:
                check_change(resource, old, obj)

    def _name(self, resource: Resource, meta: dict[str, Any]) -> None:
        if meta.get("name") or not meta.get("generateName"):
            metadata.check_name(resource, meta.get("name") or "")
            return
        records = self._store.table(resource.storage).records
        for _ in range(_GENERATE_ATTEMPTS):
            meta["name"] = metadata.generated_name(meta["generateName"], self._context.choice)
            metadata.check_name(resource, meta["name"])
            if f"{meta.get('namespace', '')}/{meta['name']}" not in records:
                return

    def _complete(
        self,
        resource: Resource,
        obj: dict[str, Any],
        on_unknown: OnUnknown | None,
        subresource: str = "",
        old: dict[str, Any] | None = None,
    ) -> None:
        check_marks(resource, obj["metadata"])
        fill_in(resource.storage, obj)
        if resource.is_custom:
            complete_custom(resource, obj, on_unknown, subresource, old)
        if resource.storage == "customresourcedefinitions.apiextensions.k8s.io":
            complete_definition(resource, obj, metadata.timestamp(self._context.now()))

    def _check_namespace_takes_content(self, resource: Resource, namespace: str, name: str) -> None:
        if not resource.type.namespaced:
            return
        record = self._context.existing(self._context.namespaces, "", namespace)
        if record.is_terminating:
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            cause = {
                "reason": "NamespaceTerminating",
                "message": f"namespace {namespace} is being terminated",
                "field": "metadata.namespace",
            }
            raise failures.forbidden(resource, name, why, cause=cause)

    def _check_identity(
        self, resource: Resource, stored: Record, meta: dict[str, Any], namespace: str, name: str
    ) -> None:
        metadata.check_namespace(resource, meta, namespace)
        if not meta.get("name"):
            told = f"the name of the object ({name} based on URL) was undeterminable: name must be provided"
            raise failures.bad_request(told)
        if meta["name"] != name:
            raise failures.bad_request(
                f"the name of the object ({meta['name']}) does not match the name on the URL ({name})"
            )
        if (meta.get("uid") or stored.uid) != stored.uid:
            why = (
                f"StorageError: invalid object, Code: 4, Key: /registry/{resource.type.plural}/"
                f"{f'{namespace}/' if namespace else ''}{name}, ResourceVersion: 0, AdditionalErrorMsg: Precondition "
                f"failed: UID in precondition: {meta['uid']}, UID in object meta: {stored.uid}"
            )
            raise failures.conflict(resource, name, why)
        version = parse_version(meta.get("resourceVersion") or "", "")
        if version and version != stored.version:
            raise failures.conflict(resource, name)
        if not version and (resource.needs_version_on_update or resource.is_custom):
            told = "Invalid value: 0: must be specified for an update"
            refused = failures.invalid(resource, name, failures.cause("metadata.resourceVersion", told))
            # The text names the resource, not its kind.
            kind, plural = resource.type.kind, resource.type.plural
            details = {**(refused.details or {}), "kind": plural}
            raise StatusError(422, "Invalid", refused.message.replace(kind, plural, 1), details=details)


def _as_served(resource: Resource, record: Record) -> dict[str, Any]:
    """A stored object as a tree in the version that is served."""
    return in_served_version(resource, record.decode())


def in_served_version(resource: Resource, tree: Tree) -> Tree:
    """A tree of the stored version in the one that is served; it may be changed."""
    if resource.conversion is not None:
        tree = resource.conversion.to_served(tree)
    tree["apiVersion"], tree["kind"] = resource.type.api_version, resource.type.kind
    return tree


def _reset_status(resource: Resource, obj: dict[str, Any]) -> None:
    """A new object has an empty status, whatever was sent."""
    obj.pop("status", None)
    if resource.is_custom:
        return
    known = struct(module_of(resource.type.group, resource.type.version), resource.type.kind)
    if known is not None and "status" in known.fields:
        obj["status"] = zero_of(known.fields["status"].type)


def _as_stored(resource: Resource, obj: dict[str, Any]) -> dict[str, Any]:
    if resource.conversion is None:
        return obj
    kind = resource.conversion.type
    return typed(module_of(kind.group, kind.version), kind.kind, resource.conversion.to_stored(dict(obj)))[0]
