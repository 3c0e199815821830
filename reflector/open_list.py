"""What the broker has been sent of the list under way."""

from deltawire.common.wire.messages.stream import Delta
from deltawire.reflector.action import Begin, Deltas, End, Publication


class OpenList:
    """Gives each list that begins the next generation and counts its items.

    A list begins with the first thing that it brings: one that fails before costs the shards nothing, since
    it is ``begin`` that makes them forget where they could resume.
    """

    def __init__(self) -> None:
        self.version = ""  # of the first page
        self._next_generation = 0
        self._has_begun = False
        self._items = 0

    def reset(self, generation: int = 0) -> None:
        """A new list; ``generation`` is the lowest it may have."""
        self.version = ""
        self._next_generation = max(self._next_generation, generation)
        self._has_begun = False
        self._items = 0

    @property
    def has_begun(self) -> bool:
        """True once `begin` was sent: only a whole list completes the stream again."""
        return self._has_begun

    def items(self, deltas: list[Delta]) -> list[Publication]:
        self._items += sum(delta.type == "R" for delta in deltas)
        begin = self._begin()
        return [*begin, Deltas(deltas, "")] if deltas else begin

    def end(self, version: str) -> list[Publication]:
        publications = [*self._begin(), End(self._next_generation - 1, self._items, version)]
        self.reset()
        return publications

    def _begin(self) -> list[Publication]:
        if self._has_begun:
            return []
        self._has_begun = True
        self._next_generation += 1
        return [Begin(self._next_generation - 1)]
