"""The peers with a session and the items that each owns: the newest hello for an item wins."""

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Item = TypeVar("Item", bound=Hashable)


@dataclass(slots=True)
class Member(Generic[Item]):
    """A peer with a session and the items (streams or shards) it owns now."""

    identity: bytes
    name: str
    items: set[Item]


@dataclass(slots=True)
class Joined(Generic[Item]):
    """What a hello changed: the items taken from others, and the peers that have none left."""

    taken: list[tuple[bytes, Item]] = field(default_factory=list)
    ousted: list[bytes] = field(default_factory=list)


class Members(Generic[Item]):
    """The peers of one kind. Pure book-keeping: the caller acts on what it returns.

    A peer that lost an item to one that is still here is refused when it says hello again. Otherwise two
    live processes with the same items would take them from each other for ever.
    """

    def __init__(self) -> None:
        self._members: dict[bytes, Member[Item]] = {}
        self._owners: dict[Item, bytes] = {}
        # winner → losers; dropped with the winner, so as many entries at most as hellos in its life.
        self._superseded: dict[bytes, set[bytes]] = {}

    @property
    def names(self) -> list[str]:
        return sorted(member.name for member in self._members.values())

    def __contains__(self, identity: bytes) -> bool:
        return identity in self._members

    def owner(self, item: Item) -> bytes | None:
        return self._owners.get(item)

    def owns(self, identity: bytes, item: Item) -> bool:
        return self._owners.get(item) == identity

    def items(self, identity: bytes) -> list[Item]:
        member = self._members.get(identity)
        return list(member.items) if member else []

    def superseder(self, identity: bytes) -> str:
        """The name of a present peer that has taken something from this one; "" if there is none."""
        for winner, losers in self._superseded.items():
            if identity in losers:
                return self._members[winner].name
        return ""

    def superseded_by(self, identity: bytes) -> list[bytes]:
        """The peers that are still here and lost something to this one. Ask before `leave`."""
        return [loser for loser in self._superseded.get(identity, ()) if loser in self._members]

    def join(self, identity: bytes, name: str, items: Iterable[Item]) -> Joined[Item]:
        """A peer has said hello. Call `leave` before if it has been here."""
        joined: Joined[Item] = Joined()
        member = self._members[identity] = Member(identity, name, set(items))
        for item in member.items:
            owner = self._owners.get(item)
            if owner is not None:
                joined.taken.append((owner, item))
                self._superseded.setdefault(identity, set()).add(owner)
                loser = self._members[owner]
                loser.items.discard(item)
                if not loser.items:
                    joined.ousted.append(owner)
            self._owners[item] = identity
        return joined

    def leave(self, identity: bytes) -> list[Item]:
        """The peer is gone. Returns the items that it owned; they have no owner now."""
        member = self._members.pop(identity, None)
        self._superseded.pop(identity, None)
        if member is None:
            return []
        for item in member.items:
            del self._owners[item]
        return list(member.items)
