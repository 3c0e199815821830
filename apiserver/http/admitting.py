"""Writes on their way past webhooks and policies: worked out, shown, changed, and only then done."""

from collections.abc import Callable
from typing import Any

from deltawire.apiserver.access.authorizer import Authorizer
from deltawire.apiserver.admission.attempt import CREATE, DELETE, UPDATE, Attempt
from deltawire.apiserver.admission.dispatcher import Dispatcher, Patch
from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.record import Record
from deltawire.apiserver.core.writes import in_served_version
from deltawire.apiserver.http.asked import Asked
from deltawire.apiserver.http.converting import Converting
from deltawire.apiserver.http.shown_parts import shown

Tree = dict[str, Any]
# ``write(dry_run=…, admit=…)`` gives the record that is there then.
Write = Callable[..., Any]
_OPTIONS = {CREATE: "CreateOptions", UPDATE: "UpdateOptions", DELETE: "DeleteOptions"}
# What a webhook sees of an object that is not there yet.
_NOT_YET = ("uid", "creationTimestamp", "generation", "resourceVersion")


class Admitting:
    """Without any admission configuration a write is done at once, at no extra cost."""

    def __init__(self, core: ApiCore, converting: Converting, authorizer: Authorizer) -> None:
        self._core = core
        self._settle = converting.settle
        self._dispatcher = Dispatcher(core, authorizer)

    async def written(
        self, asked: Asked, write: Write, record_of: Callable[[Any], Record] = lambda record: record
    ) -> Any:
        """The outcome of ``write``, in which ``record_of`` finds the record. Raises StatusError for a refusal.

        The caller keeps a generated name in ``write``: see `named`.
        """
        if not self._dispatcher.is_wanted(asked.resource):
            return await self._settle(lambda: write(dry_run=asked.is_dry_run))
        before = self._before(asked)
        planned = record_of(await self._settle(lambda: write(dry_run=True)))
        attempt = await self._settle(lambda: self._attempt(asked, planned, before, is_first=True))
        patches = await self._dispatcher.mutate(attempt, asked.warnings)
        admit = _applying(patches)
        if admit is not None:
            planned = record_of(await self._settle(lambda: write(dry_run=True, admit=admit)))
        attempt = await self._settle(lambda: self._attempt(asked, planned, before))
        await self._dispatcher.validate(attempt, asked.warnings)
        return await self._settle(lambda: write(dry_run=asked.is_dry_run, admit=admit))

    def is_wanted(self, asked: Asked) -> bool:
        """Whether anybody may want to see writes of this resource."""
        return self._dispatcher.is_wanted(asked.resource)

    async def check_deletion(self, asked: Asked, record: Record) -> None:
        """Raises StatusError if the deletion of ``record`` is refused."""
        if self._dispatcher.is_wanted(asked.resource):
            attempt = await self._settle(lambda: self._attempt(asked, None, record))
            await self._dispatcher.mutate(attempt, asked.warnings)
            await self._dispatcher.validate(attempt, asked.warnings)

    async def check_part(self, asked: Asked, verb: str) -> None:
        """Raises StatusError if a request for a scale, an eviction, a binding or a connection is refused.

        What mutating webhooks would change of it is not taken: a warning says so.
        """
        if not self._dispatcher.is_wanted(asked.resource):
            return
        seen = await shown(self._core, asked, verb)
        if seen is None:
            return
        attempt = Attempt(
            asked.resource,
            seen.operation,
            asked.user,
            options={"kind": _OPTIONS.get(seen.operation, ""), "apiVersion": "meta.k8s.io/v1"}
            if seen.operation in _OPTIONS
            else {},
            namespace=asked.path.namespace,
            name=asked.path.name,
            subresource=asked.path.subresource,
            is_dry_run=asked.is_dry_run,
            obj=seen.obj,
            old=seen.old,
        )
        for patch in await self._dispatcher.mutate(attempt, asked.warnings):
            told = (
                f'what admission webhook "{patch.webhook}" changes of {asked.path.subresource} is not taken'
            )
            asked.warnings.append(told)
        await self._dispatcher.validate(attempt, asked.warnings)

    async def name(self, asked: Asked, obj: Any, write: Write) -> None:
        """Give a new object the name that webhooks are shown, where the server makes it up."""
        metadata = obj.get("metadata") if isinstance(obj, dict) else None
        if not isinstance(metadata, dict) or metadata.get("name") or not metadata.get("generateName"):
            return
        if self._dispatcher.is_wanted(asked.resource):
            metadata["name"] = (await self._settle(lambda: write(dry_run=True))).name

    def _before(self, asked: Asked) -> Record | None:
        if not asked.path.name or not self._core.exists(
            asked.resource, asked.path.name, asked.path.namespace
        ):
            return None
        return self._core.get(asked.resource, asked.path.name, asked.path.namespace)

    def _attempt(
        self, asked: Asked, planned: Record | None, before: Record | None, *, is_first: bool = False
    ) -> Attempt:
        operation = DELETE if planned is None else CREATE if before is None else UPDATE
        known = planned or before
        obj = None if planned is None else in_served_version(asked.resource, planned.decode())
        if obj is not None and operation == CREATE and is_first:
            obj["metadata"] = {k: v for k, v in obj["metadata"].items() if k not in _NOT_YET}
            obj["metadata"]["creationTimestamp"] = None
        kind = "PatchOptions" if asked.request.method == "PATCH" else _OPTIONS[operation]
        return Attempt(
            asked.resource,
            operation,
            asked.user,
            options={"kind": kind, "apiVersion": "meta.k8s.io/v1"},
            namespace=known.namespace if known is not None else asked.path.namespace,
            name=known.name if known is not None else asked.path.name,
            subresource=asked.path.subresource,
            is_dry_run=asked.is_dry_run,
            obj=obj,
            old=None if before is None else in_served_version(asked.resource, before.decode()),
        )


def _applying(patches: list[Patch]) -> Callable[[Tree], Tree] | None:
    if not patches:
        return None

    def admit(obj: Tree) -> Tree:
        for patch in patches:
            obj = patch.apply(obj)
        return obj

    return admit
