"""The files of a handler or a controller to begin with: code, test, manifests, README.

Not here: running them.
"""
