"""What plug-in authors use, and the process that runs a plug-in.

For authors: ``api`` is the decorators and verdicts (``deltawire.Handler``), ``lister`` reads the caches,
``testing`` tries functions without processes, ``workqueue`` and ``rate_limiters`` are client-go's.

The process: ``loader`` reads and checks a file, ``worker_link`` speaks to one informer worker, ``dispatch``
keeps the order of keys (pure), ``calls`` and ``pool`` make calls in Python, ``jsonlines`` in any other
language, ``caches`` and ``queries`` find what listers read, ``runner`` is the loop around them.

Not here: caches and their storage (read through ``common.store``), parked events and dead letters (the
informer's), the API server's verbs (client/).
"""
