"""The clients for async code: the same calls, awaited.

`clientset` and `dynamic_client` are the entries, `object_client` and `expansions` answer the calls, `rest` sends them
over `connection`.

Not here: what a request is and what an answer means (client/verbs, client/rest).
"""
