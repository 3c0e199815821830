"""Informers by group, version and resource, answered from the typed clients' table. `groups.pyi` beside this file
says it method by method."""

import functools
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar

from deltawire.client.typed.names import nearest
from deltawire.client.typed.table import Row, rows
from deltawire.local.informer import SharedIndexInformer
from deltawire.local.listers import Lister

T = TypeVar("T")
L = TypeVar("L")

# In the answer to a name that is like no other.
_NAMES_SHOWN_MAX = 5


class Informers(Protocol):
    """Makes the informer of a row at the first call, and gives the same one after that."""

    def __call__(self, row: Row) -> SharedIndexInformer[Any]: ...


class ResourceInformer(Generic[T, L]):
    """A factory's informer of one resource, which is made when it or its lister is asked for."""

    def __init__(self, informers: Informers, row: Row) -> None:
        self._informers = informers
        self._row = row

    def informer(self) -> SharedIndexInformer[Any]:
        return self._informers(self._row)

    def lister(self) -> Any:
        informer = self.informer()
        return Lister(
            informer.get_indexer(), self._row.resource, self._row.method, freshness=informer.freshness
        )


class VersionInformers:
    """One group and version: a method for each of its resources."""

    def __init__(self, informers: Informers, members: Mapping[str, Row]) -> None:
        self._informers = informers
        self._members = members

    def __getattr__(self, name: str) -> Callable[[], ResourceInformer[Any, Any]]:
        row = _found(name, self.__dict__.get("_members", {}), self)
        return lambda: ResourceInformer(self._informers, row)

    def __dir__(self) -> list[str]:
        return sorted([*super().__dir__(), *self._members])


class GroupInformers:
    """One group: a method for each of its versions."""

    def __init__(self, informers: Informers, versions: Mapping[str, Mapping[str, Row]]) -> None:
        self._informers = informers
        self._versions = versions

    def __getattr__(self, name: str) -> Callable[[], VersionInformers]:
        members = _found(name, self.__dict__.get("_versions", {}), self)
        return lambda: VersionInformers(self._informers, members)

    def __dir__(self) -> list[str]:
        return sorted([*super().__dir__(), *self._versions])


class InformerGroups:
    """A method for each group that the models know: ``apps().v1().deployments()``."""

    def __init__(self, informers: Informers) -> None:
        self._informers = informers

    def __getattr__(self, name: str) -> Callable[[], GroupInformers]:
        versions = _found(name, {} if name.startswith("_") else watchable(), self)
        return lambda: GroupInformers(self._informers, versions)

    def __dir__(self) -> list[str]:
        return sorted([*super().__dir__(), *watchable()])


@functools.cache
def watchable() -> Mapping[str, Mapping[str, Mapping[str, Row]]]:
    """Group → version → method → row of all that can be watched: not of what is only created, like reviews."""
    found: dict[str, dict[str, dict[str, Row]]] = {}
    for accessor, members in rows().items():
        group, _, version = accessor.rpartition("_")
        kept = {row.method: row for row in members if row.client != "CreateClient"}
        if kept:
            found.setdefault(group, {})[version] = kept
    return MappingProxyType(found)


def _found(name: str, known: Mapping[str, T], owner: object) -> T:
    found = known.get(name)
    if found is not None:
        return found
    close = nearest(name, known)
    also = f"; did you mean {close!r}?" if close else ""
    if not also and 0 < len(known) <= _NAMES_SHOWN_MAX:
        also = f"; there is {', '.join(known)}"
    raise AttributeError(f"{type(owner).__name__!r} has no attribute {name!r}{also}")
