"""A queue on NATS over all hosts, by what their brokers say. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from deltawire.jetstream.brokers import BrokerState, QueueState
from deltawire.jetstream.hosts import words_for


@dataclass(frozen=True, slots=True)
class Queues:
    """``brokers``: those that answered; ``owners``: the worker's place of each shard."""

    brokers: Sequence[BrokerState]
    owners: Sequence[str]

    def waiting(self, informer: str, place: str, host: str) -> int | None:
        """Changes that wait for a place's worker in its host's broker; None where that is not known."""
        for broker, queue in self._of(informer):
            if broker.host == host:
                return sum(n for n, owner in zip(queue.depth, self.owners, strict=False) if owner == place)
        return None

    def stuck(self, informer: str, hosts: set[str]) -> list[str]:
        """Why it stands still, by each broker that leads it or is on one of ``hosts``, which have its shards."""
        return [
            f"{informer}: its queue on NATS stands still: {queue.stuck} (says the broker on "
            f"{words_for(broker.host, broker.node)})"
            for broker, queue in self._of(informer)
            if queue.stuck and (queue.leads or broker.host in hosts)
        ]

    def _of(self, informer: str) -> list[tuple[BrokerState, QueueState]]:
        lately = [broker for broker in self.brokers if broker.age_s <= broker.silent_s]
        return [(broker, broker.queues[informer]) for broker in lately if informer in broker.queues]
