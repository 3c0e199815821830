"""The contender: the official Python client's SharedInformer with a callback that does what ours does."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from kubernetes import client, config
from kubernetes.informer import MODIFIED, SharedInformer

OUT = Path(os.environ["BENCH_OUT"])
state = {"calls": 0}
ages_us: list[int] = []


def count(obj: Any) -> None:
    state["calls"] += 1
    ages_us.append(time.time_ns() // 1000 - int(obj.metadata.annotations["bench/sent-us"]))
    if state["calls"] % 100 == 0:
        tail = sorted(ages_us[-20_000:])
        report = {"calls": state["calls"], "at": time.monotonic(), "p50_ms": tail[len(tail) // 2] / 1000}
        draft = OUT.with_suffix(".draft")
        draft.write_text(json.dumps(report))
        draft.rename(OUT)


def main() -> None:
    config.load_kube_config(sys.argv[1])
    informer = SharedInformer(client.CoreV1Api().list_pod_for_all_namespaces)
    informer.add_event_handler(MODIFIED, count)
    informer.start()
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
