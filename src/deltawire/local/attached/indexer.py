"""The cache of a pipeline as an `Indexer` to read: by mmap, or by asking the workers."""

from collections.abc import Callable, Iterable
from typing import Any, Generic, NoReturn, TypeVar

from deltawire.client.tools.objects import key as key_of_object
from deltawire.client.tools.objects import metadata
from deltawire.common.errors import ConfigError, DeltawireError
from deltawire.handlers.lister import CachedObject, Lister
from deltawire.local.indexer import NAMESPACE_INDEX

T = TypeVar("T")


class ReadOnlyError(DeltawireError):
    """Only the pipeline's workers write a cache."""


class AttachedIndexer(Generic[T]):
    """Each call reads what is stored then, and decodes objects of its own: they may be changed.

    A long list is not a snapshot. All methods that read raise TransportError while the cache cannot be reached.
    """

    def __init__(self, lister: Callable[[], Lister], decode: Callable[[bytes], T], indexes: Iterable[str]) -> None:
        self._lister = lister
        self._decode = decode
        self._indexes = [NAMESPACE_INDEX, *(name for name in indexes if name != NAMESPACE_INDEX)]

    def get(self, obj: T) -> T | None:
        """What is stored under the key of ``obj``, or None."""
        return self.get_by_key(key_of_object(obj))

    def get_by_key(self, key: str) -> T | None:
        """By ``namespace/name``, or the bare name."""
        found = self._lister().get_key(key)
        return None if found is None else self._decode(found.raw)

    def list_keys(self) -> list[str]:
        return self._lister().keys()

    def index(self, name: str, obj: T) -> list[T]:
        """Only of `namespace`: what a pipeline's other indexes are made of is known to its workers."""
        if name != NAMESPACE_INDEX:
            raise ConfigError(
                f"the values of index {name!r} are the pipeline's to know", hint="use by_index(name, value)"
            )
        return self.by_index(name, str(metadata(obj, "namespace")))

    def by_index(self, name: str, value: str) -> list[T]:
        """The objects that the index ``name`` has under ``value``. Raises ConfigError."""
        return self._read(self._found(name, value))

    def index_keys(self, name: str, value: str) -> list[str]:
        """Their keys, sorted. Raises ConfigError."""
        return sorted(one.key for one in self._found(name, value))

    @property
    def indexers(self) -> dict[str, Any]:
        """The names of the pipeline's indexes; their functions are not here."""
        return dict.fromkeys(self._indexes)

    @property
    def resource_version(self) -> str:
        """"": a cache of several shards has one for each."""
        return ""

    def __len__(self) -> int:
        return len(self.list_keys())

    def add(self, obj: T) -> NoReturn:
        """Raises ReadOnlyError, as all that would write."""
        raise ReadOnlyError("the cache is the pipeline's: only its workers write it")

    update = delete = delete_key = replace = add_indexers = add

    def _found(self, name: str, value: str) -> list[CachedObject]:
        if name not in self._indexes:
            raise ConfigError(f"index {name!r} does not exist", hint=f"known: {', '.join(self._indexes)}")
        if name == NAMESPACE_INDEX:
            return self._lister().list(value)
        return self._lister().by_index(name, value)

    def _read(self, found: Iterable[CachedObject]) -> list[T]:
        return [self._decode(one.raw) for one in found]

    # Last, since the name hides the builtin for all that comes after it in the class.
    def list(self) -> list[T]:
        """All objects, in no order."""
        return self._read(self._lister().list())
