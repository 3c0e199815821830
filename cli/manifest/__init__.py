"""The objects that run a config on Kubernetes. Pure: a config and what the caller read of files in, objects out.

``shape`` says what may be chosen, ``configs`` writes the files that core and handlers read there, ``pods`` has what all
pods have in common, ``sizes`` how much is asked for, ``objects`` puts it together; ``files`` reads keys and code here.
Not here: rights (``cli.rbac``), how keys are made (``cli.keys``).
"""
