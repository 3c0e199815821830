"""Who we are, as servers see it: plug-ins that run, certificates that rotate, acting as others, proxies."""

import json
import os
import select
import socket
import ssl
import stat
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import trustme

from deltawire.client.auth.tls_source import CA_LOOK_S, CERT_LOOK_S
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.config.identity import ExecPlugin, Impersonation
from deltawire.client.rest.client import RESTClient
from deltawire.common.clock import FakeClock
from deltawire.common.errors import ConfigError, CredentialsError, StatusError, TransportError
from deltawire.common.meta.resources import ResourceType, find

PODS = find("pods")
assert isinstance(PODS, ResourceType)
WAIT_S = 5.0


def plugin(folder: Path, *lines: str, **fields: Any) -> ExecPlugin:
    """A program in ``folder`` that counts its runs in ``folder/runs``."""
    file = folder / "plugin"
    head = [
        f"#!{sys.executable}",
        "import json, os, pathlib, sys",
        f"runs = pathlib.Path({str(folder / 'runs')!r})",
        "n = int(runs.read_text()) + 1 if runs.exists() else 1",
        "runs.write_text(str(n))",
        "told = json.loads(os.environ['KUBERNETES_EXEC_INFO'])",
        "def answer(**status): print(json.dumps({**told, 'status': status}))",
    ]
    file.write_text("\n".join([*head, *lines]) + "\n")
    file.chmod(file.stat().st_mode | stat.S_IXUSR)
    return ExecPlugin(str(file), **fields)


