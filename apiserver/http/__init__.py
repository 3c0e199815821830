"""The core over HTTP/1.1 with aiohttp: paths, bodies, discovery, watch streams, tables, the admin endpoints.

Not here: any rule about objects. A handler parses a request, calls the core and renders the answer.
"""
