"""Get and list of 5,000 pods, typed and raw, beside other clients; and what importing ours costs.

``.venv/bin/python bench/client.py [--rounds 7] [--pods 5000] [--gets 200] [--only deltawire,lightkube]``. The server is
a process of its own that sends bytes made beforehand; rounds are interleaved, the figures are medians: milliseconds on
the clock, and of CPU in the client, which a busy machine disturbs less. Contenders that are not installed are left
out: ``pip install -r bench/requirements.txt`` into an environment for it brings all of them.
"""

import argparse
import asyncio
import atexit
import gc
import http.server
import importlib.util
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

POD = Path(__file__).resolve().parents[1] / "tests" / "vectors" / "pod-4k.json"
WARM_UP_ROUNDS = 1
# Some contenders need half a second for a get: their turn ends before all of them are made.
TURN_S_MAX = 5.0
# Of the gets that are made at once, by async clients and by threads.
AT_ONCE = 32
Contender = tuple[str, str, Callable[[], int]]


# -- the server


def serve(pods: int) -> None:
    """Answers lists and gets of pods until its stdin ends; prints its port."""
    template = json.loads(POD.read_text())
    items = []
    for number in range(pods):
        template["metadata"]["name"] = f"pod-{number}"
        items.append(json.dumps(template, separators=(",", ":")).encode())
    head = b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":['
    whole = head + b",".join(items) + b"]}"
    resources = {
        "/version": b'{"major":"1","minor":"33","gitVersion":"v1.33.0"}',
        "/api": b'{"kind":"APIVersions","versions":["v1"]}',
        "/apis": b'{"kind":"APIGroupList","apiVersion":"v1","groups":[]}',
        "/api/v1": b'{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"pods","kind":"Pod",'
        b'"namespaced":true,"singularName":"pod","verbs":["get","list"]}]}',
    }

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0].rstrip("/")
            is_list = path.endswith("/pods")
            body = whole if is_list else resources.get(path) or items[0]
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            # One write: a small body behind a separate head would wait for the peer's acknowledgement.
            self.wfile.write(head % len(body) + body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


# -- the contenders: (name, what, call that returns the number of objects)


def ours(url: str) -> list[Contender]:
    import msgspec

    from deltawire.client.config.client_config import ClientConfig
    from deltawire.client.dynamic.dynamic_client import DynamicClient
    from deltawire.client.typed.clientset import Clientset

    clientset = Clientset.from_config(ClientConfig(url))
    pods = clientset.core_v1().pods("default")
    everywhere = clientset.core_v1().pods()
    raw = DynamicClient(clientset.rest).resource(pods._target.resource)
    named = raw.namespace("default")
    request = clientset.rest.get().resource(pods._target.resource)

    class Raw(msgspec.Struct):
        items: list[msgspec.Raw]

    loop, threads = asyncio.new_event_loop(), ThreadPoolExecutor(AT_ONCE)
    atexit.register(lambda: loop.run_until_complete(clientset.aio.close()))
    pods_async = clientset.aio.core_v1().pods("default")

    def gather() -> int:
        async def all_of_them() -> int:
            return len(await asyncio.gather(*(pods_async.get("pod-0") for _ in range(AT_ONCE))))

        return loop.run_until_complete(all_of_them())

    return [
        ("deltawire", "list typed", lambda: len(everywhere.list().items)),
        ("deltawire", "list raw (dicts)", lambda: len(raw.list().items)),
        ("deltawire", "list raw (bytes)", lambda: len(request.do().into(Raw).items)),
        ("deltawire", "get typed", lambda: bool(pods.get("pod-0").metadata)),
        ("deltawire", "get raw (dicts)", lambda: bool(named.get("pod-0"))),
        ("deltawire", f"{AT_ONCE} gets at once (async)", gather),
        ("deltawire", f"{AT_ONCE} gets at once (threads)", lambda: len([*threads.map(pods.get, ["pod-0"] * AT_ONCE)])),
    ]


def lightkube(url: str) -> list[Contender]:
    import lightkube as library
    from lightkube.resources.core_v1 import Pod

    config = library.KubeConfig.from_dict(json.loads(kubeconfig(url)))
    client = library.Client(config)
    return [
        ("lightkube", "list typed", lambda: sum(1 for _ in client.list(Pod, namespace="*"))),
        ("lightkube", "get typed", lambda: bool(client.get(Pod, "pod-0", namespace="default"))),
    ]


def kubernetes(url: str) -> list[Contender]:
    from kubernetes import client

    api = client.CoreV1Api(client.ApiClient(client.Configuration(host=url)))

    def raw_list() -> int:
        return len(json.loads(api.list_pod_for_all_namespaces(_preload_content=False).data)["items"])

    def raw_get() -> bool:
        return bool(json.loads(api.read_namespaced_pod("pod-0", "default", _preload_content=False).data))

    return [
        ("kubernetes", "list typed", lambda: len(api.list_pod_for_all_namespaces().items)),
        ("kubernetes", "list raw (dicts)", raw_list),
        ("kubernetes", "get typed", lambda: bool(api.read_namespaced_pod("pod-0", "default"))),
        ("kubernetes", "get raw (dicts)", raw_get),
    ]


def kubernetes_asyncio(url: str) -> list[Contender]:
    from kubernetes_asyncio import client

    loop = asyncio.new_event_loop()

    async def connect() -> Any:
        return client.CoreV1Api(client.ApiClient(client.Configuration(host=url)))

    api = loop.run_until_complete(connect())
    listed: Callable[[], int] = lambda: len(  # noqa: E731 - one line among others
        loop.run_until_complete(api.list_pod_for_all_namespaces()).items
    )
    got: Callable[[], int] = lambda: bool(  # noqa: E731 - one line among others
        loop.run_until_complete(api.read_namespaced_pod("pod-0", "default"))
    )
    return [("kubernetes_asyncio", "list typed", listed), ("kubernetes_asyncio", "get typed", got)]


def kr8s(url: str) -> list[Contender]:
    import kr8s as library

    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    (folder / "config").write_text(kubeconfig(url))
    api = library.api(kubeconfig=str(folder / "config"))
    return [
        ("kr8s", "list raw (dicts)", lambda: len(list(api.get("pods", namespace=library.ALL)))),
        ("kr8s", "get raw (dicts)", lambda: len(list(api.get("pods", "pod-0", namespace="default")))),
    ]


def kubeconfig(url: str) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "b",
            "clusters": [{"name": "b", "cluster": {"server": url}}],
            "users": [{"name": "b", "user": {"token": "t"}}],
            "contexts": [{"name": "b", "context": {"cluster": "b", "user": "b"}}],
        }
    )


