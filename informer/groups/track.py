"""How far a group is in the numbered changes of its shard (pure)."""

from collections import deque

from deltawire.informer.groups.state import from_ranges, to_ranges


class Track:
    """Everything up to ``position`` is acknowledged or parked; up to ``cursor`` it was scanned.

    ``order``: what was scanned above the position, in order. ``done``: what of it, or beyond it, is acknowledged or
    parked. ``has_moved``: the group's row says something else.
    """

    __slots__ = ("cursor", "done", "has_moved", "order", "position")

    def __init__(self, position: int, done: list[int]) -> None:
        """``done`` as ranges, as on disk."""
        self.position = self.cursor = position
        self.order: deque[int] = deque()
        self.done = from_ranges(done)
        self.has_moved = False

    def is_done(self, seq: int) -> bool:
        """True if the change is acknowledged or parked."""
        return seq <= self.position or seq in self.done

    def meet(self, seq: int) -> None:
        """The scan came to a change, which is in flight, waits for its key, or is done."""
        self.order.append(seq)
        self.cursor = seq

    def reach(self, seq: int) -> None:
        """There is nothing more up to ``seq``; `advance` follows."""
        self.cursor = seq

    def pass_over(self, seq: int) -> None:
        """A change that is being scanned is nothing that the group must see; `advance` follows."""
        self.done.add(seq)

    def load_parked(self, seq: int) -> None:
        """A parked row on disk may be newer than the group's."""
        if seq > self.position:
            self.done.add(seq)

    def finish(self, seq: int) -> None:
        """Change ``seq`` is acknowledged, parked, or nothing that the group must see."""
        self.has_moved = True
        if seq > self.position:
            self.done.add(seq)
            self.advance()

    def advance(self) -> None:
        """Move the position to where everything below is done."""
        order, done = self.order, self.done
        while order and order[0] in done:
            done.discard(order.popleft())
        position = order[0] - 1 if order else self.cursor
        if position != self.position:
            self.position = position
            self.has_moved = True
            if done and (not order or len(done) > len(order) + 64):
                # Acknowledged by a retry before the scan came to them, then overwritten: never scanned.
                self.done = {seq for seq in done if seq > self.position}

    def start_over(self) -> None:
        """Scan everything again."""
        self.position = self.cursor = 0
        self.order.clear()
        self.done.clear()
        self.has_moved = True

    def ranges(self) -> list[int]:
        """`done`, as on disk."""
        return to_ranges(self.done)
