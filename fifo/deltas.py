"""What travels through a queue of deltas: the words of client-go as values."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from deltawire.common.errors import DeltawireError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class DeltaType(StrEnum):
    """What happened to an object. Added and Updated are the watch's word, not the store's: a consumer
    decides add or update by what it holds."""

    ADDED = "Added"
    UPDATED = "Updated"
    DELETED = "Deleted"
    REPLACED = "Replaced"  # named by a list: new or changed or the same
    SYNC = "Sync"  # replayed from the local store


@dataclass(frozen=True, slots=True)
class Tombstone(Generic[T]):
    """A deletion that was noticed late, client-go's DeletedFinalStateUnknown.

    ``obj`` is the last state known, perhaps stale; None where nothing is left of it.
    """

    key: str
    obj: T | None


@dataclass(frozen=True, slots=True)
class Delta(Generic[T]):
    """One change of one object. ``obj`` is a `Tombstone` only in a Deleted delta."""

    type: DeltaType
    obj: T | Tombstone[T]


class Deltas(tuple[Delta[T], ...]):
    """The pending changes of one key, oldest first. A snapshot: the queue never touches it again."""

    __slots__ = ()

    @property
    def oldest(self) -> Delta[T] | None:
        return self[0] if self else None

    @property
    def newest(self) -> Delta[T] | None:
        return self[-1] if self else None


class KnownObjects(Protocol[T_co]):
    """What the consumer already holds: the few methods of a store that the queue asks.

    A lookup that raises is taken for "cannot tell", which never drops a deletion.
    """

    def list_keys(self) -> Iterable[str]: ...

    def get_by_key(self, key: str) -> T_co | None:
        """The object, None if there is none."""
        ...


# Gets an object on its way in, returns what is queued; may change it in place.
Transform = Callable[[T], T]

# Gets the deltas of one key and whether they are part of the first list. What it returns is ignored.
Process = Callable[[Deltas[T], bool], object]


class ObjectKeyError(DeltawireError):
    """No key can be computed for ``obj``; the reason is the ``__cause__``."""

    def __init__(self, obj: object, cause: Exception) -> None:
        super().__init__(f"no key can be computed for a {type(obj).__name__}: {cause}")
        self.obj = obj


class FIFOClosed(DeltawireError):
    """The queue is closed and nothing is left in it."""

    def __init__(self) -> None:
        super().__init__("the queue is closed and empty")
