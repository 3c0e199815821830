"""Kubernetes' protobuf encoding: typed Go clients and kubectl's generators send it, and ask for it.

``fields.json`` is the table of kinds, messages and field numbers (``tests/vectors/protobuf`` makes it from the .proto
files of Kubernetes 1.35); `schema` gives it a shape, `decode` and `encode` walk objects by it.

Not here: rules about objects, media types, anything of HTTP.
"""
