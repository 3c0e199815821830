"""The Clientset: typed clients of every group and version that the models know.

`clientset` is the door, `groups` and `client/object_client` answer the calls, `expansions` are what single resources
can do beyond the verbs, `models` loads the classes, `table` says which resources there are, `names` what
a name that is nearly right means.

Not here: resources known at run time only (client/dynamic), caches.
"""
