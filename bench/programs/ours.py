"""Deltawire's handler of the benchmark: each object decoded, stamped, done.

A record is two int64: the object's stamp and the moment of the call, µs since 1970. ``BENCH_SLEEP_MS`` makes it slow.
"""

import os
import struct
import time
from typing import Any

from deltawire import Handler

OUT = os.open(os.environ.get("BENCH_OUT", os.devnull), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
SLEEP_S = float(os.environ.get("BENCH_SLEEP_MS", "0")) / 1000
handler = Handler("bench", delivery="every", workers=1)


@handler.on_add("pods")
@handler.on_update("pods", old=False)
def changed(obj: dict[str, Any]) -> None:
    now_us = time.time_ns() // 1000
    os.write(OUT, struct.pack("<qq", int(obj["metadata"]["annotations"]["bench/sent-us"]), now_us))
    if SLEEP_S:
        time.sleep(SLEEP_S)
