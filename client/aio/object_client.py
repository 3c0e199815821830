"""One resource's verbs on objects, awaited: `client.object_client` for async code.

Not here: what a verb's request looks like (client/verbs).
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Generic, TypeVar, Unpack

from deltawire.client.aio.request import AsyncRequest
from deltawire.client.aio.rest import AsyncRESTClient
from deltawire.client.aio.watch import AsyncWatch
from deltawire.client.options import (
    ApplyOptions,
    DeleteOptions,
    GetOptions,
    ListOptions,
    PatchOptions,
    WatchOptions,
    WriteOptions,
)
from deltawire.client.pager import (
    PAGE_ITEMS,
    PAGES_MAX,
    PagedList,
    first_page,
    next_page,
    version_of,
    whole_list,
)
from deltawire.client.rest.decode import decoder_of
from deltawire.client.verbs import Target, Verbs
from deltawire.common.errors import CapacityError, StatusError

T = TypeVar("T")
L = TypeVar("L")


class AsyncCaller(Generic[T]):
    """Makes the requests of one resource, in one namespace; "" is all of them."""

    def __init__(self, rest: AsyncRESTClient, target: Target, namespace: str = "") -> None:
        self._rest = rest
        self._target = target
        self._verbs = Verbs(rest.verb, target, namespace)

    async def _object(self, request: AsyncRequest) -> T:
        found: T = (await request.do()).into(self._target.object_type)
        return found


class AsyncCreateClient(AsyncCaller[T]):
    """For resources that can only be created, such as reviews: the answer is in the returned object."""

    async def create(self, obj: T, **options: Unpack[WriteOptions]) -> T:
        """POST. Returns what the server stored. Raises ConfigError, StatusError, TransportError."""
        return await self._object(self._verbs.create(obj, options))


class AsyncPartialClient(AsyncCaller[T], Generic[T, L]):
    """The verbs that need no whole object. Objects are T, lists are L; options and errors are those of
    `client.object_client`."""

    async def get(self, name: str, **options: Unpack[GetOptions]) -> T:
        return await self._object(self._verbs.get(name, options))

    async def list(self, **options: Unpack[ListOptions]) -> L:
        """One answer; with ``limit`` one page, whose ``metadata.continue_`` leads to the next."""
        found: L = (await self._verbs.list(options).do()).into(self._target.list_type)
        return found

    async def list_all(
        self, *, page_size: int = PAGE_ITEMS, **options: Unpack[ListOptions]
    ) -> PagedList[Any]:
        """Everything, asked for in pages; as a whole where a page's token has expired on the way."""
        items: list[Any] = []
        first: Any = None
        pages = 0
        try:
            async for page in self._pages(page_size, options):
                first = first if first is not None else page
                items += page.items
                pages += 1
        except StatusError as error:
            if first is None or error.reason != "Expired":
                raise
            whole: Any = await self.list(**whole_list({**options}))
            return PagedList(list(whole.items), version_of(whole), whole, 1)
        return PagedList(items, version_of(first), first, pages)

    async def each(self, *, page_size: int = PAGE_ITEMS, **options: Unpack[ListOptions]) -> AsyncIterator[T]:
        """The objects one by one, with one page in memory at any time."""
        async for page in self._pages(page_size, options):
            for item in page.items:
                yield item

    async def _pages(self, page_size: int, options: ListOptions) -> AsyncIterator[Any]:
        wanted = first_page({**options}, page_size)
        for _ in range(PAGES_MAX):
            page: Any = await self.list(**wanted)
            yield page
            following = next_page(wanted, page)
            if following is None:
                return
            wanted = following
        raise CapacityError(f"a list has more than {PAGES_MAX} pages")

    def watch(self, *, read_timeout_s: float | None = None, **options: Unpack[WatchOptions]) -> AsyncWatch[T]:
        """Changes from ``resource_version`` on, as they happen; without one first what there is, as ADDED.

        It opens when it is used: ``async with pods.watch() as watch: async for event in watch``.
        ``read_timeout_s`` bounds silence; without it a watch may be silent for as long as TCP finds the peer
        alive, or 30 s longer than its ``timeout_s``.
        """
        kind: Any = self._target.object_type
        return AsyncWatch(self._verbs.watch(options, read_timeout_s).stream, decoder_of(kind))

    async def patch(
        self,
        name: str,
        patch: Any,
        *,
        patch_type: str = "merge",
        subresource: str = "",
        **options: Unpack[PatchOptions],
    ) -> T:
        """``patch_type`` is ``json``, ``merge``, ``strategic`` or ``apply``; ``patch`` what msgspec encodes."""
        return await self._object(self._verbs.patch(name, patch, patch_type, subresource, options))

    async def delete(self, name: str, **options: Unpack[DeleteOptions]) -> None:
        """Ask for the deletion; finalizers and grace may let the object live on for a while."""
        await self._verbs.delete(name, options).do()

    async def delete_collection(
        self, *, delete_options: DeleteOptions | None = None, **options: Unpack[ListOptions]
    ) -> None:
        """Delete all that the selectors name: without selectors, everything of the namespace."""
        await self._verbs.delete_collection(delete_options, options).do()


class AsyncObjectClient(AsyncPartialClient[T, L], AsyncCreateClient[T], Generic[T, L]):
    """All verbs."""

    async def update(self, obj: T, **options: Unpack[WriteOptions]) -> T:
        """PUT under the object's own name; its resourceVersion, if set, guards against lost updates (409)."""
        return await self._object(self._verbs.update(obj, options))

    async def update_status(self, obj: T, **options: Unpack[WriteOptions]) -> T:
        """As `update`, for the status alone."""
        return await self._object(self._verbs.update(obj, options, self._verbs.has("status")))

    async def apply(
        self, obj: T | Mapping[str, Any], *, field_manager: str, force: bool = False,
        **options: Unpack[ApplyOptions],
    ) -> T:  # fmt: skip
        """Server-side apply: ``field_manager`` owns the fields that ``obj`` has, and no others."""
        return await self._object(self._verbs.apply(obj, "", field_manager, force, options))

    async def apply_status(
        self, obj: T | Mapping[str, Any], *, field_manager: str, force: bool = False,
        **options: Unpack[ApplyOptions],
    ) -> T:  # fmt: skip
        """As `apply`, for the status alone."""
        status = self._verbs.has("status")
        return await self._object(self._verbs.apply(obj, status, field_manager, force, options))