def mutual_tls(servers: Any, authority: trustme.CA, *, name: str = "127.0.0.1") -> Any:
    """A server that wants a client certificate and answers with its subject."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    server = servers.start(context)

    def answer(exchange: Any) -> None:
        subject = json.dumps(exchange.connection.getpeercert()["subject"]).encode()
        if "watch" in exchange.path:
            exchange.begin_stream()
            exchange.send_chunk(subject)
            exchange.wait_for_peer()
        else:
            exchange.reply(200, subject)

    server.answers(answer)
    return server


def pair(authority: trustme.CA, name: str) -> tuple[bytes, bytes]:
    leaf = authority.issue_cert(f"{name}@example.com", common_name=name)
    return leaf.cert_chain_pems[0].bytes(), leaf.private_key_pem.bytes()


def test_a_plugins_token_is_sent_and_a_401_asks_it_again(server: Any, tmp_path: Path) -> None:
    found = plugin(tmp_path, "answer(token=f'token-{n}')")

    def answer(exchange: Any) -> None:
        exchange.reply(200 if exchange.headers["Authorization"] == "Bearer token-2" else 401)

    server.answers(answer)
    clock = FakeClock()
    client = RESTClient(ClientConfig(server.url, exec_plugin=found), clock=clock)
    assert not (tmp_path / "runs").exists()
    client._credentials.headers()
    clock.advance(10)
    assert client.list_page(PODS) == b"{}"
    assert client.list_page(PODS) == b"{}"
    sent = [seen.headers["Authorization"] for seen in server.requests]
    assert sent == ["Bearer token-1", "Bearer token-2", "Bearer token-2"]
    assert (tmp_path / "runs").read_text() == "2"
    client.close()


def test_a_request_that_says_who_asks_runs_no_plugin(server: Any, tmp_path: Path) -> None:
    server.answers(lambda exchange: exchange.reply(200))
    client = RESTClient(ClientConfig(server.url, exec_plugin=plugin(tmp_path, "answer(token='x')")))
    client.get().abs_path("/version").set_header("Authorization", "Bearer own").do()
    assert server.requests[0].headers["Authorization"] == "Bearer own"
    assert not (tmp_path / "runs").exists()
    client.close()


@pytest.mark.parametrize(
    ("line", "text"),
    [("print('Password:')", "no ExecCredential"), ("sys.exit(4)", "exit code 4")],
)
def test_a_plugin_that_fails_fails_the_request_with_one_line(
    server: Any, tmp_path: Path, line: str, text: str
) -> None:
    client = RESTClient(ClientConfig(server.url, exec_plugin=plugin(tmp_path, line)))
    for attempt in (lambda: client.list_page(PODS), lambda: client.open_watch(PODS)):
        with pytest.raises(CredentialsError, match=text) as found:
            attempt()
        assert found.value.retryable
    assert server.requests == []
    client.close()


def test_a_plugins_certificate_is_shown_and_a_new_one_ends_old_connections(
    servers: Any, authority: trustme.CA, tmp_path: Path
) -> None:
    server = mutual_tls(servers, authority)
    for name in ("ada", "bob"):
        cert, key = pair(authority, name)
        status = {"clientCertificateData": cert.decode(), "clientKeyData": key.decode()}
        (tmp_path / f"{name}.json").write_text(json.dumps(status))
    found = plugin(
        tmp_path,
        f"file = pathlib.Path({str(tmp_path)!r}) / ('ada.json' if n == 1 else 'bob.json')",
        "answer(expirationTimestamp='2023-11-14T22:14:20Z' if n == 1 else '2099-01-01T00:00:00Z',"
        " **json.loads(file.read_text()))",
    )
    clock = FakeClock(wall_s=1_700_000_000.0)  # the first certificate ends 60 s later
    config = ClientConfig(server.url, ca_data=authority.cert_pem.bytes(), exec_plugin=found)
    client = RESTClient(config, clock=clock)
    stream = client.open_watch(PODS, read_timeout_s=WAIT_S)
    assert b"ada" in stream.read()
    assert b"ada" in client.list_page(PODS)
    clock.advance(61)
    assert b"bob" in client.list_page(PODS)
    assert stream.read() == b""  # as if the server had ended it: the reader opens another
    with client.open_watch(PODS, read_timeout_s=WAIT_S) as again:
        assert b"bob" in again.read()
    client.close()


@pytest.mark.parametrize("how", ["look", "refused"])
def test_a_rotated_certificate_file_is_shown_and_ends_old_connections(
    servers: Any, authority: trustme.CA, tmp_path: Path, how: str
) -> None:
    server = mutual_tls(servers, authority)
    cert_file, key_file = tmp_path / "tls.crt", tmp_path / "tls.key"

    def write(name: str) -> None:
        cert, key = pair(authority, name)
        cert_file.write_bytes(cert)
        key_file.write_bytes(key)

    write("ada")
    clock = FakeClock()
    config = ClientConfig(
        server.url, ca_data=authority.cert_pem.bytes(), cert_file=str(cert_file), key_file=str(key_file)
    )
    client = RESTClient(config, clock=clock)
    stream = client.open_watch(PODS, read_timeout_s=WAIT_S)
    assert b"ada" in stream.read()
    assert b"ada" in client.list_page(PODS)
    write("bob")
    assert b"ada" in client.list_page(PODS)  # what was read is young
    if how == "look":
        clock.advance(CERT_LOOK_S)
    else:
        usual = server.script[0]
        server.answers(lambda exchange: exchange.reply(401), usual)
    assert b"bob" in client.list_page(PODS)
    assert stream.read() == b""
    client.close()


def test_half_a_rotation_keeps_the_old_certificate(
    servers: Any, authority: trustme.CA, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = mutual_tls(servers, authority)
    cert_file, key_file, clock = tmp_path / "tls.crt", tmp_path / "tls.key", FakeClock()
    for file, data in zip((cert_file, key_file), pair(authority, "ada"), strict=True):
        file.write_bytes(data)
    config = ClientConfig(
        server.url, ca_data=authority.cert_pem.bytes(), cert_file=str(cert_file), key_file=str(key_file)
    )
    client = RESTClient(config, clock=clock)
    cert, key = pair(authority, "bob")
    cert_file.write_bytes(cert)
    for _ in range(3):
        clock.advance(CERT_LOOK_S)
        assert b"ada" in client.list_page(PODS)
    assert caplog.text.count("the last certificates are kept") == 1
    key_file.write_bytes(key)
    clock.advance(CERT_LOOK_S)
    assert b"bob" in client.list_page(PODS)
    assert key.decode() not in caplog.text
    client.close()


@pytest.mark.parametrize("how", ["look", "refused"])
def test_a_rotated_ca_is_trusted_and_open_streams_go_on(servers: Any, tmp_path: Path, how: str) -> None:
    old, new = trustme.CA(), trustme.CA()
    first, second = (
        mutual_tls_free(servers, old),
        mutual_tls_free(servers, new),
    )
    ca_file, clock = tmp_path / "ca.crt", FakeClock()
    ca_file.write_bytes(old.cert_pem.bytes())
    client = RESTClient(ClientConfig(first.url, ca_file=str(ca_file)), clock=clock)
    stream = client.open_watch(PODS, read_timeout_s=WAIT_S)
    assert stream.read() == b"one"
    ca_file.write_bytes(new.cert_pem.bytes())
    client._origin = second.url  # the same server after its certificate was replaced
    if how == "look":
        clock.advance(CA_LOOK_S)
    assert client.list_page(PODS) == b"{}"
    first.go_on.set()
    assert stream.read() == b"two"
    stream.close()
    client.close()


def mutual_tls_free(servers: Any, authority: trustme.CA) -> Any:
    """A server without client certificates whose watch says two things, the second when `go_on` is set."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = servers.start(context)
    server.go_on = threading.Event()

    def answer(exchange: Any) -> None:
        if "watch" not in exchange.path:
            exchange.reply(200)
            return
        exchange.begin_stream()
        exchange.send_chunk(b"one")
        server.go_on.wait(WAIT_S)
        exchange.send_chunk(b"two")
        exchange.end_stream()

    server.answers(answer)
    return server


