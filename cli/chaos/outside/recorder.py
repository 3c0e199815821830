"""A handler as anybody would write one: reads JSON lines, writes down what it does, acknowledges.

    python recorder.py FILE [--threads 4] [--pause-ms 0] [--fail-every N]

Each call appends ``begin`` to FILE before the work and ``end`` (or ``fail``) after it, before the answer. A line is one
write to a file opened for appending: lines of several processes do not mix, and a kill leaves whole lines. ``at``
are seconds of the monotonic clock. Uses the standard library only.
"""

import argparse
import json
import os
import queue
import sys
import threading
import time
from typing import Any

KEPT = ("type", "resource", "key", "uid", "version", "attempt", "fence", "flags")
# Of a notice of lost changes, beside these.
KEPT_OF_GAPS = ("namespace", "reason", "lost_from")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--pause-ms", type=float, default=0.0)
    parser.add_argument("--fail-every", type=int, default=0)
    options = parser.parse_args()
    out = os.open(options.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    answers = threading.Lock()
    calls: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    # Where this process begins in the count decides which calls fail: not the same ones after each restart.
    count = iter(range(os.getpid() % max(options.fail_every, 1) + 1, sys.maxsize))

    def note(what: str, call: dict[str, Any], number: int) -> None:
        names = KEPT + KEPT_OF_GAPS if call["type"] == "gap" else KEPT
        kept = {name: call.get(name) for name in names}
        line = {"what": what, "at": time.monotonic(), "pid": os.getpid(), "call": number, **kept}
        os.write(out, json.dumps(line).encode() + b"\n")

    def acknowledge(answer: dict[str, Any]) -> None:
        with answers:
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()

    def work() -> None:
        while (call := calls.get()) is not None:
            number = next(count)
            note("begin", call, number)
            if options.pause_ms:
                time.sleep(options.pause_ms / 1000)
            if options.fail_every and number % options.fail_every == 0:
                note("fail", call, number)
                acknowledge({"id": call["id"], "retry_after_s": 0.05, "error": "asked to fail"})
            else:
                note("end", call, number)
                acknowledge({"id": call["id"], "ok": True})

    threads = [threading.Thread(target=work) for _ in range(options.threads)]
    for thread in threads:
        thread.start()
    for line in sys.stdin.buffer:
        calls.put(json.loads(line))
    for _ in threads:
        calls.put(None)
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    main()
