"""The objects of one informer in memory, by key and by index. Many threads read, one writes."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Generic, TypeVar

from deltawire.client.tools.objects import key as key_of_object
from deltawire.client.tools.objects import metadata
from deltawire.common.errors import ConfigError

T = TypeVar("T")

log = logging.getLogger(__name__)

NAMESPACE_INDEX = "namespace"
# Texts under which an object is to be found; none is fine.
IndexFunction = Callable[[T], Iterable[str]]


def by_namespace(obj: object) -> list[str]:
    """The namespace; "" for what is in none."""
    return [metadata(obj, "namespace")]


class Indexer(Generic[T]):
    """A map of ``namespace/name`` (or the bare name) to objects, with indices.

    Objects are not copied: readers must not change them. A list is a snapshot. Index functions run in the writing
    thread. One that raises costs the object its entry in that index, and a log line; client-go ends the process.
    The values an object was indexed under are kept, so that an object changed by mistake corrupts no index.
    """

    def __init__(self, indexers: Mapping[str, IndexFunction[T]] | None = None) -> None:
        self._lock = threading.RLock()
        self._objects: dict[str, T] = {}
        self._functions: dict[str, IndexFunction[T]] = {}
        self._keys: dict[str, dict[str, set[str]]] = {}  # index → value → keys
        self._values: dict[str, dict[str, tuple[str, ...]]] = {}  # index → key → values
        self._version = ""
        self.index_errors = 0
        self.add_indexers(indexers or {})

    # -- reading

    def get(self, obj: T) -> T | None:
        """What is stored under the key of ``obj``, or None."""
        return self.get_by_key(key_of_object(obj))

    def get_by_key(self, key: str) -> T | None:
        return self._objects.get(key)

    def list_keys(self) -> list[str]:
        with self._lock:
            return list(self._objects)

    def index(self, name: str, obj: T) -> list[T]:
        """The objects that share a value of the index ``name`` with ``obj``, each once. Raises ConfigError."""
        with self._lock:
            keys: set[str] = set()
            by_value = self._index(name)
            for value in self._functions[name](obj):
                keys |= by_value.get(value, set())
            return [self._objects[key] for key in keys]

    def by_index(self, name: str, value: str) -> list[T]:
        """The objects that the index ``name`` has under ``value``. Raises ConfigError."""
        with self._lock:
            return [self._objects[key] for key in self._index(name).get(value, ())]

    def index_keys(self, name: str, value: str) -> list[str]:
        """Their keys, sorted. Raises ConfigError."""
        with self._lock:
            return sorted(self._index(name).get(value, ()))

    def list_index_func_values(self, name: str) -> list[str]:
        """All values of an index; [] for one that does not exist, as in client-go."""
        with self._lock:
            return list(self._keys.get(name, ()))

    @property
    def indexers(self) -> dict[str, IndexFunction[T]]:
        with self._lock:
            return dict(self._functions)

    @property
    def resource_version(self) -> str:
        """How far the store is: it trails the watch by what is still in the queue. "" before the first list."""
        return self._version

    def __len__(self) -> int:
        return len(self._objects)

    # -- writing

    def add(self, obj: T) -> None:
        """Store it, whether or not its key is known."""
        key = key_of_object(obj)
        with self._lock:
            self._objects[key] = obj
            for name in self._functions:
                self._file(name, key, obj)

    def update(self, obj: T) -> None:
        """As `add`."""
        self.add(obj)

    def delete(self, obj: T) -> None:
        self.delete_key(key_of_object(obj))

    def delete_key(self, key: str) -> None:
        """Nothing happens where nothing is."""
        with self._lock:
            if self._objects.pop(key, None) is not None:
                for name in self._functions:
                    self._unfile(name, key)

    def replace(self, objects: Iterable[T], resource_version: str = "") -> None:
        """Hold these objects and no others, all at once."""
        found = {key_of_object(obj): obj for obj in objects}
        with self._lock:
            self._objects = found
            self._version = resource_version or self._version
            for name in self._functions:
                self._keys[name], self._values[name] = {}, {}
                for key, obj in found.items():
                    self._file(name, key, obj)

    def set_resource_version(self, version: str) -> None:
        self._version = version

    def add_indexers(self, indexers: Mapping[str, IndexFunction[T]]) -> None:
        """More indices, also of what is stored already. Raises ConfigError for a name that is taken."""
        with self._lock:
            taken = sorted(self._functions.keys() & indexers.keys())
            if taken:
                raise ConfigError(f"there is an index {taken[0]!r} already")
            for name, function in indexers.items():
                self._functions[name] = function
                self._keys[name], self._values[name] = {}, {}
                for key, obj in self._objects.items():
                    self._file(name, key, obj)

    # -- with the lock held

    def _index(self, name: str) -> dict[str, set[str]]:
        found = self._keys.get(name)
        if found is None:
            known = ", ".join(self._functions) or "none"
            raise ConfigError(f"index {name!r} does not exist", hint=f"known: {known}")
        return found

    def _file(self, name: str, key: str, obj: T) -> None:
        try:
            values = tuple(dict.fromkeys(self._functions[name](obj)))
        except Exception as error:
            # The key and no more: an object may hold secrets.
            self.index_errors += 1
            log.error("index %s: its function raised for %s: %s", name, key, type(error).__name__)
            values = ()
        if values == self._values[name].get(key):
            return
        self._unfile(name, key)
        if not values:
            return
        self._values[name][key] = values
        for value in values:
            self._keys[name].setdefault(value, set()).add(key)

    def _unfile(self, name: str, key: str) -> None:
        by_value = self._keys[name]
        for value in self._values[name].pop(key, ()):
            keys = by_value[value]
            keys.discard(key)
            if not keys:
                del by_value[value]  # else values that come and go leak

    # Last, since the name hides the builtin for all that comes after it in the class.
    def list(self) -> list[T]:
        """All objects, in no order."""
        with self._lock:
            return list(self._objects.values())
