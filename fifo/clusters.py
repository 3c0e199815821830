"""Which cluster each name of the config stands for: what reflectors and workers say of it, and what counts. Pure.

An id is the uid of a cluster, or its address (a hash of URL and CA) where the uid was never readable. An address is a
stand-in: a uid that was read at it is the same cluster.
"""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Known:
    """A cluster for this broker's whole life: the first id that was heard, or the uid that took an address' place.

    ``address``: at which it was read, "" where nobody said. ``former``: the stand-in that was the id before.
    """

    id: str
    address: str = ""
    former: str = ""


@dataclass(slots=True)
class Clusters:
    """``said``: what each reflector says the ids are; "" = it cannot know."""

    known: dict[str, Known] = field(default_factory=dict)
    said: dict[bytes, dict[str, str]] = field(default_factory=dict)

    def id_of(self, name: str) -> str:
        """ "" while nobody has said so."""
        return self.known[name].id if name in self.known else ""

    def is_asked_for(self, name: str) -> bool:
        """True once a reflector has spoken of it."""
        return any(name in said for said in self.said.values())

    def said_by(self, reflector: bytes, name: str) -> str | None:
        """None: not a word yet. The known id where a reflector cannot know: it makes sure before it asks anything."""
        said = self.said[reflector].get(name)
        return self.id_of(name) if said == "" else said

    def uninformed(self, name: str) -> list[bytes]:
        """The reflectors that do not know what is known of this cluster."""
        known = self.id_of(name)
        return [who for who, said in self.said.items() if said.get(name) == "" and known]

    def reflector_said(self, reflector: bytes, name: str, cluster_id: str, address: str) -> bool:
        """True if a uid takes the place of the id that was known."""
        said = self.said[reflector]
        if not cluster_id:
            said.setdefault(name, "")
            return False
        said[name] = cluster_id
        known = self.known.setdefault(name, Known(cluster_id, address))
        if known.id == cluster_id:
            known.address = address or known.address
        elif address and known.id == address:
            self.known[name] = Known(cluster_id, address, former=known.id)
            return True
        elif cluster_id in (known.former, address) and known.address in ("", address):
            # It knows the address only: the uid is told to it.
            said[name] = ""
        return False

    def shard_said(self, name: str, cluster_id: str, address: str) -> tuple[str, bool]:
        """The id that counts for a shard of that cluster, and whether it takes the place of the one known before."""
        known = self.known.setdefault(name, Known(cluster_id, address))
        if known.id == cluster_id:
            known.address = known.address or address
        elif address and known.id == address:
            self.known[name] = Known(cluster_id, address, former=known.id)
            return cluster_id, True
        elif cluster_id == known.former:
            return known.id, False
        return cluster_id, False

    def twin(self, name: str) -> str:
        """The name by which this cluster was heard of before, "" if by no other: two would write one cache."""
        for other, known in self.known.items():
            if other == name:
                return ""
            if known.id == self.known[name].id:
                return other
        return ""

    def objection(self, said: str, name: str) -> str:
        """Why streams of a reflector that found the cluster ``said`` must stand still, "" if they need not."""
        known = self.id_of(name)
        if said != known:
            return (
                f"cluster {name} was {known} and is now {said}: its cache is kept as it is; "
                "restart Deltawire to begin with the other cluster"
            )
        if twin := self.twin(name):
            return (
                f"clusters {twin} and {name} of the config are one cluster ({known}): "
                f"remove {name}, or correct its kubeconfig or context"
            )
        return ""
