"""One resource's verbs on objects: what client-go generates per type, once for all.

Typed, dynamic and metadata clients differ in their `Target`: what the objects are decoded as, and what is asked of
the server.

Not here: what a verb's request looks like (``verbs``), the same awaited (client/aio).
"""

from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar, Unpack

from deltawire.client.options import (
    ApplyOptions,
    DeleteOptions,
    GetOptions,
    ListOptions,
    PatchOptions,
    WatchOptions,
    WriteOptions,
)
from deltawire.client.pager import PAGE_ITEMS, ListPager, PagedList
from deltawire.client.rest.client import RESTClient
from deltawire.client.rest.decode import decoder_of
from deltawire.client.rest.request import Request
from deltawire.client.rest.watch import Watch
from deltawire.client.verbs import Target, Verbs, name_of, to_mapping

__all__ = ["CreateClient", "ObjectClient", "PartialClient", "Target", "name_of", "to_mapping"]

T = TypeVar("T")
L = TypeVar("L")


class Caller(Generic[T]):
    """Makes the requests of one resource, in one namespace; "" is all of them."""

    def __init__(self, rest: RESTClient, target: Target, namespace: str = "") -> None:
        self._rest = rest
        self._target = target
        self._verbs = Verbs(rest.verb, target, namespace)

    def _object(self, request: Request) -> T:
        found: T = request.do().into(self._target.object_type)
        return found


class CreateClient(Caller[T]):
    """For resources that can only be created, such as reviews: the answer is in the returned object."""

    def create(self, obj: T, **options: Unpack[WriteOptions]) -> T:
        """POST. Returns what the server stored. Raises ConfigError, StatusError, TransportError."""
        return self._object(self._verbs.create(obj, options))


class PartialClient(Caller[T], Generic[T, L]):
    """The verbs that need no whole object: read, watch, patch, delete. Objects are T, lists are L.

    Options are keyword arguments (client/options). All methods raise ConfigError for a call that cannot be
    meant, StatusError and TransportError; ask client/errors what a StatusError means. Safe to use from many
    threads.
    """

    def get(self, name: str, **options: Unpack[GetOptions]) -> T:
        return self._object(self._verbs.get(name, options))

    def list(self, **options: Unpack[ListOptions]) -> L:
        """One answer; with ``limit`` one page, whose ``metadata.continue_`` leads to the next."""
        found: L = self._verbs.list(options).do().into(self._target.list_type)
        return found

    def list_all(self, *, page_size: int = PAGE_ITEMS, **options: Unpack[ListOptions]) -> PagedList[Any]:
        """Everything, asked for in pages."""
        return ListPager[Any](self.list, page_size=page_size).list(**options)

    def each(self, *, page_size: int = PAGE_ITEMS, **options: Unpack[ListOptions]) -> Iterator[T]:
        """The objects one by one, with few pages in memory at any time."""
        return ListPager[Any](self.list, page_size=page_size).each_item(**options)

    def watch(self, *, read_timeout_s: float | None = None, **options: Unpack[WatchOptions]) -> Watch[T]:
        """Changes from ``resource_version`` on, as they happen; without one first what there is, as ADDED.

        ``read_timeout_s`` bounds silence; without it a watch may be silent for as long as TCP finds the peer
        alive, or 30 s longer than its ``timeout_s``.
        """
        kind: Any = self._target.object_type
        return Watch(self._verbs.watch(options, read_timeout_s).stream(), decoder_of(kind))

    def patch(
        self,
        name: str,
        patch: Any,
        *,
        patch_type: str = "merge",
        subresource: str = "",
        **options: Unpack[PatchOptions],
    ) -> T:
        """``patch_type`` is ``json``, ``merge``, ``strategic`` or ``apply``; ``patch`` what msgspec encodes."""
        return self._object(self._verbs.patch(name, patch, patch_type, subresource, options))

    def delete(self, name: str, **options: Unpack[DeleteOptions]) -> None:
        """Ask for the deletion; finalizers and grace may let the object live on for a while."""
        self._verbs.delete(name, options).do()

    def delete_collection(
        self, *, delete_options: DeleteOptions | None = None, **options: Unpack[ListOptions]
    ) -> None:
        """Delete all that the selectors name: without selectors, everything of the namespace."""
        self._verbs.delete_collection(delete_options, options).do()


class ObjectClient(PartialClient[T, L], CreateClient[T], Generic[T, L]):
    """All verbs."""

    def update(self, obj: T, **options: Unpack[WriteOptions]) -> T:
        """PUT under the object's own name; its resourceVersion, if set, guards against lost updates (409)."""
        return self._object(self._verbs.update(obj, options))

    def update_status(self, obj: T, **options: Unpack[WriteOptions]) -> T:
        """As `update`, for the status alone."""
        return self._object(self._verbs.update(obj, options, self._verbs.has("status")))

    def apply(
        self, obj: T | Mapping[str, Any], *, field_manager: str, force: bool = False,
        **options: Unpack[ApplyOptions],
    ) -> T:  # fmt: skip
        """Server-side apply: ``field_manager`` owns the fields that ``obj`` has, and no others.

        ``obj`` is an object, a mapping or an apply configuration. A field that another manager owns is a
        conflict (409) unless ``force`` takes it.
        """
        return self._object(self._verbs.apply(obj, "", field_manager, force, options))

    def apply_status(
        self, obj: T | Mapping[str, Any], *, field_manager: str, force: bool = False,
        **options: Unpack[ApplyOptions],
    ) -> T:  # fmt: skip
        """As `apply`, for the status alone."""
        status = self._verbs.has("status")
        return self._object(self._verbs.apply(obj, status, field_manager, force, options))
