"""The id of each cluster of the config: what reflectors and workers report, and which id counts. Pure.

An id is the uid of a cluster, or its address (a hash of URL and CA) where the uid was never readable. An address is a
stand-in: a uid that was read at it is the same cluster.
"""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Known:
    """A cluster's id for this broker's whole life: the first one reported, or the uid that replaced an address.

    ``address``: at which the uid was read, "" if not reported. ``former``: the address that was the id before.
    """

    id: str
    address: str = ""
    former: str = ""


@dataclass(slots=True)
class Clusters:
    """``said``: the ids that each reflector has reported; "" = it cannot know. ``queued``: the id that the queue has
    which other hosts share; ``found``: what a reflector has reported last, also one that is gone."""

    known: dict[str, Known] = field(default_factory=dict)
    said: dict[bytes, dict[str, str]] = field(default_factory=dict)
    queued: dict[str, str] = field(default_factory=dict)
    found: dict[str, str] = field(default_factory=dict)

    def id_of(self, name: str) -> str:
        """ "" until it is reported."""
        return self.known[name].id if name in self.known else ""

    def is_asked_for(self, name: str) -> bool:
        """True once a reflector has reported on it."""
        return any(name in said for said in self.said.values())

    def said_by(self, reflector: bytes, name: str) -> str | None:
        """None: no report yet. The known id if a reflector cannot know: it checks the id before its first request."""
        said = self.said[reflector].get(name)
        return self.id_of(name) if said == "" else said

    def uninformed(self, name: str) -> list[bytes]:
        """The reflectors that do not have the known id of this cluster."""
        known = self.id_of(name)
        return [who for who, said in self.said.items() if said.get(name) == "" and known]

    def reflector_said(self, reflector: bytes, name: str, cluster_id: str, address: str) -> bool:
        """True if a uid takes the place of the id that was known."""
        said = self.said[reflector]
        if not cluster_id:
            said.setdefault(name, "")
            return False
        said[name] = self.found[name] = cluster_id
        known = self.known.setdefault(name, Known(cluster_id, address))
        if known.id == cluster_id:
            known.address = address or known.address
        elif address and known.id == address:
            self.known[name] = Known(cluster_id, address, former=known.id)
            return True
        elif cluster_id in (known.former, address) and known.address in ("", address):
            # It knows the address only: it is sent the uid.
            said[name] = self.found[name] = ""
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

    def queue_said(self, name: str, cluster_id: str, address: str) -> bool:
        """As `shard_said`, of the shared queue. True if that is news: another id counts, or the queue is another's."""
        before = self.id_of(name), self.foreign(name)
        self.shard_said(name, cluster_id, address)
        self.queued[name] = cluster_id
        return before != (self.id_of(name), self.foreign(name))

    def foreign(self, name: str) -> str:
        """The cluster of the shared queue where that is none that this host knows, "" else."""
        queued, known = self.queued.get(name, ""), self.known.get(name)
        is_ours = known is None or queued in ("", known.id, known.former, known.address)
        return "" if is_ours else queued

    def is_refused(self, name: str) -> bool:
        """True if reflectors of this host have found another cluster than the shared queue is of."""
        found = self.found.get(name, "")
        return bool(self.foreign(name) or (found and self.objection(found, name)))

    def twin(self, name: str) -> str:
        """Another name of the config with the same cluster id, "" if there is none: both would write one cache."""
        for other, known in self.known.items():
            if other == name:
                return ""
            if known.id == self.known[name].id:
                return other
        return ""

    def objection(self, said: str, name: str) -> str:
        """Why streams of a reflector that found the cluster ``said`` must stand still, "" if they need not."""
        known, queued = self.id_of(name), self.foreign(name) or self.queued.get(name, "")
        if queued and (self.foreign(name) or said != known):
            return (
                f"the API server of {name} is cluster {said}, and the queue on NATS is of cluster {queued}: another "
                "pipeline has this engine.name, or the API server was replaced; set another engine.name"
            )
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
