"""Faults on demand: what shall go wrong, for which requests, how often.

`plan` decides, the HTTP side carries it out.

Not here: sockets, waiting, anything about how a fault is done.
"""
