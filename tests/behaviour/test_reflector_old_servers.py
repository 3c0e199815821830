"""Servers that ignore the wish for a streaming list, or send what no watch should hold."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.reflector_rig import PODS, Rig


def pod(name, version):
    return b'{"metadata":{"name":"%s","namespace":"default","uid":"u-%s","resourceVersion":"%d"}}' % (
        name,
        name,
        version,
    )


class OldServer(BaseHTTPRequestHandler):
    """Two pods. A watch sends ``events`` and then stays open, without a bookmark."""

    protocol_version = "HTTP/1.1"
    events = b""
    list_meta = b'"metadata":{"resourceVersion":"9"}'
    busy = b""  # an event that comes ten times a second, for ever
    requests: list[dict[str, str]] = []  # noqa: RUF012  # a class of its own for each test
    ended: threading.Event

    def do_GET(self):
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        if not url.path.endswith("/pods"):
            return self.answer(b'{"kind":"Namespace","metadata":{"name":"kube-system","uid":"old"}}')
        self.requests.append(query)
        if "watch" not in query:
            items = pod(b"a", 5) + b"," + pod(b"b", 6)
            return self.answer(b'{"kind":"Pods",%s,"items":[%s]}' % (self.list_meta, items))
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.events:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(self.events), self.events))
        while self.busy and "sendInitialEvents" in query and not self.ended.wait(0.1):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(self.busy), self.busy))
        self.ended.wait(30)
        self.close_connection = True
        return None

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def old_server():
    handler = type("Handler", (OldServer,), {"requests": [], "ended": threading.Event()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield handler, f"http://127.0.0.1:{server.server_port}"
    handler.ended.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("busy", [b"", b"ADDED", b"MODIFIED"])
def test_a_server_that_ignores_the_wish_is_asked_for_pages_and_never_for_a_stream_again(
    old_server, busy, monkeypatch, api_server_factory
):
    """However busy the resource is."""
    monkeypatch.setattr("deltawire.reflector.list_progress.WINDOW_S", 0.5)
    handler, url = old_server
    handler.events = b'{"type":"ADDED","object":' + pod(b"a", 15) + b"}\n"
    handler.busy = b'{"type":"%s","object":%s}\n' % (busy, pod(b"a", 6)) if busy else b""
    with Rig(api_server_factory, url=url) as rig:
        rig.broker.until(lambda: rig.broker.of("end"))
        assert set(rig.broker.objects[PODS]) == {"default/a", "default/b"}
        # The one that was begun is void; its generation differs from that of the pages.
        assert [m[3] for m in rig.broker.of("begin")] == [1, 2]
        rig.broker.until(lambda: len(handler.requests) >= 3)
        kinds = [
            "list" if "watch" not in r else r.get("sendInitialEvents", "watch") for r in handler.requests
        ]
        assert kinds == ["true", "list", "watch"]
        assert not rig.stream()["streaming_lists"]


def test_a_watch_that_carries_nothing_is_opened_again_at_its_version(
    old_server, monkeypatch, api_server_factory
):
    monkeypatch.setattr("deltawire.reflector.connection.IDLE_S", 0.5)
    handler, url = old_server
    with Rig(api_server_factory, url=url) as rig:
        rig.broker.accepted[PODS, "*"] = "9"
        rig.broker.until(lambda: len(handler.requests) >= 3)
        assert {r["resourceVersion"] for r in handler.requests} == {"9"}
        assert rig.stream()["idle_watches"] >= 2
        assert rig.stream()["lists"] == 0


def test_garbage_in_a_watch_is_one_clear_error(old_server, api_server_factory):
    handler, url = old_server
    handler.events = b"<html>not a watch</html>\n"
    with Rig(api_server_factory, url=url) as rig:
        rig.broker.accepted[PODS, "*"] = "9"
        rig.broker.until(lambda: "cannot be read" in rig.stream()["error"])
        assert rig.stream()["error_code"] == "garbage"


def test_events_however_they_are_written_and_objects_without_a_version_arrive(old_server, api_server_factory):
    handler, url = old_server
    frame = b'{"type":"ADDED","object":%s}'
    bare = pod(b"norv", 0).replace(b',"resourceVersion":"0"', b"")
    pretty = json.dumps(json.loads(frame % pod(b"e", 13)), indent=2).encode()
    half = pod(b"f", 14).replace(b"}}", rb',"labels":{"x":"\ud800"}}}')
    handler.events = (
        (frame * 2) % (pod(b"c", 11), pod(b"d", 12)) + b"\r\n" + pretty + frame % half + frame % bare
    )
    with Rig(api_server_factory, url=url) as rig:
        rig.broker.accepted[PODS, "*"] = "9"
        wanted = {f"default/{name}" for name in ("c", "d", "e", "f", "norv")}
        rig.broker.until(lambda: set(rig.broker.objects.get(PODS, ())) == wanted)
        assert rig.broker.accepted[PODS, "*"] == "14"
        assert (rig.stream()["refused"], rig.stream()["error"]) == (0, "")


def test_what_cannot_be_taken_is_named_in_status_and_the_rest_arrives(old_server, api_server_factory):
    handler, url = old_server
    frame = b'{"type":"ADDED","object":%s}\n'
    deep = pod(b"deep", 12).replace(b"}}", b'},"spec":' + b"[" * 5000 + b"]" * 5000 + b"}")
    handler.events = (frame * 3) % (pod(b"c", 11), deep, pod(b"d", 13))
    with Rig(api_server_factory, url=url) as rig:
        rig.broker.accepted[PODS, "*"] = "9"
        rig.broker.until(lambda: set(rig.broker.objects.get(PODS, ())) == {"default/c", "default/d"})
        rig.broker.until(lambda: rig.stream()["refused"] == 1)
        assert rig.stream()["error"] == "object refused: default/deep: nested too deep"


def test_a_list_without_a_version_is_taken_and_watched_from_anywhere(
    old_server, monkeypatch, api_server_factory
):
    monkeypatch.setattr("deltawire.reflector.list_progress.WINDOW_S", 0.3)
    handler, url = old_server
    handler.list_meta = b'"metadata":{"resourceVersion":null,"continue":null}'
    handler.events = b'{"type":"ADDED","object":' + pod(b"c", 3) + b"}\n"
    with Rig(api_server_factory, url=url) as rig:
        rig.broker.until(lambda: rig.broker.of("end"))
        assert rig.broker.of("end")[0][-1] == ""
        rig.broker.until(lambda: "default/c" in rig.broker.objects[PODS] and len(handler.requests) >= 3)
        assert set(rig.broker.objects[PODS]) == {"default/a", "default/b", "default/c"}
        assert "resourceVersion" not in handler.requests[-1]
