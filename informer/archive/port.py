"""Where a shard's records are kept: an append-only log that refuses whoever is not up to date."""

from typing import Protocol

from deltawire.common.errors import CapacityError
from deltawire.informer.store.trouble import OwnerLost


class FencedError(OwnerLost):
    """Somebody else has written since: another worker owns the shard by now."""


class ArchiveUnavailable(CapacityError):
    """The archive does not answer. What was to be written may be there or not. It is tried again."""


class ShardArchive(Protocol):
    """The log of one shard. Revisions rise with each entry, not always by 1. All may raise `ArchiveUnavailable`."""

    def read(self) -> list[tuple[int, bytes]]:
        """All entries with their revisions, oldest first, up to the newest when it was asked."""
        ...

    def tail(self) -> tuple[int, bytes] | None:
        """The newest entry; None if there is none."""
        ...

    def append(self, data: bytes, after: int) -> int:
        """Write behind revision ``after`` (0: the log is empty), and wait until it is kept. Its revision.

        Raises FencedError if the newest entry is another one.
        """
        ...

    def drop_before(self, revision: int) -> None:
        """Entries before this one are of no more use. It may be that they are there for a while."""
        ...

    def close(self) -> None: ...
