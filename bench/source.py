"""An event source for benchmarks: an API server that does nothing but list pods and push updates of them.

    python bench/source.py --objects 1000 --rate 0 --write-kubeconfig FILE

A watch of the pods gets updates of them in turn: at ``--rate`` a second, as fast as it reads (0), or none
(-1). All bytes but the version and the time are made beforehand, so that the source takes as little of the
cores as it can. An object carries in its annotation ``bench/sent-us`` when it was made (µs since 1970), so
that whoever handles it can tell its age. Where the reader is more than ``LATE_S`` behind a rate, the time is
when the update was due: waiting is part of the age.

Besides the pods: lists in pages, streamed lists (``sendInitialEvents``), the namespace ``kube-system``, an
empty list and a quiet watch of every other resource, and discovery that names pods and namespaces. ``POST
/bench?rate=R`` changes the rate, ``GET /bench`` says what was sent since then,
and ever.
"""

import argparse
import json
import re
import socket
import sys
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

POD = Path(__file__).parents[1] / "tests" / "vectors" / "pod-4k.json"
WRITE_BYTES = 64 * 1024
FIRST_VERSION = 1_000_000
NODES = 100
LATE_S = 0.005
REST_SLICE_S = 0.01
BOOKMARK_EVERY_S = 60
COLLECTION = re.compile(r"/(?:api|apis/[^/]+)/[^/]+/(?:namespaces/[^/]+/)?[^/]+")
DISCOVERY = {
    "/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.0"},
    "/api": {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            {
                "name": plural,
                "singularName": kind.lower(),
                "namespaced": kind == "Pod",
                "kind": kind,
                "verbs": ["get", "list", "watch", "patch"],
            }
            for plural, kind in (("pods", "Pod"), ("namespaces", "Namespace"))
        ],
    },
    "/api/v1/namespaces/kube-system": {
        "kind": "Namespace",
        "apiVersion": "v1",
        "metadata": {"name": "kube-system", "uid": "bench", "resourceVersion": "1"},
    },
}


class Source:
    """The pods, as templates: head, version, middle, time, tail."""

    def __init__(self, objects: int, rate_per_s: float) -> None:
        pod = json.loads(POD.read_text())
        self.version = FIRST_VERSION + objects
        self.versions = [FIRST_VERSION + i for i in range(objects)]
        self.turn = self.sent_ever = 0
        self.set_rate(rate_per_s)
        self.templates = []
        for i in range(objects):
            pod["metadata"].update(
                name=f"web-{i:06d}", uid=f"00000000-0000-0000-0000-{i:012d}", resourceVersion="@V@"
            )
            pod["spec"]["nodeName"] = f"node-{i % NODES}"
            pod["metadata"]["annotations"]["bench/sent-us"] = "@T@"
            text = json.dumps(pod, separators=(",", ":")).encode()
            head, _, rest = text.partition(b"@V@")
            middle, _, tail = rest.partition(b"@T@")
            self.templates.append((head, middle, tail))

    def set_rate(self, rate_per_s: float) -> None:
        self.rate_per_s, self.began, self.sent, self.late = rate_per_s, time.monotonic(), 0, 0

    def pod(self, i: int, at_us: int) -> bytes:
        head, middle, tail = self.templates[i]
        return b"%s%d%s%d%s" % (head, self.versions[i], middle, at_us, tail)

    def items(self, first: int, last: int) -> bytes:
        now_us = time.time_ns() // 1000
        return b",".join(self.pod(i, now_us) for i in range(first, last))

    def due_in_s(self) -> float:
        """Seconds until the next update is due; negative where it is late; 0 at full speed."""
        if self.rate_per_s == 0:
            return 0.0
        if self.rate_per_s < 0:
            return REST_SLICE_S
        return self.began + self.sent / self.rate_per_s - time.monotonic()

    def next(self, behind_s: float) -> bytes:
        """The next update's line."""
        late_s = behind_s if behind_s > LATE_S else 0.0
        self.late += late_s > 0
        self.sent += 1
        self.sent_ever += 1
        self.version += 1
        i = self.turn = (self.turn + 1) % len(self.templates)
        self.versions[i] = self.version
        return b'{"type":"MODIFIED","object":%s}\n' % self.pod(i, time.time_ns() // 1000 - int(late_s * 1e6))

    def chunk(self) -> bytes:
        """What is due now, at most ``WRITE_BYTES``; empty where nothing is."""
        lines, size = [], 0
        while size < WRITE_BYTES:
            due_in_s = self.due_in_s()
            if due_in_s > 0:
                if not lines:
                    time.sleep(min(due_in_s, REST_SLICE_S))
                break
            line = self.next(-due_in_s)
            lines.append(line)
            size += len(line)
        return b"".join(lines)


def write_chunk(connection: socket.socket, data: bytes) -> None:
    connection.sendall(b"%x\r\n%s\r\n" % (len(data), data))


def bookmark(kind: str, version: int, *, initial_end: bool) -> bytes:
    metadata: dict[str, object] = {"resourceVersion": str(version)}
    if initial_end:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    found = {"type": "BOOKMARK", "object": {"kind": kind, "apiVersion": "v1", "metadata": metadata}}
    return json.dumps(found).encode() + b"\n"


def send_initial(connection: socket.socket, source: Source, pods: bool) -> None:
    """A streamed list: every pod as ADDED, then the bookmark that ends it."""
    version = source.version
    for first in range(0, len(source.templates) if pods else 0, 15):
        now_us = time.time_ns() // 1000
        last = min(first + 15, len(source.templates))
        lines = [b'{"type":"ADDED","object":%s}\n' % source.pod(i, now_us) for i in range(first, last)]
        write_chunk(connection, b"".join(lines))
    write_chunk(connection, bookmark("Pod" if pods else "Object", version, initial_end=True))


def watch(connection: socket.socket, source: Source, pods: bool, query: dict[str, list[str]]) -> None:
    """Until the reader goes away."""
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    if query.get("sendInitialEvents", [""])[0] == "true":
        send_initial(connection, source, pods)
    bookmarks = query.get("allowWatchBookmarks", [""])[0].lower() in ("true", "1")
    next_bookmark = time.monotonic() + BOOKMARK_EVERY_S
    while True:
        if pods:
            data = source.chunk()
        else:
            time.sleep(BOOKMARK_EVERY_S)
            data = b""
        if data:
            write_chunk(connection, data)
        if bookmarks and time.monotonic() >= next_bookmark:
            next_bookmark += BOOKMARK_EVERY_S
            write_chunk(connection, bookmark("Pod" if pods else "Object", source.version, initial_end=False))


def page(source: Source, pods: bool, query: dict[str, list[str]]) -> bytes:
    """A list, or the page of it that ``limit`` and ``continue`` ask for."""
    objects = len(source.templates) if pods else 0
    first = int(query.get("continue", ["0"])[0] or 0)
    last = min(first + (int(query.get("limit", ["0"])[0]) or objects), objects)
    more = f',"continue":"{last}","remainingItemCount":{objects - last}' if last < objects else ""
    kind = "PodList" if pods else "ObjectList"
    head = f'{{"kind":"{kind}","apiVersion":"v1","metadata":{{"resourceVersion":"{source.version}"{more}}}'
    return b'%s,"items":[%s]}' % (head.encode(), source.items(first, last))


def answer(connection: socket.socket, body: bytes, status: str = "200 OK") -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)


