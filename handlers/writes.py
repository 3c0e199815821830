"""What a function writes by its context: patches, applied objects, status, finalizers, owner references.

Not here: which object is meant (``context``), the requests themselves (client/).
"""

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from deltawire.client.errors import is_not_found
from deltawire.client.tools.retry import retry_on_conflict
from deltawire.common.clock import Clock
from deltawire.common.errors import ConfigError, DeltawireError
from deltawire.handlers.reach import Place, Reach, as_tree, kind_of

Tree = dict[str, Any]


def patch(reach: Reach, place: Place, changes: Any, *, patch_type: str, subresource: str) -> Tree:
    """Send a patch; the object as it is stored then."""
    return reach.at(place).patch(place.name, changes, patch_type=patch_type, subresource=subresource)


def apply(reach: Reach, obj: Any, *, field_manager: str, force: bool) -> Tree:
    """Server-side apply; the object as it is stored then."""
    tree = as_tree(obj)
    tree["apiVersion"], tree["kind"] = kind_of(obj, tree)
    place = reach.place_of(tree)
    return reach.at(place).apply(tree, field_manager=field_manager, force=force)


def apply_status(reach: Reach, place: Place, status: Mapping[str, Any], *, field_manager: str) -> Tree:
    """Server-side apply of the status alone: ``field_manager`` owns these fields, and gives up others that it had."""
    tree = {
        "apiVersion": place.resource.api_version,
        "kind": place.resource.kind,
        "metadata": place.metadata,
        "status": dict(status),
    }
    return reach.at(place).apply_status(tree, field_manager=field_manager, force=True)


def owned(child: Any, owner: Mapping[str, Any], api_version: str, kind: str) -> Tree:
    """``child`` with ``owner`` as its controller, which its deletion waits for, and in the owner's namespace.

    Raises ConfigError where another object controls it, or where the API server would not take the owner.
    """
    tree = as_tree(child)
    tree["apiVersion"], tree["kind"] = kind_of(child, tree)
    metadata = tree["metadata"] = dict(tree.get("metadata") or {})
    of = owner["metadata"]
    name, namespace = f"{tree['kind']} {metadata.get('name')}", of.get("namespace") or ""
    if namespace:
        theirs = metadata.setdefault("namespace", namespace)
        if theirs != namespace:
            raise ConfigError(
                f"{name} is in namespace {theirs!r}, its owner {kind} {of['name']} in {namespace!r}",
                hint="an owner is in the same namespace, or in none",
            )
    reference = {
        "apiVersion": api_version,
        "kind": kind,
        "name": of["name"],
        "uid": of["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }
    others = []
    for other in metadata.get("ownerReferences") or []:
        if other.get("uid") == of["uid"]:
            continue
        if other.get("controller"):
            raise ConfigError(f"{name} is controlled by {other.get('kind')} {other.get('name')} already")
        others.append(other)
    metadata["ownerReferences"] = [*others, reference]
    return tree


class Finalizer:
    """A finalizer of one object: while the object has it, the API server keeps the object when it is deleted.

        with ctx.finalizer("example.com/dns") as leaving:
            if leaving:
                dns.remove(host)          # raises: the finalizer stays, the call is tried again

    As a context manager it is added where it is missing, and removed after a block that ended well where the object
    is being deleted: ``leaving`` is true then. Conflicts with other writers are tried again.
    """

    def __init__(
        self, reach: Reach, place: Place, name: str, obj: Mapping[str, Any] | None, clock: Clock
    ) -> None:
        if "/" not in name:
            raise ConfigError(
                f"{name!r} is not the name of a finalizer", hint="it has a domain, as in example.com/cleanup"
            )
        self.name = name
        self._reach = reach
        self._place = place
        self._clock = clock
        metadata = (obj or {}).get("metadata") or {}
        self._is_leaving = obj is None or bool(metadata.get("deletionTimestamp"))
        self._is_set = name in (metadata.get("finalizers") or [])

    @property
    def is_set(self) -> bool:
        """The object has it, as far as is known here."""
        return self._is_set

    @property
    def is_leaving(self) -> bool:
        """The object is being deleted and waits for this finalizer."""
        return self._is_leaving and self._is_set

    def add(self) -> None:
        """Put it on the object; nothing where the object has it, is being deleted, or is gone."""
        if not self._is_set and not self._is_leaving:
            self._is_set = self._write(wanted=True)

    def remove(self) -> None:
        """Take it off the object; nothing where the object does not have it, or is gone."""
        if self._is_set:
            self._write(wanted=False)
            self._is_set = False

    def __enter__(self) -> bool:
        self.add()
        return self.is_leaving

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self.is_leaving:
            self.remove()

    def _write(self, *, wanted: bool) -> bool:
        """True if the object has it afterwards."""
        client = self._reach.at(self._place)

        def once() -> bool:
            metadata = client.get(self._place.name)["metadata"]
            finalizers = list(metadata.get("finalizers") or [])
            if (self.name in finalizers) is wanted or (wanted and metadata.get("deletionTimestamp")):
                return self.name in finalizers
            left = [*finalizers, self.name] if wanted else [f for f in finalizers if f != self.name]
            # With the version that was read: a list in a merge patch replaces what another has added meanwhile.
            version = metadata["resourceVersion"]
            client.patch(self._place.name, {"metadata": {"finalizers": left, "resourceVersion": version}})
            return wanted

        try:
            return retry_on_conflict(once, clock=self._clock)
        except DeltawireError as error:
            if is_not_found(error):
                return False
            raise
