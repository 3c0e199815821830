"""A webhook over TLS that a test answers for: a thread of the test's own process."""

import json
import ssl
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import trustme

Tree = dict[str, Any]
Answer = Callable[[Tree], Tree | bytes | None]


class Webhook:
    """``requests`` are the admission requests that came; ``answer`` makes the response of one."""

    def __init__(self, url: str, port: int, ca_bundle: str, answer: Answer) -> None:
        self.url = url
        self.port = port
        self.ca_bundle = ca_bundle
        self.answer = answer
        self.requests: list[Tree] = []

    @property
    def client_config(self) -> Tree:
        return {"url": self.url, "caBundle": self.ca_bundle}


@contextmanager
def webhook(answer: Answer, *names: str, trusts_itself: bool = False) -> Iterator[Webhook]:
    """A webhook at ``url``; ``names`` are further ones in its certificate.

    ``trusts_itself``: the bundle is the webhook's own certificate, without the authority that signed it.
    """
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1", *names)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            served.requests.append({**review["request"], "path": self.path})
            response = served.answer(review["request"])
            body = response
            if not isinstance(response, bytes):
                made = None if response is None else {"uid": review["request"]["uid"], **response}
                body = json.dumps({**review, "request": None, "response": made}).encode()
            assert isinstance(body, bytes)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Tests say themselves what went wrong."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    port = server.server_address[1]
    trusted = certificate.cert_chain_pems[0] if trusts_itself else authority.cert_pem
    bundle = b64encode(trusted.bytes()).decode()
    served = Webhook(f"https://127.0.0.1:{port}/hook", port, bundle, answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def patching(*operations: Tree) -> Tree:
    """The response that allows, and changes."""
    patch = b64encode(json.dumps(operations).encode()).decode()
    return {"allowed": True, "patchType": "JSONPatch", "patch": patch}
