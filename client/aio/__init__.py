"""The clients for async code: the same calls, awaited.

`clientset` and `dynamic_client` are the entries, `object_client` and `expansions` answer the calls, `rest` sends them
over `connection`; what a request is and what an answer means is client/rest's and client/verbs'.
"""
