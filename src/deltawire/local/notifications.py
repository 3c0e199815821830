"""The notifications that handlers get, and the forms of a handler."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from deltawire.fifo.deltas import Tombstone

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Added(Generic[T]):
    obj: T
    is_in_initial_list: bool


@dataclass(frozen=True, slots=True)
class Updated(Generic[T]):
    old: T
    new: T


@dataclass(frozen=True, slots=True)
class Deleted(Generic[T]):
    """``obj`` is a `Tombstone` where a list showed the deletion, and not the watch."""

    obj: T | Tombstone[T]


Notification = Added[T] | Updated[T] | Deleted[T]


class ResourceEventHandler(Protocol[T_contra]):
    """A handler as an object: client-go's ResourceEventHandler."""

    def on_add(self, obj: T_contra, is_in_initial_list: bool) -> object: ...

    def on_update(self, old: T_contra, new: T_contra) -> object: ...

    def on_delete(self, obj: T_contra | Tombstone[T_contra]) -> object: ...


class HandlerFuncs(Generic[T]):
    """A handler of up to three functions; what has none is passed over."""

    def __init__(
        self,
        on_add: Callable[[T], object] | None = None,
        on_update: Callable[[T, T], object] | None = None,
        on_delete: Callable[[T | Tombstone[T]], object] | None = None,
    ) -> None:
        self._on_add = on_add
        self._on_update = on_update
        self._on_delete = on_delete

    def on_add(self, obj: T, is_in_initial_list: bool) -> None:
        if self._on_add is not None:
            self._on_add(obj)

    def on_update(self, old: T, new: T) -> None:
        if self._on_update is not None:
            self._on_update(old, new)

    def on_delete(self, obj: T | Tombstone[T]) -> None:
        if self._on_delete is not None:
            self._on_delete(obj)


class FilteringHandler(Generic[T]):
    """Passes on what ``accepts`` accepts: an update into the selection is an add, out of it a deletion.

    For a `Tombstone` ``accepts`` gets the last known object. One without an object is passed on.
    """

    def __init__(self, accepts: Callable[[T], bool], handler: ResourceEventHandler[T]) -> None:
        self._accepts = accepts
        self._handler = handler

    def on_add(self, obj: T, is_in_initial_list: bool) -> None:
        if self._accepts(obj):
            self._handler.on_add(obj, is_in_initial_list)

    def on_update(self, old: T, new: T) -> None:
        was, is_now = self._accepts(old), self._accepts(new)
        if was and is_now:
            self._handler.on_update(old, new)
        elif is_now:
            self._handler.on_add(new, False)
        elif was:
            self._handler.on_delete(old)

    def on_delete(self, obj: T | Tombstone[T]) -> None:
        known = obj.obj if isinstance(obj, Tombstone) else obj
        if known is None or self._accepts(known):
            self._handler.on_delete(obj)


def name_of_handler(handler: object) -> str:
    """How a handler is called in logs and status: its function's or its class's name."""
    if isinstance(handler, FilteringHandler):
        return name_of_handler(handler._handler)
    if isinstance(handler, HandlerFuncs):
        for function in (handler._on_add, handler._on_update, handler._on_delete):
            if function is not None:
                return getattr(function, "__qualname__", type(function).__name__).replace("<locals>.", "")
    return type(handler).__qualname__.replace("<locals>.", "")
