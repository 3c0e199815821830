"""The lines of a watch as bytes: events, bookmarks, failures."""

from collections.abc import Callable

import msgspec

from deltawire.apiserver.core.batches import ADDED, BOOKMARK, DELETED, MODIFIED, Change
from deltawire.apiserver.core.failures import status_of
from deltawire.apiserver.core.resource import Resource
from deltawire.common.errors import StatusError

INITIAL_END_ANNOTATION = "k8s.io/initial-events-end"

_PREFIX = {
    kind: b'{"type":"%s","object":' % kind.encode() for kind in (ADDED, MODIFIED, DELETED, BOOKMARK, "ERROR")
}
_SUFFIX = b"}\n"


class JoinedFrames:
    """Batches as one piece of bytes each. The last one is remembered: all watches that keep up want the same."""

    def __init__(self) -> None:
        self._changes: list[Change] = []
        self._frames = b""

    def of(self, changes: list[Change]) -> bytes:
        if changes is not self._changes:
            self._frames = joined(changes)
            self._changes = changes
        return self._frames


def joined(changes: list[Change], render: Callable[[bytes], bytes] | None = None) -> bytes:
    """The lines of ``changes``; ``render`` turns a stored body into what this client sees."""
    parts: list[bytes] = []
    for kind, body in changes:
        parts += (_PREFIX[kind], body if render is None else render(body), _SUFFIX)
    return b"".join(parts)


def bookmark_frame(resource: Resource, version: int, *, ends_initial: bool = False) -> bytes:
    """A BOOKMARK at ``version``; ``ends_initial`` marks the end of a streaming list."""
    metadata: dict[str, object] = {"resourceVersion": str(version), "creationTimestamp": None}
    if ends_initial:
        metadata["annotations"] = {INITIAL_END_ANNOTATION: "true"}
    kind = resource.type
    bookmark = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata}
    return _PREFIX[BOOKMARK] + msgspec.json.encode(bookmark) + _SUFFIX


def error_frame(error: StatusError) -> bytes:
    """The in-stream form of a failure: an ERROR event that carries a Status."""
    return _PREFIX["ERROR"] + msgspec.json.encode(status_of(error)) + _SUFFIX
