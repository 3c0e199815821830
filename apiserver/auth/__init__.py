"""Authentication: bearer tokens, client certificates, a generated CA, and the kubeconfig that fits them.

Not here: what a user may do (that is ``access``).
"""
