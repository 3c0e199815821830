"""The replicas of a group that are here, and those that may still be in a call of an earlier worker's (pure)."""

from collections.abc import Callable, Sequence

from deltawire.informer.groups.awaited import AwaitedReplicas
from deltawire.informer.groups.replica import Replica
from deltawire.informer.groups.state import KnownReplica


class Members:
    """``here``: by identity; ``awaited``: those of before that are waited for. Times are wall s.

    ``wants_old``: some replica asks for the version before. ``wanted``: replicas whose acks something waits for: by
    identity the keys, none for all that they hold.
    """

    __slots__ = ("awaited", "here", "wanted", "wants_old")

    def __init__(
        self, known: Sequence[KnownReplica], until: float, is_dead: Callable[[KnownReplica], bool]
    ) -> None:
        self.here: dict[bytes, Replica] = {}
        self.wants_old = False
        self.wanted: dict[bytes, list[str]] = {}
        self.awaited = AwaitedReplicas(known, until, is_dead)

    @property
    def known(self) -> list[KnownReplica]:
        """Those here and those that are waited for: for the group's row."""
        return [*(replica.known for replica in self.here.values()), *self.awaited.known]

    @property
    def have_room(self) -> bool:
        for replica in self.here.values():  # noqa: SIM110  # asked for each event, and a generator costs more
            if replica.has_room:
                return True
        return False

    def is_other(self, replica: Replica) -> bool:
        """True if one of its identity is here that is not it: its session ended unseen."""
        return self.here.get(replica.identity, replica) is not replica

    def add(self, replica: Replica) -> None:
        self.here[replica.identity] = replica
        self._look_at_wishes()
        self.awaited.came(replica.known)

    def remove(self, identity: bytes) -> Replica | None:
        replica = self.here.pop(identity, None)
        self._look_at_wishes()
        return replica

    def want(self, replica: Replica, key: str) -> None:
        """A change waits for the ack of an event of ``key``."""
        if replica.may_ask and not replica.is_asked:
            self.wanted.setdefault(replica.identity, []).append(key)

    def want_room(self) -> None:
        """There is more to send, and only the size of what replicas hold, or a key that wants them idle, stands in
        the way."""
        for replica in self.here.values():
            if replica.is_full_of_bytes or replica.awaited_by is not None:
                self._want_all(replica)

    def take_wanted(self) -> dict[bytes, list[str]]:
        """What the replicas are to be asked for now."""
        wanted, self.wanted = self.wanted, {}
        return wanted

    def _want_all(self, replica: Replica) -> None:
        if replica.may_ask and replica.held and not replica.is_asked:
            replica.is_asked = True
            self.wanted[replica.identity] = []

    def _look_at_wishes(self) -> None:
        self.wants_old = any(replica.wants_old for replica in self.here.values())

    def pick(self, able: set[bytes] | None = None) -> Replica | None:
        """The replica with room that holds least; ``able``: of these."""
        best = None
        for replica in self.here.values():
            if able is not None and replica.identity not in able:
                continue
            if (best is None or replica.held < best.held) and replica.has_room:
                best = replica
        return best

    def pick_alone(self, waiting: object, able: set[bytes] | None = None) -> Replica | None:
        """An idle replica for a key that may kill it; else one gets nothing more until it is idle: it is kept for
        ``waiting``, the group."""
        fit = [r for r in self.here.values() if able is None or r.identity in able]
        for replica in fit:
            if replica.held == 0 and not replica.alone and replica.awaited_by in (None, waiting):
                return replica
        for replica in fit:
            if replica.awaited_by is None and not replica.alone:
                replica.wait_for(waiting)
                self._want_all(replica)
                break
        return None
