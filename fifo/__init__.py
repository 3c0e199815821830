"""The queue between reflectors and informer workers: order, dedup, credit, leases, redelivery.

``delta_fifo`` (words in ``deltas``) is client-go's keyed queue as a pure class, for in-process use. The
broker's own is ``in_order``: the queue of one shard, whose pops are a prefix of the arrival order; ``engine``
is the seam behind which another queue can take its place. ``streams``, ``shards`` and ``sessions`` hold what is
known of streams, shards and peers, ``broker`` decides (events of peers in, ``actions`` out), ``messages``
checks what peers send: all pure. ``main`` is the process around them, ``status`` what it reports.

Not here: what objects exist (the informer sweeps), anything on disk, decoding of objects.
"""
