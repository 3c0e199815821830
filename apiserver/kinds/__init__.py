"""The built-in kinds as data: which fields they have, of which types, how these are written and merged.

``data/`` holds a file for each module (``apps_v1.json``), read when a kind of it is first asked for.
``tests/vectors/kinds`` has the program that writes these files from the types of Kubernetes 1.35.

Not here: merging, reading objects, what fields mean to each other.
"""
