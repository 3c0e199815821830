"""A small cluster that lives: objects at start, and writes at a steady rate that look like a real cluster's.

``cluster`` decides what to write next, ``pacing`` when, ``runner`` does it in the server's event loop. Apart from
that, and only where asked for, ``controllers`` react to what users make: the table ``acts`` says which kind has
which, ``kubelet`` places, runs and stops pods, and ``runs`` runs their programs.

Not here: HTTP (it writes to the core).
"""
