"""What a work queue reports of itself."""

from dataclasses import dataclass
from typing import Protocol


class QueueMetrics(Protocol):
    """Called at each step with the queue's lock held: it must be quick and must not call back.

    client-go's workqueue_* metrics are these and the two figures of `Running`.
    """

    def depth(self, items: int) -> None:
        """So many items need work (those in work that were added again included)."""
        ...

    def added(self) -> None:
        """An item was taken; collapsed adds do not count."""
        ...

    def waited(self, seconds: float) -> None:
        """A worker got an item, ``seconds`` after its first add."""
        ...

    def worked(self, seconds: float) -> None:
        """A worker was done with an item."""
        ...

    def retried(self) -> None:
        """An item was added with a delay."""
        ...

    def discarded(self, items: int) -> None:
        """So many items were given up because the queue is shutting down."""
        ...


class NoMetrics:
    """Drops all reports."""

    def depth(self, items: int) -> None: ...

    def added(self) -> None: ...

    def waited(self, seconds: float) -> None: ...

    def worked(self, seconds: float) -> None: ...

    def retried(self) -> None: ...

    def discarded(self, items: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Running:
    """The work under way, as of now. client-go refreshes these two by a thread of their own; here they are
    reckoned when somebody asks."""

    items: int
    unfinished_s: float  # the ages of all items in work, added up
    longest_s: float  # the age of the oldest of them
