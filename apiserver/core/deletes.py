"""Deleting: finalizers, preconditions, what an object owns, and the two kinds that hold others.

A deletion with nothing in its way happens at once, that of a pod too where no kubelet is there to stop it
(`Context.stops_pods`); with one the pod is marked, and gone when the kubelet deletes it without grace.
What a namespace holds, and the objects of a removed definition, go before it; what an object owns goes after.
"""

from typing import Any, NamedTuple

import msgspec

from deltawire.apiserver.core import failures
from deltawire.apiserver.core.context import Context
from deltawire.apiserver.core.crds import CLEANUP_FINALIZER, DEFINITIONS, condition
from deltawire.apiserver.core.graceful import grace_s_of, is_stopping, namespace_conditions
from deltawire.apiserver.core.metadata import timestamp
from deltawire.apiserver.core.options import DeleteOptions, parse_version
from deltawire.apiserver.core.ownership import Ownership
from deltawire.apiserver.core.record import Record, encode_record
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.core.waiting import WaitingOwners, finalizers_of
from deltawire.apiserver.managed.managers import Manager
from deltawire.common.errors import StatusError

NAMESPACES = "namespaces"
PODS = "pods"
FOREGROUND, ORPHAN = "foregroundDeletion", "orphan"
_PROPAGATION = {"Foreground": FOREGROUND, "Orphan": ORPHAN}
_COLLECTOR = Manager("kube-controller-manager")
# Deleting these would leave a cluster that no client expects.
PROTECTED_NAMESPACES = ("default", "kube-system", "kube-public")


class Deletion(NamedTuple):
    """What a delete left: the last body (as stored), and whether the object is gone."""

    record: Record
    body: bytes
    is_gone: bool


