"""One process of a handler group as this worker sees it: how much it may hold, how much it does."""

from enum import Enum

from deltawire.informer.groups.state import KnownReplica


class Departure(Enum):
    """How a replica went, which decides what becomes of the keys that it held.

    ``DIED``: one of them may be what killed it, so they count as failed. ``SESSION``: only the session is over; it says
    hello again and names the calls it is in, and the rest waits for that. ``LEFT``: it said goodbye, with no
    call under way, so the rest never began and goes to another at once.
    """

    DIED = "died"
    SESSION = "session"
    LEFT = "left"


class Replica:
    """Shared by all shards of this worker: its window is for all of them.

    ``window``: keys it may hold; ``window_bytes``: of objects. ``alone``: it is working on one key that may
    have killed a handler before, and gets nothing else until it is done; ``awaited_by``: the group that waits for
    it to be idle to send such a key. ``wants_old``: its updates bring the object as it was before. ``may_ask``: its
    acks may be late, and it can be asked for them.
    """

    def __init__(
        self,
        identity: bytes,
        known: KnownReplica,
        window: int,
        window_bytes: int,
        *,
        wants_old: bool = True,
        may_ask: bool = False,
    ) -> None:
        self.identity = identity
        self.known = known
        self.window = window
        self.window_bytes = window_bytes
        self.wants_old = wants_old
        self.may_ask = may_ask
        self.held = 0
        self.held_bytes = 0
        self.alone = False
        self.awaited_by: object | None = None
        # For the acks of all that it holds.
        self.is_asked = False

    def wait_for(self, group: object) -> None:
        """It gets nothing more until it is idle: ``group`` has a key for it alone."""
        self.awaited_by = group

    def waits_no_more(self, group: object) -> None:
        """What ``group`` kept it for is off."""
        if self.awaited_by is group:
            self.awaited_by = None

    @property
    def is_full_of_bytes(self) -> bool:
        """What it holds is too large for more."""
        return self.held_bytes >= self.window_bytes

    @property
    def has_room(self) -> bool:
        return (
            self.held < self.window
            and self.held_bytes < self.window_bytes
            and not self.alone
            and self.awaited_by is None
        )

    def take(self, size_bytes: int, *, alone: bool) -> None:
        self.held += 1
        self.held_bytes += size_bytes
        self.is_asked = False
        if alone:
            self.alone = True
            self.awaited_by = None

    def give_back(self, size_bytes: int, *, alone: bool) -> None:
        self.held -= 1
        self.held_bytes -= size_bytes
        if alone:
            self.alone = False
