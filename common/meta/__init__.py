"""Words of the Kubernetes API that several roles share: resources, keys, versions, selectors, paths.

Not here: HTTP, whole object models, anything that opens a file or a socket.
"""
