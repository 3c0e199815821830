"""Who asks: bearer tokens, a generated CA with a serving certificate, and the kubeconfig that fits them.

Not here: what a user may do; every known user may do everything.
"""
