"""Versions of groups that another server answers for."""

import json
import ssl
import threading
from base64 import b64encode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
import trustme

from deltawire.apiserver.options import ApiServerOptions
from deltawire.apiserver.server import ApiServer
from tests.support.servers import eventually

Tree = dict[str, Any]
VERSION = "metrics.example.com/v1"
RESOURCES: Tree = {
    "kind": "APIResourceList",
    "groupVersion": VERSION,
    "resources": [
        {"name": "loads", "singularName": "load", "namespaced": False, "kind": "Load", "verbs": ["get"]}
    ],
}


class Backend:
    """Another API server over TLS, on this machine; ``asked`` are the requests that came."""

    def __init__(self) -> None:
        authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("loads.default.svc").configure_cert(context)
        self.ca_bundle = b64encode(authority.cert_pem.bytes()).decode()
        self.asked: list[tuple[str, str, str, str]] = []
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer()

            def do_POST(self) -> None:
                self._answer()

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                backend.asked.append((self.command, self.path, self.headers.get("X-Remote-User", ""), body))
                is_list = self.path == f"/apis/{VERSION}"
                answer = json.dumps(RESOURCES if is_list else {"kind": "Load", "path": self.path}).encode()
                self.send_response(200 if is_list else 201)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *told: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = self._server.server_port
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def backend() -> Iterator[Backend]:
    made = Backend()
    yield made
    made.stop()


@pytest.fixture
def server() -> Iterator[ApiServer]:
    with ApiServer(ApiServerOptions()) as running:
        yield running


def post(server: ApiServer, path: str, body: Tree) -> None:
    answer = requests.post(f"{server.url}/{path}", json=body, timeout=30)
    assert answer.status_code == 201, answer.text


def register(server: ApiServer, backend: Backend) -> None:
    post(
        server,
        "apis/apiregistration.k8s.io/v1/apiservices",
        {
            "metadata": {"name": "v1.metrics.example.com"},
            "spec": {
                "group": "metrics.example.com",
                "version": "v1",
                "groupPriorityMinimum": 100,
                "versionPriority": 10,
                "service": {"name": "loads", "namespace": "default"},
                "caBundle": backend.ca_bundle,
            },
        },
    )


def lead(server: ApiServer, backend: Backend) -> None:
    """A service whose only endpoint is the backend."""
    service = {"metadata": {"name": "loads"}, "spec": {"ports": [{"port": 443}]}}
    post(server, "api/v1/namespaces/default/services", service)
    slice_ = {
        "metadata": {"name": "loads-1", "labels": {"kubernetes.io/service-name": "loads"}},
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["127.0.0.1"]}],
        "ports": [{"name": "", "port": backend.port}],
    }
    post(server, "apis/discovery.k8s.io/v1/namespaces/default/endpointslices", slice_)


def condition(server: ApiServer, name: str = "v1.metrics.example.com") -> tuple[str, str]:
    where = f"{server.url}/apis/apiregistration.k8s.io/v1/apiservices/{name}"
    conditions = requests.get(where, timeout=30).json().get("status", {}).get("conditions") or [{}]
    return conditions[0].get("status", ""), conditions[0].get("reason", "")


def test_requests_for_a_version_of_another_server_go_there_and_tell_who_asks(
    server: ApiServer, backend: Backend
) -> None:
    lead(server, backend)
    register(server, backend)
    answer = requests.post(f"{server.url}/apis/{VERSION}/loads?x=1%202", json={"a": 1}, timeout=30)
    assert (answer.status_code, answer.json()["path"]) == (201, f"/apis/{VERSION}/loads?x=1%202")
    method, path, user, body = next(asked for asked in backend.asked if asked[0] == "POST")
    assert (method, path, json.loads(body)) == ("POST", f"/apis/{VERSION}/loads?x=1%202", {"a": 1})
    assert user
    assert requests.get(f"{server.url}/apis/{VERSION}", timeout=30).json() == RESOURCES


def test_discovery_names_what_other_servers_serve(server: ApiServer, backend: Backend) -> None:
    lead(server, backend)
    register(server, backend)
    aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    for accept in ("application/json", aggregated):
        groups = requests.get(f"{server.url}/apis", headers={"Accept": accept}, timeout=30).json()["groups"]
        assert groups[-1] == {
            "name": "metrics.example.com",
            "versions": [{"groupVersion": VERSION, "version": "v1"}],
            "preferredVersion": {"groupVersion": VERSION, "version": "v1"},
        }
    group = requests.get(f"{server.url}/apis/metrics.example.com", timeout=30).json()
    assert (group["kind"], group["preferredVersion"]["version"]) == ("APIGroup", "v1")


def test_a_server_that_is_not_there_is_unavailable_and_the_condition_says_why(
    server: ApiServer, backend: Backend
) -> None:
    register(server, backend)
    answer = requests.get(f"{server.url}/apis/{VERSION}/loads", timeout=30)
    assert (answer.status_code, answer.json()["reason"]) == (503, "ServiceUnavailable")
    eventually(lambda: condition(server) == ("False", "ServiceNotFound"), "the service is missed")
    lead(server, backend)
    eventually(lambda: condition(server) == ("True", "Passed"), "the server is found")
    backend.stop()
    eventually(lambda: condition(server) == ("False", "FailedDiscoveryCheck"), "the server is missed")
    assert requests.get(f"{server.url}/apis/{VERSION}/loads", timeout=30).status_code == 503


def test_a_version_that_this_server_answers_for_is_always_available(server: ApiServer) -> None:
    spec = {"group": "apps", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 10}
    post(
        server, "apis/apiregistration.k8s.io/v1/apiservices", {"metadata": {"name": "v1.apps"}, "spec": spec}
    )
    eventually(lambda: condition(server, "v1.apps") == ("True", "Local"), "it is available")
    assert requests.get(f"{server.url}/apis/apps/v1", timeout=30).json()["kind"] == "APIResourceList"
