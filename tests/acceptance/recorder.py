"""A handler as an outsider would write one: reads JSON lines, appends what it did to a file, acknowledges.

    python recorder.py FILE [--threads 4] [--pause-ms 0] [--fail-every N]

Each call appends two lines to FILE: ``begin`` before the work and ``end`` after it, just before the
acknowledgement; each line is one write to a file opened for appending, so that lines of several processes do
not mix and a kill leaves whole lines. Imports nothing but the standard library.
"""

import argparse
import json
import os
import queue
import sys
import threading
import time


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--pause-ms", type=float, default=0.0)
    parser.add_argument("--fail-every", type=int, default=0)
    options = parser.parse_args()
    out = os.open(options.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    acks = threading.Lock()
    calls: queue.SimpleQueue[dict | None] = queue.SimpleQueue()
    count = iter(range(1, sys.maxsize))

    def note(what: str, call: dict, number: int) -> None:
        kept = {
            k: call.get(k) for k in ("type", "resource", "key", "uid", "version", "attempt", "fence", "flags")
        }
        line = {"what": what, "at": time.monotonic(), "pid": os.getpid(), "call": number, **kept}
        os.write(out, json.dumps(line).encode() + b"\n")

    def acknowledge(answer: dict) -> None:
        with acks:
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
                continue
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
