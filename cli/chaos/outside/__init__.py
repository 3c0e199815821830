"""Plain scripts, run by their paths: they use the standard library only and know the project by its faces.

``writer`` changes objects, ``observer`` keeps the API server's own record, ``recorder`` is the handler, ``prober``
asks for readiness; ``check_keys``, ``check_requests``, ``check_claims`` and ``check_gaps`` judge what these leave.

Not here: anything that starts or hits a process; the package above does.
"""
