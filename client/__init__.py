"""client-go's client side: requests to an API server, kubeconfig, discovery.

Not here: caches, queues, anything that knows of Deltawire's own processes.
"""
