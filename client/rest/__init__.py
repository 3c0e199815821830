"""Requests to an API server: `client.RESTClient`, the builder in `request`, raw streams in `watch_stream`.

Bytes in, bytes out: an object is decoded only where a caller asks for it (`result.Result.into`). Every
failure leaves this package as StatusError (the server answered) or TransportError (it did not); no
exception of requests or urllib3 does.

Not here: what a watch means (the reflector's), typed objects, caches, exec and port-forward.
"""
