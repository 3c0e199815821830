"""Faults on demand: their kinds, the requests they meet, and how often.

`plan` decides, the HTTP side carries it out.

Not here: sockets, waiting, anything about how a fault is done.
"""