CONTENDERS = {
    "deltawire": ours,
    "lightkube": lightkube,
    "kubernetes": kubernetes,
    "kubernetes_asyncio": kubernetes_asyncio,
    "kr8s": kr8s,
}


# -- measuring


def measure(url: str, rounds: int, gets: int, only: list[str]) -> dict[tuple[str, str], tuple[float, float]]:
    """Median milliseconds per call: on the clock, of CPU."""
    contenders: list[Contender] = []
    for name in only:
        make = CONTENDERS[name]
        if importlib.util.find_spec(name) is None:
            print(f"{name} is not installed: left out", file=sys.stderr)
            continue
        contenders += make(url)
    times: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for round_ in range(WARM_UP_ROUNDS + rounds):
        for name, what, call in contenders:
            calls = gets if what.startswith("get") else 1
            gc.collect()
            begin, begin_cpu = time.perf_counter(), time.process_time()
            made = 0
            while made < calls and time.perf_counter() - begin < TURN_S_MAX:
                assert call(), (name, what)
                made += 1
            took, cpu = time.perf_counter() - begin, time.process_time() - begin_cpu
            if round_ >= WARM_UP_ROUNDS:
                times.setdefault((what, name), []).append((took / made * 1000, cpu / made * 1000))
    return {
        key: (statistics.median(took for took, _ in found), statistics.median(cpu for _, cpu in found))
        for key, found in times.items()
    }


# VmHWM and not ru_maxrss, which a child inherits.
IMPORT = """
import sys, time
begin = time.process_time()
import requests, yaml
if "{module}":
    import {module}
took = time.process_time() - begin
(peak,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(took, int(peak.split()[1]) / 1024)
"""
IMPORTED = ("deltawire.client", "deltawire.client.rest.client", "deltawire.client.typed.clientset")


def import_costs(rounds: int) -> dict[str, tuple[float, float]]:
    """CPU milliseconds and MiB of ``import requests, yaml`` ("sys") and of each module on top of it."""
    found: dict[str, list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for module in ("sys", *IMPORTED):
            done = subprocess.run(
                [sys.executable, "-c", IMPORT.format(module=module)],
                capture_output=True,
                text=True,
                check=True,
            )
            seconds, mib = map(float, done.stdout.split())
            found.setdefault(module, []).append((seconds * 1000, mib))
    medians = {
        module: (statistics.median(ms for ms, _ in values), statistics.median(mib for _, mib in values))
        for module, values in found.items()
    }
    base_ms, base_mib = medians["sys"]
    return {
        m: (ms - base_ms, mib - base_mib) if m != "sys" else (ms, mib) for m, (ms, mib) in medians.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--pods", type=int, default=5000)
    parser.add_argument("--gets", type=int, default=200)
    parser.add_argument("--only", default=",".join(CONTENDERS), help="contenders, comma-separated")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.serve:
        serve(flags.pods)
        return
    command = [sys.executable, __file__, "--serve", "--pods", str(flags.pods)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None and server.stdin is not None
        port = int(server.stdout.readline())
        figures = measure(f"http://127.0.0.1:{port}", flags.rounds, flags.gets, flags.only.split(","))
        server.stdin.close()
    print(f"{flags.pods} pods of {POD.stat().st_size} bytes, median of {flags.rounds} interleaved rounds")
    for (what, name), (ms, cpu_ms) in sorted(figures.items(), key=lambda entry: (entry[0][0], entry[1])):
        print(f"{what:18} {name:20} {ms:10.3f} ms {cpu_ms:10.3f} ms CPU")
    for module, (ms, mib) in import_costs(flags.rounds).items():
        label = "import requests, yaml" if module == "sys" else f"+ {module}"
        print(f"{label:40} {ms:8.1f} ms {mib:7.1f} MiB")


if __name__ == "__main__":
    main()
