"""Up to when this worker's informers and groups are complete; kept in memory, unknown after a start.

A proof arrives behind all that it speaks of (docs/wire.md §6), so once the work before it is committed it holds of
the shard: everything that was read of the stream until its ``as_of`` is stored.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from deltawire.common.wire.messages.proofs import InformerProof, Proof, slowest
from deltawire.informer.groups.group import Group
from deltawire.informer.shard import Shard
from deltawire.informer.shared_informer import SharedInformer


@dataclass(slots=True)
class _Handled:
    """How far a group is: ``as_of_us`` is reached, ``seq`` is where ``next_us`` will be."""

    group: Group
    as_of_us: int = 0
    seq: int = 0
    next_us: int = 0

    def look(self, position: int) -> None:
        if self.next_us and position >= self.seq:
            self.as_of_us, self.next_us = self.next_us, 0


@dataclass(slots=True)
class _Shard:
    proofs: dict[str, Proof] = field(default_factory=dict)
    handled: dict[str, _Handled] = field(default_factory=dict)


class Claims:
    """``take`` what was proven after its shard has committed what came before."""

    def __init__(self, informers: Mapping[str, SharedInformer]) -> None:
        self._informers = informers
        self._shards: dict[tuple[str, int], _Shard] = {}

    def take(self, shard: Shard, proofs: Mapping[str, Proof]) -> None:
        known = self._shards.setdefault((shard.informer, shard.number), _Shard())
        known.proofs.update(proofs)
        proof = self._of_shard(shard.informer, shard.number)
        if proof is None:
            return
        for name in [name for name in known.handled if name not in shard.groups]:
            del known.handled[name]
        for name, group in shard.groups.items():
            handled = known.handled.get(name)
            if handled is None or handled.group is not group:
                handled = known.handled[name] = _Handled(group)
            handled.look(group.handled_to)
            if not handled.next_us:
                # One place at a time: a group that lags gets there, and then to where the shard is by then.
                handled.seq, handled.next_us = shard.seq, proof.as_of_us
                handled.look(group.handled_to)

    def of(self, informer: SharedInformer) -> Proof | None:
        """The slowest stream and shard; None while one of them is not known, or the informer stands still."""
        if informer.error or len(informer.shards) != len(informer.numbers):
            return None
        proofs = [self._of_shard(informer.name, number) for number in informer.numbers]
        known = [proof for proof in proofs if proof is not None]
        return slowest(known) if len(known) == len(proofs) else None

    def handled_us(self, informer: SharedInformer, group: str) -> int:
        """All that was read of the informer until then was acknowledged by the group, or parked by its word; 0 = not
        known."""
        if self.of(informer) is None:
            return 0
        found = []
        for number, shard in informer.shards.items():
            handled = self._shards[informer.name, number].handled.get(group)
            if handled is None or group not in shard.groups:
                return 0
            handled.look(shard.groups[group].handled_to)
            found.append(handled.as_of_us)
        return min(found, default=0)

    def rows(self) -> list[InformerProof]:
        """The rows sent to handlers with each beat."""
        found = ((name, self.of(informer)) for name, informer in self._informers.items())
        return [InformerProof(name, proof) for name, proof in found if proof is not None]

    def _of_shard(self, informer: str, number: int) -> Proof | None:
        known = self._shards.get((informer, number))
        streams = self._informers[informer].plan.streams
        if known is None or not all(stream in known.proofs for stream in streams):
            return None
        return slowest(known.proofs[stream] for stream in streams)
