"""Replicas that an earlier worker knew and that may still be in a call (pure)."""

from collections.abc import Callable, Sequence

from deltawire.informer.groups.state import KnownReplica

_LOOK_EVERY_S = 0.25


class AwaitedReplicas:
    """Until each has come, is known to be dead, or a lease has passed, its keys wait. Times are wall s.

    ``left``: those that are waited for, by nonce.
    """

    def __init__(
        self, known: Sequence[KnownReplica], until: float, is_dead: Callable[[KnownReplica], bool]
    ) -> None:
        self.left = {replica.nonce: replica for replica in known}
        self._until = until
        self._is_dead = is_dead
        self._looked_at = float("-inf")

    @property
    def known(self) -> list[KnownReplica]:
        return list(self.left.values())

    def came(self, replica: KnownReplica) -> None:
        """It is back and has named the calls that it is in."""
        self.left.pop(replica.nonce, None)

    def give_up(self, now: float) -> bool:
        """Wait no more for those that are dead, nor for any once the lease is over: then True, once."""
        if not self.left:
            return False
        if now >= self._until:
            self.left.clear()
            return True
        if now - self._looked_at >= _LOOK_EVERY_S:
            self._looked_at = now
            self.left = {nonce: k for nonce, k in self.left.items() if not self._is_dead(k)}
        return False

    def next_look(self) -> float:
        """When to look at them without any event; infinity if there are none."""
        return self._looked_at + _LOOK_EVERY_S if self.left else float("inf")
