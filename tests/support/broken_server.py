"""A faulty API server: a proxy in front of the real one that answers for Pods as a test sets it."""

import json
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import requests

HONEST, VERSIONLESS = "honest", "versionless"
HTML = b"<html><body><h1>502 Bad Gateway</h1></body></html>"
EXPIRED = {
    "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Expired", "code": 410,
    "message": "too old resource version",
}  # fmt: skip


def pod_list(*items: object, kind: str = "PodList") -> bytes:
    metadata = {"resourceVersion": "1"}
    return json.dumps({"kind": kind, "apiVersion": "v1", "metadata": metadata, "items": list(items)}).encode()


def event(type_: object, object_: object) -> bytes:
    return json.dumps({"type": type_, "object": object_}).encode() + b"\n"


NO_STREAMING_LISTS = {
    "kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "Invalid", "code": 422,
    "message": "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled",
}  # fmt: skip
HUGE = {
    "kind": "Pod", "apiVersion": "v1",
    "metadata": {"name": "huge", "namespace": "default", "uid": "u", "resourceVersion": "2"},
    "spec": {"x": "x" * 12 * 1024 * 1024},
}  # fmt: skip
# (status, content type, body) of a list, and of a watch.
LISTS: dict[str, tuple[int, str, bytes]] = {
    "half a body": (200, "application/json", pod_list({"metadata": {"name": "a"}})[:-20]),
    "HTML": (200, "text/html", HTML),
    "another kind": (200, "application/json", b'{"kind":"Status","apiVersion":"v1","status":"Success"}'),
}
WATCHES: dict[str, tuple[int, str, bytes]] = {
    "garbage": (200, "application/json", b"\xff\xfe{{{{\n"),
    "half a line": (200, "application/json", b'{"type":"ADDED","object":{"kind":"Pod","meta'),
}
# Of one object: it is refused alone.
REFUSED = {"huge": HUGE, "nameless": {"kind": "Pod"}}


class BrokenServer(ThreadingHTTPServer):
    """``mode``: `HONEST`, `VERSIONLESS` (lists have no version), ``list <name>``, ``watch <name>``, or one of
    `REFUSED`."""

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.upstream = upstream
        self.mode = HONEST
        self.asked = 0
        self._watches: list[socket.socket] = []
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def lie(self, mode: str) -> None:
        """From now on; open watches of Pods are cut."""
        with self._lock:
            self.mode, self.asked = mode, 0
            watches, self._watches = self._watches, []
        for watch in watches:
            try:
                watch.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # it had ended

    def opened(self, watch: socket.socket) -> None:
        with self._lock:
            self._watches.append(watch)

    def handle_error(self, *_: object) -> None:
        """Cut connections are what this server is for."""


class _Handler(BaseHTTPRequestHandler):
    server: BrokenServer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        is_watch = query.get("watch", [""])[0] in ("1", "true")
        what, _, which = self.server.mode.partition(" ")
        if not parts.path.endswith("/pods") or what == HONEST:
            self._pass_on(is_watch and parts.path.endswith("/pods"))
            return
        self.server.asked += 1
        if what == "list" and is_watch and "sendInitialEvents" not in query:
            # The watch cannot go on: a list is needed, and broken.
            self._answer(410, "application/json", json.dumps(EXPIRED).encode())
        elif what == "list":
            self._answer(*LISTS[which])
        elif what == "watch" and is_watch:
            self._answer(*WATCHES[which])
        elif what == VERSIONLESS and "sendInitialEvents" in query:
            self._answer(422, "application/json", json.dumps(NO_STREAMING_LISTS).encode())
        elif what == VERSIONLESS and not is_watch:
            self._pass_on_without_a_version()
        elif what in REFUSED and is_watch and self.server.asked == 1:
            self._answer(200, "application/json", event("ADDED", REFUSED[what]))
        else:
            self._pass_on(is_watch)

    def _answer(self, code: int, content_type: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", content_type)
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def _pass_on(self, is_watch: bool) -> None:
        headers = {
            k: v for k, v in self.headers.items() if k.lower() in ("accept", "user-agent", "authorization")
        }
        with requests.get(
            self.server.upstream + self.path, headers=headers, stream=True, timeout=600
        ) as answer:
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
            self.send_header("Connection", "close")
            self.end_headers()
            self.close_connection = True
            if is_watch:
                self.server.opened(self.connection)
            for chunk in answer.iter_content(None):
                self.wfile.write(chunk)
                self.wfile.flush()

    def _pass_on_without_a_version(self) -> None:
        listed = requests.get(self.server.upstream + self.path, timeout=60).json()
        listed["metadata"].pop("resourceVersion")
        self._answer(200, "application/json", json.dumps(listed).encode())

    def log_message(self, *_: object) -> None:
        """It is not read."""


@contextmanager
def broken_server(upstream: str, kubeconfig: Path, out: Path) -> Iterator[BrokenServer]:
    """The proxy; ``out`` is a copy of ``kubeconfig`` that leads to it."""
    server = BrokenServer(upstream)
    shutil.copy(kubeconfig, out)
    out.write_text(kubeconfig.read_text().replace(upstream, server.url))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.lie(HONEST)
        server.shutdown()
        thread.join()
        server.server_close()
