"""lightkube: it has no informer, so a list and a watch of pods that keep a dictionary, as its users write them."""

import os
import struct
import sys
import time

from lightkube import Client, KubeConfig
from lightkube.resources.core_v1 import Pod

OUT = os.open(os.environ["BENCH_OUT"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
cache: dict[tuple[str, str], Pod] = {}


def take(pod: Pod) -> None:
    cache[pod.metadata.namespace, pod.metadata.name] = pod
    now_us = time.time_ns() // 1000
    os.write(OUT, struct.pack("<qq", int(pod.metadata.annotations["bench/sent-us"]), now_us))


def main() -> None:
    client = Client(config=KubeConfig.from_file(sys.argv[1]))
    listed = client.list(Pod, namespace="*")
    for pod in listed:
        take(pod)
    for _, pod in client.watch(Pod, namespace="*", resource_version=listed.resourceVersion):
        take(pod)


if __name__ == "__main__":
    main()
