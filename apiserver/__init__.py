"""An embedded Kubernetes API server for demos, tests and development; a product of its own.

``core`` stores objects and events without HTTP, ``http`` serves them; ``patch``, ``managed``, ``schemas``,
``protobuf`` and ``openapi`` each know one part of the API's language; ``faults`` plans what goes wrong,
``simulate`` makes a small cluster live, ``auth`` checks tokens and makes certificates, ``inprocess`` needs no socket.

Not here: anything of the pipeline. Of our own packages it uses ``common.meta`` and ``common.errors`` only.
"""
