"""What a function writes by its context: patches, applied objects, status, finalizers, owner references.

Not here: which object is meant (``context``), the requests themselves (client/).
"""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any

from deltawire.client.errors import is_not_found
from deltawire.client.tools.retry import retry_on_conflict
from deltawire.common.clock import Clock
from deltawire.common.errors import ConfigError, DeltawireError
from deltawire.handlers.reach import Place, Reach, as_tree, kind_of

Tree = dict[str, Any]


def patch(
    reach: Reach, place: Place, changes: Any, *, patch_type: str, subresource: str, field_manager: str
) -> Tree:
    """Send a patch; the object as it is stored then."""
    return reach.at(place).patch(
        place.name, changes, patch_type=patch_type, subresource=subresource, field_manager=field_manager
    )


def apply(reach: Reach, obj: Any, *, field_manager: str, force: bool) -> Tree:
    """Server-side apply; the object as it is stored then."""
    place, tree = applied(reach, obj)
    return reach.at(place).apply(tree, field_manager=field_manager, force=force)


def applied(reach: Reach, obj: Any) -> tuple[Place, Tree]:
    """Where ``obj`` is to be applied, and what. May ask the API server for the resource of a kind."""
    tree = as_tree(obj)
    tree["apiVersion"], tree["kind"] = kind_of(obj, tree)
    return reach.place_of(tree), tree


def apply_status(reach: Reach, place: Place, status: Mapping[str, Any], *, field_manager: str) -> Tree:
    """Server-side apply of the status alone: ``field_manager`` owns these fields, and gives up others that it had."""
    return reach.at(place).apply_status(status_tree(place, status), field_manager=field_manager, force=True)


def status_tree(place: Place, status: Mapping[str, Any]) -> Tree:
    """An object with nothing but its identity and its status."""
    return {
        "apiVersion": place.resource.api_version,
        "kind": place.resource.kind,
        "metadata": place.metadata,
        "status": dict(status),
    }


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


class FinalizerState:
    """A finalizer of one object, as far as is known here."""

    def __init__(self, name: str, obj: Mapping[str, Any] | None, field_manager: str) -> None:
        """``field_manager``: under whose name it is written. Raises ConfigError for what is no name of a finalizer."""
        if "/" not in name:
            raise ConfigError(
                f"{name!r} is not the name of a finalizer", hint="it has a domain, as in example.com/cleanup"
            )
        self.name = name
        self._field_manager = field_manager
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

    @property
    def _may_add(self) -> bool:
        return not self._is_set and not self._is_leaving

    def _change(self, metadata: Mapping[str, Any], *, wanted: bool) -> Tree | None:
        """The patch that puts it on the object, or takes it off; None where nothing is to be done."""
        finalizers = list(metadata.get("finalizers") or [])
        if (self.name in finalizers) is wanted or (wanted and metadata.get("deletionTimestamp")):
            return None
        left = [*finalizers, self.name] if wanted else [f for f in finalizers if f != self.name]
        # With the version that was read: a list in a merge patch replaces what another has added meanwhile.
        return {"metadata": {"finalizers": left, "resourceVersion": metadata["resourceVersion"]}}


class Finalizer(FinalizerState):
    """A finalizer of one object: while the object has it, the API server keeps the object when it is deleted.

        with ctx.finalizer("example.com/dns") as leaving:
            if leaving:
                dns.remove(host)          # raises: the finalizer stays, the call is tried again

    As a context manager it is added where it is missing, and removed after a block that ended well where the object
    is being deleted: ``leaving`` is true then. Conflicts with other writers are tried again.
    """

    def __init__(
        self,
        reach: Reach,
        place: Place,
        name: str,
        obj: Mapping[str, Any] | None,
        clock: Clock,
        field_manager: str,
    ) -> None:
        super().__init__(name, obj, field_manager)
        self._reach = reach
        self._place = place
        self._clock = clock

    def add(self) -> None:
        """Put it on the object; nothing where the object has it, is being deleted, or is gone."""
        if self._may_add:
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
            change = self._change(metadata, wanted=wanted)
            if change is None:
                return self.name in (metadata.get("finalizers") or [])
            client.patch(self._place.name, change, field_manager=self._field_manager)
            return wanted

        try:
            return retry_on_conflict(once, clock=self._clock)
        except DeltawireError as error:
            if is_not_found(error):
                return False
            raise


class AsyncFinalizer(FinalizerState):
    """As `Finalizer`, awaited: ``async with ctx.finalizer("example.com/dns") as leaving``."""

    def __init__(
        self,
        reach: Reach,
        find: Callable[[], Place],
        name: str,
        obj: Mapping[str, Any] | None,
        field_manager: str,
    ) -> None:
        """``find`` may ask the API server for the object's resource."""
        super().__init__(name, obj, field_manager)
        self._reach = reach
        self._find = find

    async def add(self) -> None:
        """Put it on the object; nothing where the object has it, is being deleted, or is gone."""
        if self._may_add:
            self._is_set = await self._write(wanted=True)

    async def remove(self) -> None:
        """Take it off the object; nothing where the object does not have it, or is gone."""
        if self._is_set:
            await self._write(wanted=False)
            self._is_set = False

    async def __aenter__(self) -> bool:
        await self.add()
        return self.is_leaving

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None and self.is_leaving:
            await self.remove()

    async def _write(self, *, wanted: bool) -> bool:
        """True if the object has it afterwards."""
        import asyncio  # most handlers are not async, and need not pay for it

        from deltawire.client.aio.retry import retry_on_conflict as retry_conflicts

        place = await asyncio.to_thread(self._find)
        client = self._reach.aio_at(place)

        async def once() -> bool:
            metadata = (await client.get(place.name))["metadata"]
            change = self._change(metadata, wanted=wanted)
            if change is None:
                return self.name in (metadata.get("finalizers") or [])
            await client.patch(place.name, change, field_manager=self._field_manager)
            return wanted

        try:
            return await retry_conflicts(once)
        except DeltawireError as error:
            if is_not_found(error):
                return False
            raise
