"""Listers: the cache as a typed, read-only API. They never ask the server."""

from collections.abc import Callable
from typing import Any, Generic, NoReturn, TypeVar

from deltawire.client.tools.objects import field
from deltawire.common.errors import ConfigError, StatusError
from deltawire.common.meta.resources import ResourceType
from deltawire.common.meta.selectors import parse_label_selector
from deltawire.handlers.freshness import UNKNOWN, Freshness
from deltawire.local.indexer import NAMESPACE_INDEX, Indexer

T = TypeVar("T")


def _nobody() -> Freshness:
    return Freshness(why=f"{UNKNOWN}: no informer keeps this cache")


class NamespaceLister(Generic[T]):
    """The objects of one namespace; "" is all."""

    def __init__(self, indexer: Indexer[T], resource: ResourceType, namespace: str) -> None:
        self._indexer = indexer
        self._resource = resource
        self._namespace = namespace

    def get(self, name: str) -> T:
        """Raises StatusError (NotFound), as the server does."""
        found = self._indexer.get_by_key(f"{self._namespace}/{name}" if self._namespace else name)
        return _not_found(self._resource, name) if found is None else found

    def list(self, label_selector: str = "") -> list[T]:
        """In no order. Raises ConfigError for a selector that cannot be read."""
        if not self._namespace:
            return _selected(self._indexer.list(), label_selector)
        return _selected(self._indexer.by_index(NAMESPACE_INDEX, self._namespace), label_selector)


class Lister(Generic[T]):
    """All objects of an informer. They are the cache's own: read them, copy what you want to change.

    A resource in namespaces has its lister's method, too, as in client-go: ``lister.deployments("default")``.
    """

    def __init__(
        self,
        indexer: Indexer[T],
        resource: ResourceType,
        method: str = "",
        *,
        freshness: Callable[[], Freshness] = _nobody,
    ) -> None:
        self._indexer = indexer
        self._resource = resource
        self._freshness = freshness
        if method and resource.namespaced:
            setattr(self, method, self.in_namespace)

    def in_namespace(self, namespace: str) -> NamespaceLister[T]:
        """client-go's ByNamespace."""
        return NamespaceLister(self._indexer, self._resource, namespace)

    def freshness(self) -> Freshness:
        """``is_fresh``, ``as_of_s``, ``proof_age_s`` and ``why``, as a handler's lister says them."""
        return self._freshness()

    def get(self, name: str) -> T:
        """By name, of what is in no namespace, or by ``namespace/name``. Raises StatusError (NotFound)."""
        found = self._indexer.get_by_key(name)
        return _not_found(self._resource, name.rpartition("/")[2]) if found is None else found

    def list(self, label_selector: str = "") -> list[T]:
        """In no order. Raises ConfigError for a selector that cannot be read."""
        return _selected(self._indexer.list(), label_selector)


def _selected(objects: list[T], label_selector: str) -> list[T]:
    try:
        selector = parse_label_selector(label_selector)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    if selector.is_everything:
        return objects
    return [obj for obj in objects if selector.matches(_labels(obj))]


def _labels(obj: Any) -> dict[str, str]:
    labels: dict[str, str] | None = field(field(obj, "metadata"), "labels")
    return labels or {}


def _not_found(resource: ResourceType, name: str) -> NoReturn:
    details = {"group": resource.group, "kind": resource.plural, "name": name}
    raise StatusError(404, "NotFound", f'{resource.name} "{name}" not found', details=details)
