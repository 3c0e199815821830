"""Objects and lists without a class, and their way to typed ones and back. Pure."""

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from deltawire.client.rest.decode import convert
from deltawire.common.errors import ConfigError

T = TypeVar("T")

Unstructured = dict[str, Any]


class ListMeta(msgspec.Struct, omit_defaults=True):
    """Named as in the models: ``continue_`` is the wire's ``continue``."""

    resourceVersion: str | None = None  # noqa: N815 - the API's name
    continue_: str | None = msgspec.field(default=None, name="continue")
    remainingItemCount: int | None = None  # noqa: N815 - the API's name


class UnstructuredList(msgspec.Struct, omit_defaults=True):
    """A server's list; ``items`` are dicts."""

    apiVersion: str = ""  # noqa: N815 - the API's name
    kind: str = ""
    metadata: ListMeta = msgspec.field(default_factory=ListMeta)
    items: list[Unstructured] = []


def from_unstructured(obj: Mapping[str, Any] | UnstructuredList, object_type: type[T]) -> T:
    """A typed object (``Pod``) or list (``PodList``) from an unstructured one. Raises ConfigError with the field."""
    plain = msgspec.to_builtins(obj) if isinstance(obj, UnstructuredList) else obj
    try:
        found: T = convert(plain, object_type)
    except msgspec.ValidationError as error:
        raise ConfigError(f"this is no {object_type.__name__}: {error}") from None
    return found


def to_unstructured(obj: Any) -> Unstructured:
    """A typed object as a dict, as it would travel: without what is not set. Raises ConfigError."""
    try:
        plain = msgspec.to_builtins(obj)
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError(f"{type(obj).__name__} cannot be written as JSON: {error}") from None
    if not isinstance(plain, dict):
        raise ConfigError(f"{type(obj).__name__} is not an object of an API")
    return plain


def nested_field(obj: Mapping[str, Any], *path: str) -> Any:
    """What lies at ``path`` (``"spec", "replicas"``); None where nothing does."""
    found: Any = obj
    for key in path:
        if not isinstance(found, Mapping):
            return None
        found = found.get(key)
    return found
