"""Long lists page by page: client-go's ``tools/pager``.

``ListPager(pods.list).each_item(label_selector="app=web")`` iterates over any number of objects with a bounded
number of them in memory.
"""

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from deltawire.common.errors import CapacityError, ConfigError, StatusError, TransportError

T = TypeVar("T")
P = TypeVar("P", bound="ListAnswer")

PAGE_ITEMS = 500
PAGES_BUFFERED_MAX = 10
# A server that hands out continue tokens for ever is given up.
PAGES_MAX = 1_000_000


class ListMeta(Protocol):
    """What is read of a list's metadata; both typed lists and unstructured ones have it."""

    @property
    def continue_(self) -> str | None: ...

    @property
    def resourceVersion(self) -> str | None: ...  # noqa: N802 - the API's name, as the models have it


class ListAnswer(Protocol):
    """One answer to a list."""

    @property
    def items(self) -> Any: ...

    @property
    def metadata(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class PagedList(Generic[P]):
    """All items and the version at which they were read. ``first`` is the server's first answer, whole."""

    items: list[Any]
    resource_version: str
    first: P
    pages: int

    @property
    def is_paginated(self) -> bool:
        return self.pages > 1


class ListPager(Generic[P]):
    """Asks ``list_page(**options)`` for one page after the other.

    With ``full_list_if_expired`` a list whose continue token expired on the way is asked for again as a whole.
    ``stop`` ends it before the next page with TransportError.
    """

    def __init__(
        self,
        list_page: Callable[..., P],
        *,
        page_size: int = PAGE_ITEMS,
        pages_buffered_max: int = PAGES_BUFFERED_MAX,
        full_list_if_expired: bool = True,
        stop: threading.Event | None = None,
    ) -> None:
        if page_size < 0 or pages_buffered_max < 1:
            raise ConfigError("a pager needs a page size of 0 or more, and room for a page or more")
        self._list_page = list_page
        self._page_size = page_size
        self._pages_buffered_max = pages_buffered_max
        self._full_list_if_expired = full_list_if_expired
        self._stop = stop

    def list(self, **options: Any) -> PagedList[P]:
        """Everything. Raises what ``list_page`` raises; an expiry on the first page is final."""
        items: list[Any] = []
        first: P | None = None
        pages = 0
        try:
            for page in self._pages(options):
                first = first if first is not None else page
                items += page.items
                pages += 1
        except StatusError as error:
            # Only Expired, and only after page one: the caller handles Gone and a first page that expired.
            if first is None or error.reason != "Expired" or not self._full_list_if_expired:
                raise
            whole = self._list_page(**whole_list(options))
            return PagedList(list(whole.items), version_of(whole), whole, 1)
        if first is None:
            raise TransportError("the server gave no page at all", reason="garbage")
        return PagedList(items, version_of(first), first, pages)

    def each_item(self, **options: Any) -> Iterator[Any]:
        """The items one by one, while at most ``pages_buffered_max`` further pages are fetched ahead.

        A failure is raised after the items that came before it; there is no full list instead.
        Leaving the iteration ends the fetching.
        """
        ahead: queue.Queue[P | BaseException | None] = queue.Queue(self._pages_buffered_max)
        done = threading.Event()

        def fetch() -> None:
            try:
                for page in self._pages(options):
                    ahead.put(page)
                    if done.is_set():
                        return
                ahead.put(None)
            except Exception as error:
                ahead.put(error)

        threading.Thread(target=fetch, name="pager", daemon=True).start()
        try:
            while (page := ahead.get()) is not None:
                if isinstance(page, BaseException):
                    raise page
                yield from page.items
        finally:
            done.set()
            # One that waits for room finds it, sees that it is over, and goes.
            while not ahead.empty():
                ahead.get_nowait()

    def _pages(self, options: dict[str, Any]) -> Iterator[P]:
        wanted = first_page(options, self._page_size)
        for _ in range(PAGES_MAX):
            if self._stop is not None and self._stop.is_set():
                raise TransportError("stopped before the next page of a list")
            page = self._list_page(**wanted)
            yield page
            following = next_page(wanted, page)
            if following is None:
                return
            wanted = following
        raise CapacityError(f"a list has more than {PAGES_MAX} pages")


def first_page(options: dict[str, Any], page_size: int) -> dict[str, Any]:
    """The options of the first page."""
    return {**options, "limit": options.get("limit") or page_size}


def next_page(wanted: dict[str, Any], page: ListAnswer) -> dict[str, Any] | None:
    """The options of the page behind ``page``, which was asked for with ``wanted``; None: it was the last."""
    token = page.metadata.continue_ if page.metadata is not None else None
    if not token:
        return None
    # Servers refuse a version beside a token, which holds it already.
    versions = ("resource_version", "resource_version_match")
    return {**{name: value for name, value in wanted.items() if name not in versions}, "continue_": token}


def whole_list(options: dict[str, Any]) -> dict[str, Any]:
    """The options of everything in one answer: where a continue token has expired on the way."""
    return {**options, "limit": 0, "continue_": ""}


def version_of(page: ListAnswer) -> str:
    """The version of a list, "" where it says none."""
    return (page.metadata.resourceVersion or "") if page.metadata is not None else ""