class Deleter:
    """Removes objects, and what has to go with them."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = context.store
        self._waiting = WaitingOwners(context.store, FOREGROUND)

    def delete(self, resource: Resource, namespace: str, name: str, options: DeleteOptions) -> Deletion:
        """Delete, or mark as being deleted where finalizers hold it. Raises StatusError 403, 404, 409."""
        record = self._context.existing(resource, namespace, name)
        self._check(resource, record, options)
        if options.dry_run:
            return Deletion(record, record.body, is_gone=False)
        finalizer = _PROPAGATION.get(options.propagation, "")
        if finalizer and resource.storage not in (NAMESPACES, DEFINITIONS):
            return self._delete_in_steps(resource, record, finalizer)
        deletion = self._delete(resource, record, orphan=False, grace_s=options.grace_s)
        if resource.storage == DEFINITIONS and deletion.is_gone:
            return deletion._replace(is_gone=False)  # answered as it was when its deletion began
        if resource.storage == PODS and deletion.is_gone:
            return deletion._replace(body=self._as_deleted(resource, deletion))
        return deletion

    def _delete_in_steps(self, resource: Resource, record: Record, finalizer: str) -> Deletion:
        """Foreground and orphaning deletions mark the object first; what it owns is seen to, then it goes."""
        orphan = finalizer == ORPHAN
        if not record.is_terminating:
            obj = record.decode()
            held = [name for name in obj["metadata"].get("finalizers") or () if name != finalizer]
            obj["metadata"]["finalizers"] = [*held, finalizer]
            record = self._mark(resource, self._store.put(resource, obj))
        answer = Deletion(record, record.body, is_gone=False)
        self._release_owned(record.uid, orphan=orphan, in_steps=not orphan)
        if not orphan and self._waiting.is_blocked(record.uid):
            self._waiting.add(resource.storage, record)
        else:
            self._end_steps(resource, record.key, finalizer)
        return answer

    def _end_steps(self, resource: Resource, key: str, finalizer: str) -> None:
        """What the object owned is seen to: the object itself goes, if nothing else holds it."""
        current = self._store.table(resource.storage).records.get(key)
        if current is None:
            return
        obj = current.decode()
        left = [name for name in obj["metadata"].get("finalizers") or () if name != finalizer]
        obj["metadata"].pop("finalizers", None)
        if left:
            obj["metadata"]["finalizers"] = left
        current = self._store.put(resource, obj)
        if not self._is_held(resource, current):
            self._remove(resource, current, orphan=finalizer == ORPHAN)

    def _release_owners(self, record: Record) -> None:
        """Owners that waited for ``record``, which is gone, go as well."""
        for storage, key, uid in self._waiting.freed_by(record):
            resource = self._context.catalogue.of_storage(storage)
            owner = self._store.table(storage).records.get(key)
            if resource is not None and owner is not None and owner.uid == uid:
                self._end_steps(resource, key, FOREGROUND)

    def _as_deleted(self, resource: Resource, deletion: Deletion) -> bytes:
        """A pod that does not run is removed at once; the answer shows the deletion timestamp."""
        obj: dict[str, Any] = msgspec.json.decode(deletion.body)
        metadata = obj["metadata"]
        if "deletionTimestamp" in metadata:
            return deletion.body
        now = timestamp(self._context.now())
        metadata |= {"deletionTimestamp": now, "deletionGracePeriodSeconds": 0}
        metadata["generation"] = metadata.get("generation", 0) + 1
        return encode_record(resource, obj, int(metadata["resourceVersion"])).body

    def finish(self, resource: Resource, record: Record) -> bool:
        """Remove a terminating object if nothing holds it any more; True if it went."""
        if self._is_held(resource, record):
            return False
        self._remove(resource, record, orphan=False)
        return True

    def _delete(
        self, resource: Resource, record: Record, *, orphan: bool, grace_s: int | None = None
    ) -> Deletion:
        if resource.storage == PODS and self._context.stops_pods:
            given_s = grace_s_of(record.decode(), grace_s)
            if given_s:
                marked = self._mark(resource, record, given_s)
                return Deletion(marked, marked.body, is_gone=False)
        if resource.storage in (NAMESPACES, DEFINITIONS) or finalizers_of(record):
            marked = self._mark(resource, record)
            self._empty(resource, marked)
            # Emptying may have removed the object itself, by way of `finish`.
            current = self._store.table(resource.storage).records.get(record.key)
            if current is not None and (current.uid != marked.uid or self._is_held(resource, current)):
                if resource.storage == NAMESPACES:
                    self._tell_what_is_left(resource, current)
                    current = marked  # told later, as by a controller
                return Deletion(current, current.body, is_gone=False)
            if current is None:
                return Deletion(marked, marked.body, is_gone=True)
            record = current
        return Deletion(record, self._remove(resource, record, orphan=orphan), is_gone=True)

    def _check(self, resource: Resource, record: Record, options: DeleteOptions) -> None:
        for what, asked, has, guess in (
            ("UID", options.uid, record.uid, "deleted and then recreated"),
            ("ResourceVersion", options.version, str(record.version), "modified"),
        ):
            if asked and asked != has:
                raise _other(resource, record, what, asked, has, guess)
        parse_version(options.version)
        if resource.storage == NAMESPACES and record.name in PROTECTED_NAMESPACES:
            raise failures.forbidden(resource, record.name, "this namespace may not be deleted")

    def _mark(self, resource: Resource, record: Record, grace_s: int = 0) -> Record:
        """Set deletionTimestamp once; a second delete changes nothing, unless it leaves a pod less time."""
        obj = record.decode()
        if record.is_terminating and not obj["metadata"].get("deletionGracePeriodSeconds", 0) > grace_s:
            return record
        now = timestamp(self._context.now())
        obj["metadata"]["deletionTimestamp"] = timestamp(self._context.now() + grace_s)
        if resource.storage not in (NAMESPACES, DEFINITIONS):
            obj["metadata"]["deletionGracePeriodSeconds"] = grace_s
        if record.is_terminating:
            return self._store.put(resource, obj)
        if resource.has_generation and resource.storage != DEFINITIONS:
            obj["metadata"]["generation"] = obj["metadata"].get("generation", 0) + 1
        if resource.storage == NAMESPACES:
            obj["status"] = {**(obj.get("status") or {}), "phase": "Terminating"}
        elif resource.storage == DEFINITIONS:
            _start_cleanup(obj, now)
        return self._store.put(resource, obj)

    def _empty(self, resource: Resource, record: Record) -> None:
        """Delete what a namespace or a definition holds."""
        if resource.storage == NAMESPACES:
            for storage, table in self._store.tables():
                held = self._context.catalogue.of_storage(storage)
                if held is not None and held.type.namespaced:
                    for key in list(table.keys_of(record.name)):
                        self._delete_if_there(held, key)
        elif resource.storage == DEFINITIONS:
            held = self._context.catalogue.of_storage(record.name)
            if held is not None:
                for key in list(self._store.table(held.storage).keys):
                    self._delete_if_there(held, key)

    def _tell_what_is_left(self, resource: Resource, record: Record) -> None:
        """Write what keeps a namespace from going into its status."""
        left: dict[str, int] = {}
        finalizers: dict[str, int] = {}
        for storage, table in self._store.tables():
            keys = table.keys_of(record.name) if self._is_namespaced(storage) else []
            if keys:
                left[storage] = len(keys)
            for name in (name for key in keys for name in finalizers_of(table.records[key])):
                finalizers[name] = finalizers.get(name, 0) + 1
        obj = record.decode()
        told = namespace_conditions(left, finalizers, timestamp(self._context.now()))
        if [c.get("message") for c in obj["status"].get("conditions") or ()] != [c["message"] for c in told]:
            obj["status"]["conditions"] = told
            self._store.put(resource, obj)

    def _delete_if_there(self, resource: Resource, key: str) -> None:
        record = self._store.table(resource.storage).records.get(key)
        if record is not None and not record.is_terminating:
            self._delete(resource, record, orphan=False)

    def _is_held(self, resource: Resource, record: Record) -> bool:
        if resource.storage == NAMESPACES:
            return bool(finalizers_of(record)) or any(
                table.holds_any_of(record.name)
                for name, table in self._store.tables()
                if self._is_namespaced(name)
            )
        if resource.storage == DEFINITIONS:
            left = [name for name in finalizers_of(record) if name != CLEANUP_FINALIZER]
            return bool(left) or bool(self._store.table(record.name).keys)
        if resource.storage == PODS and self._context.stops_pods and is_stopping(record.decode()):
            return True
        return bool(finalizers_of(record))

    def _is_namespaced(self, storage: str) -> bool:
        resource = self._context.catalogue.of_storage(storage)
        return resource is not None and resource.type.namespaced

    def _remove(self, resource: Resource, record: Record, *, orphan: bool) -> bytes:
        event = self._store.remove(resource.storage, record.key)
        if resource.storage == DEFINITIONS:
            self._context.stop_serving(record.name)
        self._release_owned(record.uid, orphan=orphan)
        self._release_owners(record)
        self._finish_holder(resource, record)
        return event.last_body

    def _release_owned(self, uid: str, *, orphan: bool, in_steps: bool = False) -> None:
        """What only this object owned is deleted; what has other owners, or is orphaned, forgets it.

        ``in_steps``: what it owned goes after what that owns.
        """
        for storage, key in self._store.owned_by(uid):
            resource = self._context.catalogue.of_storage(storage)
            record = self._store.table(storage).records.get(key)
            if resource is None or record is None:
                continue
            if not orphan and record.owners == (uid,):
                if in_steps and not record.is_terminating and self._store.owned_by(record.uid):
                    self._delete_in_steps(resource, record, FOREGROUND)
                else:
                    self._delete_if_there(resource, key)
                continue
            obj = record.decode()
            references = [o for o in obj["metadata"]["ownerReferences"] if o.get("uid") != uid]
            obj["metadata"]["ownerReferences"] = references
            if not references:
                del obj["metadata"]["ownerReferences"]
            # Who set the reference no longer owns it; the collector owns nothing itself.
            Ownership(resource, _COLLECTOR, timestamp(self._context.now())).write(record.decode(), obj)
            self._store.put(resource, obj)

    def _finish_holder(self, resource: Resource, record: Record) -> None:
        """The last object of a terminating namespace or definition takes it along."""
        holders = [(NAMESPACES, f"/{record.namespace}")] if record.namespace else []
        if resource.is_custom:
            holders.append((DEFINITIONS, f"/{resource.storage}"))
        for storage, key in holders:
            holder = self._store.table(storage).records.get(key)
            if holder is not None and holder.is_terminating:
                self.finish(self._context.resource(storage), holder)


def _other(resource: Resource, record: Record, what: str, asked: str, has: str, guess: str) -> StatusError:
    """409: the object is not the one, or not as, the delete means it. It is told by its kind."""
    told = (
        f"the {what} in the precondition ({asked}) does not match the {what} in record ({has}). "
        f"The object might have been {guess}"
    )
    kind = resource.type.kind
    qualified = f"{kind}.{resource.type.group}" if resource.type.group else kind
    message = f'Operation cannot be fulfilled on {qualified} "{record.name}": {told}'
    details = failures.details(resource, record.name) | {"kind": kind}
    return StatusError(409, "Conflict", message, details=details)


def _start_cleanup(obj: dict[str, Any], now: str) -> None:
    finalizers = obj["metadata"].get("finalizers") or []
    if CLEANUP_FINALIZER not in finalizers:
        obj["metadata"]["finalizers"] = [*finalizers, CLEANUP_FINALIZER]
    status = obj["status"] = dict(obj.get("status") or {})
    status["conditions"] = [
        *(c for c in status.get("conditions") or () if c.get("type") != "Terminating"),
        condition(
            "Terminating",
            "True",
            "InstanceDeletionPending",
            "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
            now,
        ),
    ]
