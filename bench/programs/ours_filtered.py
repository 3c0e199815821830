"""Deltawire's handler of the benchmark, with a filter: the pods of two of the source's hundred nodes.

``BENCH_NODES``: ``7,57``; empty: all pods. ``BENCH_CHANGED``: a path of which a change is wanted, beside that.
Records as those of ``ours.py``.
"""

import os
import struct
import time
from typing import Any

from deltawire import Handler

OUT = os.open(os.environ.get("BENCH_OUT", os.devnull), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
NODES = [node for node in os.environ.get("BENCH_NODES", "").split(",") if node]
CHANGED = os.environ.get("BENCH_CHANGED", "")
handler = Handler("bench", delivery="every", workers=1)


def wanting(**wanted: Any) -> None:
    """A function with a filter of its own."""

    @handler.on_update("pods", old=False, **wanted)
    def updated(new: dict[str, Any]) -> None:
        now_us = time.time_ns() // 1000
        os.write(OUT, struct.pack("<qq", int(new["metadata"]["annotations"]["bench/sent-us"]), now_us))


for fields in [f"spec.nodeName=node-{node}" for node in NODES] or [""]:
    wanted: dict[str, Any] = {"fields": fields} if fields else {}
    if CHANGED:
        wanted["changed"] = CHANGED
    wanting(**wanted)
