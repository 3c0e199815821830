"""Groups and their resources, answered from the table. `groups.pyi` beside this file says it method by method."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from deltawire.client import object_client
from deltawire.client.typed import expansions
from deltawire.client.typed.names import nearest
from deltawire.client.typed.table import Row, rows
from deltawire.common.errors import ConfigError

_CLIENTS: dict[str, type[Any]] = {
    "CreateClient": object_client.CreateClient,
    "ObjectClient": object_client.ObjectClient,
    "ScalableClient": expansions.ScalableClient,
    "PodClient": expansions.PodClient,
    "ServiceClient": expansions.ServiceClient,
    "EventClient": expansions.EventClient,
    "NamespaceClient": expansions.NamespaceClient,
    "ServiceAccountClient": expansions.ServiceAccountClient,
}


class GroupVersion:
    """One group and version: a method for each of its resources. ``group_version`` is as in ``apps/v1``.

    Raises ConfigError for one that the models do not know: `DynamicClient` needs no models.
    """

    clients: ClassVar[Mapping[str, type[Any]]] = _CLIENTS

    def __init__(self, rest: Any, group_version: str) -> None:
        """``rest`` as the clients want it."""
        members = next((found for found in rows().values() if _is_of(found, group_version)), ())
        if not members:
            raise ConfigError(f"the installed models have no group and version {group_version!r}")
        self.group_version = group_version
        self._rest = rest
        self._rows = {row.method: row for row in members}
        self._by_plural = {row.resource.plural: row for row in members}

    def resource(self, plural: str, namespace: str = "") -> Any:
        """The client of a resource by its plural. Raises ConfigError for one that is not of this group."""
        row = self._by_plural.get(plural)
        if row is None:
            raise ConfigError(f"{self.group_version} has no resource {plural!r} in the installed models")
        return self.clients[row.client](self._rest, row, namespace if row.resource.namespaced else "")

    def __getattr__(self, name: str) -> Callable[..., Any]:
        row = self.__dict__.get("_rows", {}).get(name)
        if row is None:
            raise AttributeError(_unknown(name, list(self.__dict__.get("_rows", ())), self))
        rest, client = self._rest, self.clients[row.client]
        if row.resource.namespaced:
            return lambda namespace="": client(rest, row, namespace)
        return lambda: client(rest, row)

    def __dir__(self) -> list[str]:
        return sorted([*super().__dir__(), *self._rows])


class Groups:
    """A method for each group and version that the models know: ``apps_v1()``."""

    group_version: ClassVar[type[GroupVersion]] = GroupVersion

    def __init__(self, rest: Any) -> None:
        self.rest = rest

    def __getattr__(self, name: str) -> Callable[[], GroupVersion]:
        if name.startswith("_") or name not in rows():
            raise AttributeError(_unknown(name, [] if name.startswith("_") else list(rows()), self))
        return lambda: self.group_version(self.rest, rows()[name][0].resource.api_version)

    def __dir__(self) -> list[str]:
        return sorted([*super().__dir__(), *rows()])


def _is_of(members: tuple[Row, ...], group_version: str) -> bool:
    return members[0].resource.api_version == group_version


def _unknown(name: str, known: list[str], owner: object) -> str:
    close = nearest(name, known)
    also = f"; did you mean {close!r}?" if close else ""
    return f"{type(owner).__name__!r} has no attribute {name!r}{also}"
