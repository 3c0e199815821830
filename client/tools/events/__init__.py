"""Event objects about what a program did to others, without flooding the server.

`recorder` takes events and never blocks, `correlator` combines what repeats (pure), `sink` writes.

Not here: the series of events.k8s.io/v1; events between Deltawire's own processes.
"""
