"""One shard's LMDB environment and what must outlive it: writing and reading rows, indices, generations, the ledger.

Not here: which change a delta makes (`informer.apply`), what groups are sent (`informer.groups`).
"""
