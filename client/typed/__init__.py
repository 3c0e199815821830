"""The Clientset: typed clients of every group and version that the models know.

`clientset` is the entry, `groups` and `client/object_client` answer the calls, `expansions` are calls of single
resources beyond the verbs, `models` loads the classes, `table` lists the resources, `names` finds the known name that
is nearest to a misspelt one.

Not here: resources known at run time only (client/dynamic), caches.
"""
