"""What two roles need of NATS JetStream: the connection in a thread of its own, its settings, buckets, leases.

nats-py is imported when a connection is opened, and never where the config does not name NATS.

Not here: what is published and consumed (``fifo``), what a shard leaves behind (``informer``).
"""
