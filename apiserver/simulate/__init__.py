"""A small cluster that lives: objects at start, and writes at a steady rate that look like a real cluster's.

``cluster`` decides what to write next, ``pacing`` when, ``runner`` does it in the server's event loop. Apart from
that, and only where asked for, ``controllers`` react to users' Deployments, ReplicaSets and pods.

Not here: HTTP (it writes to the core).
"""
