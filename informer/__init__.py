"""Keeps the caches (Indexers) of the shards it owns and delivers their changes to handler groups.

``apply`` turns deltas into store changes (pure), ``store`` writes the LMDB environments, ``groups`` decides which group
gets which change when (pure), ``shard`` joins the three, ``main`` is the process around them.

Not here: asking the API server, user code, retry policy of handlers beyond what they ask for.
"""
