"""What the server offers: groups, versions, resources; names as people write them; the cluster's identity.

Not here: the grammar of names (common/meta/resources), caches on disk, typed clients.
"""
