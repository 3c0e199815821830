"""Shared informers in one process: client-go's tools/cache, put together from the roles' own parts.

    API server → reader's thread → informer's thread: machine, DeltaFIFO, Indexer → a thread for each handler

The reflector's machine and reader list and watch, the fifo's `DeltaFIFO` keeps what is pending, `Indexer` holds the
objects, listers read it. `deltawire.factory` is the door: it knows the clients and makes informers from them.

Not here: logic that a role has already (it is imported from there), anything on disk, anything between processes.
A process that ends takes its caches and its undelivered events with it; the roles are for those who cannot have that.
"""
