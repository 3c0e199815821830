"""Replicas that an earlier worker knew and that may still be in a call (pure)."""

from collections.abc import Callable, Sequence

from deltawire.informer.groups.state import KnownReplica

_LOOK_EVERY_S = 0.25


class AwaitedReplicas:
    """Until each has come, is known to be dead, or a lease has passed, its keys wait. Times are wall s."""

    def __init__(
        self, known: Sequence[KnownReplica], until: float, is_dead: Callable[[KnownReplica], bool]
    ) -> None:
        self._known = {replica.nonce: replica for replica in known}
        self._until = until
        self._is_dead = is_dead
        self._looked_at = float("-inf")

    @property
    def are_there(self) -> bool:
        return bool(self._known)

    @property
    def known(self) -> list[KnownReplica]:
        return list(self._known.values())

    def came(self, replica: KnownReplica) -> None:
        """It is back and has named the calls that it is in."""
        self._known.pop(replica.nonce, None)

    def give_up(self, now: float) -> bool:
        """Wait no more for those that are dead, nor for any once the lease is over: then True, once."""
        if not self._known:
            return False
        if now >= self._until:
            self._known.clear()
            return True
        if now - self._looked_at >= _LOOK_EVERY_S:
            self._looked_at = now
            self._known = {nonce: k for nonce, k in self._known.items() if not self._is_dead(k)}
        return False

    def next_look(self) -> float:
        """When to look at them without any event; infinity if there are none."""
        return self._looked_at + _LOOK_EVERY_S if self._known else float("inf")
