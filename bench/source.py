"""An event source for benchmarks: an API server that does nothing but list pods and push updates of them.

    python bench/source.py --objects 1000 --rate 0 --write-kubeconfig FILE

One watch gets updates of the pods in turn, as fast as it reads (``--rate 0``) or at a fixed rate. All bytes but the
version are made beforehand, so that the source takes as little of the cores as it can. Serves just what an
informer asks for: ``GET /api/v1/pods`` (list and watch) and the namespace ``kube-system``. ``sendInitialEvents`` is
refused with 422, which every client answers with a plain list. An update carries its time in the annotation
``bench/sent-us``, so that a handler can tell its age.
"""

import argparse
import json
import socket
import sys
import threading
import time
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

POD = Path(__file__).parents[1] / "tests" / "vectors" / "pod-4k.json"
WRITE_BYTES = 64 * 1024
FIRST_VERSION = 1_000_000


class Source:
    """The pods, as templates: head, version, middle, time, tail."""

    def __init__(self, objects: int, rate_per_s: float) -> None:
        pod = json.loads(POD.read_text())
        self.rate_per_s = rate_per_s
        self.version = FIRST_VERSION + objects
        self.templates = []
        for i in range(objects):
            pod["metadata"].update(
                name=f"web-{i:06d}", uid=f"00000000-0000-0000-0000-{i:012d}", resourceVersion="@V@"
            )
            pod["metadata"]["annotations"]["bench/sent-us"] = "@T@"
            text = json.dumps(pod, separators=(",", ":")).encode()
            head, _, rest = text.partition(b"@V@")
            middle, _, tail = rest.partition(b"@T@")
            self.templates.append((head, middle, tail))

    def pod(self, i: int, version: int) -> bytes:
        head, middle, tail = self.templates[i]
        return b"%s%d%s%d%s" % (head, version, middle, time.time_ns() // 1000, tail)

    def list_body(self) -> bytes:
        items = b",".join(self.pod(i, FIRST_VERSION + i) for i in range(len(self.templates)))
        return b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"%d"},"items":[%s]}' % (
            self.version,
            items,
        )

    def push(self, connection: socket.socket) -> None:
        """Updates until the reader goes away."""
        started, sent = time.monotonic(), 0
        while True:
            chunk, size = [], 0
            while size < WRITE_BYTES:
                if self.rate_per_s:
                    wait_s = started + sent / self.rate_per_s - time.monotonic()
                    if wait_s > 0:
                        if chunk:
                            break
                        time.sleep(wait_s)
                self.version += 1
                frame = b'{"type":"MODIFIED","object":%s}\n' % self.pod(
                    sent % len(self.templates), self.version
                )
                chunk.append(frame)
                size += len(frame)
                sent += 1
            connection.sendall(b"%x\r\n%s\r\n" % (size, b"".join(chunk)))


def answer(connection: socket.socket, status: str, body: bytes) -> None:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)


def serve(connection: socket.socket, source: Source) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    reader = connection.makefile("rb")
    try:
        while line := reader.readline():
            while reader.readline() not in (b"\r\n", b""):
                pass
            url = urlsplit(line.split()[1].decode())
            query = parse_qs(url.query)
            if url.path == "/api/v1/namespaces/kube-system":
                answer(
                    connection,
                    "200 OK",
                    b'{"kind":"Namespace","metadata":{"name":"kube-system","uid":"bench"}}',
                )
            elif url.path != "/api/v1/pods":
                answer(
                    connection,
                    "404 Not Found",
                    b'{"kind":"Status","code":404,"reason":"NotFound","message":"no"}',
                )
            elif "sendInitialEvents" in query:
                body = (
                    b'{"kind":"Status","status":"Failure","code":422,"reason":"Invalid","message":"not here"}'
                )
                answer(connection, "422 Unprocessable Entity", body)
            elif query.get("watch", ["false"])[0].lower() in ("true", "1"):
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                )
                source.push(connection)
            else:
                answer(connection, "200 OK", source.list_body())
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
    listener = socket.create_server(("127.0.0.1", 0))
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
