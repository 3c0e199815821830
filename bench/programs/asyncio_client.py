"""kubernetes_asyncio: it has no informer, so a list and a watch that keep a dictionary, as its users write them."""

import asyncio
import os
import struct
import sys
import time
from typing import Any

from kubernetes_asyncio import client, config, watch

OUT = os.open(os.environ["BENCH_OUT"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
cache: dict[tuple[str, str], Any] = {}


def stamp(pod: Any) -> None:
    now_us = time.time_ns() // 1000
    os.write(OUT, struct.pack("<qq", int(pod.metadata.annotations["bench/sent-us"]), now_us))


async def main() -> None:
    await config.load_kube_config(sys.argv[1])
    async with client.ApiClient() as api:
        pods = client.CoreV1Api(api)
        listed = await pods.list_pod_for_all_namespaces()
        for pod in listed.items:
            cache[pod.metadata.namespace, pod.metadata.name] = pod
            stamp(pod)
        version = listed.metadata.resource_version
        async with watch.Watch().stream(pods.list_pod_for_all_namespaces, resource_version=version) as events:
            async for event in events:
                pod = event["object"]
                cache[pod.metadata.namespace, pod.metadata.name] = pod
                stamp(pod)


if __name__ == "__main__":
    asyncio.run(main())
