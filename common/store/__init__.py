"""The state folder: its layout on disk and those who read it. One LMDB environment per shard, one writer.

``layout`` packs keys and rows, ``folder`` knows the paths and whose they are, ``reader`` is what every other
process uses to look objects up.

Not here: writing objects (only the informer's worker does that), and what a row means to a group.
"""
