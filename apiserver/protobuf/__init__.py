"""Reading request bodies in Kubernetes' protobuf encoding: typed Go clients and kubectl's generators send it.

``fields.json`` is the table of kinds, messages and field numbers; `schema` gives it a shape, `decode` walks
bytes by it. Answers are never written in protobuf: every client that offers it takes JSON as well.

Not here: rules about objects, media types, anything of HTTP.
"""
