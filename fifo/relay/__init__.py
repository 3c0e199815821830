"""The broker's queue on NATS JetStream (`engine: nats`): brokers of several hosts share one queue (docs/nats.md).

What a broker takes from its reflectors is published, to one subject for each shard; what it gives to its workers is
consumed from there. ``message`` is what is published; ``outbox`` and ``inbox`` are the two ends of a shard,
``informer`` and ``broker`` join them to the decisions of `deltawire.fifo.broker`: all pure. ``wants`` is what they ask
of the shell, ``jetstream``, which has the servers.

Not here: connections and leases (``jetstream``, a room of its own), what a store lacks beside the queue.
"""
