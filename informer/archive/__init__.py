"""What a shard's groups know, kept outside the worker's disk, so that the shard can move to another host.

``record`` is what is kept; ``batch`` writes it down, ``keeper`` sends it; ``opening`` and ``restore`` bring a shard
back from it; ``port`` is what they need of the log, ``nats`` has it.

Not here: the bodies of objects, which a list brings; who may have a shard (`deltawire.jetstream.leases`).
"""
