"""Requests to the API server from its own process, with no port and no socket between them.

``connection`` is what stands in for a TCP connection, ``adapter`` makes the requests library use it. HTTP itself
is spoken on both ends as ever, by urllib3 here and by aiohttp there, so that there is one way of answering.

Not here: routing, handlers, anything about Kubernetes (http/).
"""