def serve_one(connection: socket.socket, source: Source, target: str) -> None:
    url = urlsplit(target)
    query = parse_qs(url.query)
    pods = url.path == "/api/v1/pods"
    if url.path == "/bench":
        if "rate" in query:
            source.set_rate(float(query["rate"][0]))
        said = {
            "sent": source.sent,
            "sent_ever": source.sent_ever,
            "late": source.late,
            "cpu_s": time.process_time(),
        }
        answer(connection, json.dumps(said).encode())
    elif url.path in DISCOVERY:
        answer(connection, json.dumps(DISCOVERY[url.path]).encode())
    elif not COLLECTION.fullmatch(url.path):
        body = b'{"kind":"Status","status":"Failure","code":404,"reason":"NotFound","message":"not here"}'
        answer(connection, body, "404 Not Found")
    elif query.get("watch", ["false"])[0].lower() in ("true", "1"):
        watch(connection, source, pods, query)
    else:
        answer(connection, page(source, pods, query))


def serve(connection: socket.socket, source: Source) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    reader = connection.makefile("rb")
    try:
        while line := reader.readline():
            while reader.readline() not in (b"\r\n", b""):
                pass
            serve_one(connection, source, line.split()[1].decode())
    except (BrokenPipeError, ConnectionResetError):
        pass  # the reader went away, which is how every run ends
    finally:
        reader.close()
        connection.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--objects", type=int, default=1000)
    parser.add_argument("--rate", type=float, default=0.0)
    parser.add_argument("--write-kubeconfig", type=Path, required=True)
    options = parser.parse_args()
    source = Source(options.objects, options.rate)
    listener = socket.create_server(("127.0.0.1", 0), backlog=128)
    server = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "bench",
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "bench"}}],
        "clusters": [{"name": "bench", "cluster": {"server": server}}],
        "users": [{"name": "bench", "user": {}}],
    }
    draft = options.write_kubeconfig.with_suffix(".draft")
    draft.write_text(json.dumps(config))
    draft.rename(options.write_kubeconfig)
    sys.setswitchinterval(0.001)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection, source), daemon=True).start()


if __name__ == "__main__":
    main()
