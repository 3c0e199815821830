"""The objects of a `testing.Harness`: what its functions find in caches, and what waits for a later time.

Not here: calling functions (``testing``).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from deltawire.common.errors import StateError
from deltawire.common.meta.jsonpath import Path
from deltawire.common.meta.keys import key_of
from deltawire.handlers.lister import ShardSource


class StoredObject(NamedTuple):
    """An object as the harness keeps it."""

    key: str
    uid: str
    version: str
    object: bytes


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event that comes again at ``due_s`` of the harness' clock."""

    due_s: float
    kind: str
    stored: StoredObject
    old: bytes | None
    attempt: int


class OneShard:
    """The harness' objects of a resource, as the only shard of its cache."""

    def __init__(self, objects: dict[str, StoredObject], indexes: dict[str, str]) -> None:
        self._objects = objects
        self._indexes = indexes
        self.shards = 1

    def source(self, shard: int) -> ShardSource:
        return self

    def get(self, key: str) -> StoredObject | None:
        return self._objects.get(key)

    def page(self, prefix: str, after: str, limit: int) -> tuple[list[StoredObject], str]:
        return self._sorted(o for o in self._objects.values() if o.key.startswith(prefix)), ""

    def index_page(self, name: str, value: str, after: str, limit: int) -> tuple[list[StoredObject], str]:
        if name not in self._indexes:
            raise StateError(f"there is no index {name!r}", hint="declare it: Handler(…, indexes={…})")
        path = Path.parse(self._indexes[name])
        found = (o for o in self._objects.values() if value in path.find(msgspec.json.decode(o.object)))
        return self._sorted(found), ""

    def _sorted(self, objects: Iterable[StoredObject]) -> list[StoredObject]:
        return sorted(objects, key=lambda stored: stored.key)


def as_stored(obj: dict[str, Any], version: str) -> StoredObject:
    """``version`` is for an object that has none."""
    metadata = obj.get("metadata", {})
    key = key_of(metadata.get("namespace", ""), metadata["name"])
    return StoredObject(
        key,
        metadata.get("uid") or f"uid-{key}",
        metadata.get("resourceVersion") or version,
        msgspec.json.encode(obj),
    )


def resource_among(candidates: Iterable[str], group: str, kind: str) -> str:
    """The one custom resource of ``candidates`` that a kind can be, "" if there is none or several.

    Its group is the kind's, and its plural begins as the kind does: ``websites.example.com`` for a Website.
    """
    stem = kind.lower().removesuffix("y")
    found = {
        name for name in candidates if name.partition(".")[2] == group and name.partition(".")[0].startswith(stem)
    }
    return found.pop() if len(found) == 1 and kind else ""
