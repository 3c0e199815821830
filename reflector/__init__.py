"""Mirrors collections of an API server: lists, watches, and publishes what it saw as deltas to the fifo.

Pure: ``machine`` decides (with ``open_list`` and ``connection``), ``split`` and ``objects`` cut what the server
sends into objects without decoding them, ``transform`` trims them, ``publish`` obeys credit.
Shells: ``listwatch`` asks the API server, ``reader`` is one stream's thread, ``driver`` one stream's part of
the loop in ``main``; ``cluster`` knows which cluster answers.

Not here: queueing, storage, knowledge of handlers, HTTP itself (client/).
"""
