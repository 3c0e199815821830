"""``deltawire chaos --engine nats``: two hosts, three NATS servers in a cluster, and ways between them that are cut.

``cluster`` has the servers, ``ways`` the connections between all of them, ``hosts`` the processes of both hosts and the
handlers, ``schedule`` makes the list of actions from a seed (pure), ``driver`` carries them out.

Not here: writers, judges and the API server, which are those of the run on one host.
"""
