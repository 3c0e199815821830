"""client-go's tools over a RESTClient: retries, watches that outlive connections, leader election, events.

Each stands by itself; all take their clock, their randomness and their stop signal from the caller.

Not here: caches and queues (reflector, fifo, informer, handlers), streams to containers (client/transport).
"""