@pytest.mark.parametrize("content", [None, b"", b"nonsense"])
def test_a_ca_file_that_cannot_be_used_keeps_the_last_one(
    tls_server: Any, authority: trustme.CA, tmp_path: Path, content: bytes | None
) -> None:
    tls_server.answers(lambda exchange: exchange.reply(200))
    ca_file, clock = tmp_path / "ca.crt", FakeClock()
    ca_file.write_bytes(authority.cert_pem.bytes())
    client = RESTClient(ClientConfig(tls_server.url, ca_file=str(ca_file)), clock=clock)
    ca_file.unlink() if content is None else ca_file.write_bytes(content)
    clock.advance(CA_LOOK_S)
    assert client.list_page(PODS) == b"{}"
    client.close()


def test_acting_as_somebody_repeats_the_groups(server: Any) -> None:
    server.answers(lambda exchange: exchange.reply(200))
    act_as = Impersonation("ada", groups=("dev", "ops"), extra=(("a/b", ("1", "2")),))
    client = RESTClient(ClientConfig(server.url, token="t", impersonate=act_as))
    client.list_page(PODS)
    client.open_watch(PODS).close()
    for seen in server.requests:
        assert seen.headers["Authorization"] == "Bearer t"
        assert seen.headers["Impersonate-User"] == "ada"
        assert seen.headers.get_all("Impersonate-Group") == ["dev", "ops"]
        assert seen.headers.get_all("Impersonate-Extra-a%2Fb") == ["1", "2"]
    client.close()


def test_a_request_that_names_its_own_user_is_left_alone(server: Any) -> None:
    server.answers(lambda exchange: exchange.reply(200))
    client = RESTClient(ClientConfig(server.url, impersonate=Impersonation("ada", groups=("dev",))))
    client.get().abs_path("/x").set_header("Impersonate-User", "bob").do()
    assert server.requests[0].headers.get_all("Impersonate-User") == ["bob"]
    assert server.requests[0].headers["Impersonate-Group"] is None
    client.close()


class Tunnel:
    """An HTTP proxy that only knows CONNECT, and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            head = b""
            while b"\r\n\r\n" not in head:
                head += near.recv(4096)
            self.asked.append(head)
            host, _, port = head.split()[1].decode().partition(":")
            with near, socket.create_connection((host, int(port)), 5) as far:
                near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                self._pump(near, far)

    def _pump(self, near: socket.socket, far: socket.socket) -> None:
        while True:
            for ready in select.select([near, far], [], [], 5)[0]:
                data = ready.recv(65536)
                if not data:
                    return
                (far if ready is near else near).sendall(data)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(WAIT_S)


def test_tls_goes_through_a_proxys_tunnel_and_the_proxy_sees_its_own_password_only(
    tls_server: Any, authority: trustme.CA
) -> None:
    tls_server.answers(lambda exchange: exchange.reply(200))
    tunnel = Tunnel()
    config = ClientConfig(
        tls_server.url,
        ca_data=authority.cert_pem.bytes(),
        token="s3cret",
        proxy_url=f"http://joe:pw@127.0.0.1:{tunnel.port}",
    )
    client = RESTClient(config)
    try:
        assert client.list_page(PODS) == b"{}"
    finally:
        client.close()
        tunnel.close()
    assert tls_server.requests[0].headers["Authorization"] == "Bearer s3cret"
    assert b"Proxy-Authorization: Basic am9lOnB3" in tunnel.asked[0]
    assert b"s3cret" not in tunnel.asked[0]


def test_a_proxy_that_is_not_there_is_said_without_its_password(server: Any) -> None:
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    client = RESTClient(ClientConfig("http://api.invalid", proxy_url=f"http://joe:s3cret@127.0.0.1:{port}"))
    with pytest.raises(TransportError) as found:
        client.list_page(PODS)
    assert "s3cret" not in str(found.value)
    client.close()


def test_a_socks_proxy_without_its_package_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deltawire.client.rest.connection.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install PySocks"):
        RESTClient(ClientConfig("https://h", proxy_url="socks5://127.0.0.1:1"))


def test_no_log_line_and_no_error_shows_a_secret(
    server: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    server.answers(lambda exchange: exchange.reply(401))
    found = plugin(tmp_path, "answer(token=os.environ['SECRET'])", env=(("SECRET", "s3cret"),))
    client = RESTClient(ClientConfig(server.url, exec_plugin=found))
    with pytest.raises(StatusError) as refused:
        client.list_page(PODS)
    assert server.requests[0].headers["Authorization"] == "Bearer s3cret"
    assert "s3cret" not in caplog.text + str(refused.value) + repr(client.config)
    assert os.environ.get("SECRET") is None
    client.close()
