import gzip
import json
import pickle
import socket
import ssl
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme

from deltawire.client.auth.credentials import TOKEN_FILE_REREAD_S
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.rest import client as client_module
from deltawire.client.rest.client import RESTClient
from deltawire.client.rest.connection import KEEPALIVE_IDLE_S, USER_TIMEOUT_MS
from deltawire.client.rest.result import Result
from deltawire.client.rest.retry import RETRIES_MAX
from deltawire.common.clock import FakeClock
from deltawire.common.errors import CapacityError, ConfigError, StatusError, TransportError
from deltawire.common.meta.resources import ResourceType, find

PODS, NODES = find("pods"), find("nodes")
assert isinstance(PODS, ResourceType)
assert isinstance(NODES, ResourceType)


def status(code: int, reason: str, message: str = "no") -> bytes:
    return json.dumps(
        {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message}
    ).encode()


def test_each_method_of_a_resource_sends_its_verb(server: Any, client: RESTClient) -> None:
    server.answers(lambda exchange: exchange.reply(200, b'{"kind":"Pod"}'))
    pods = client.of(PODS, "default")
    assert pods.get("a", params={"resourceVersion": "0"}).raw == b'{"kind":"Pod"}'
    pods.create({"kind": "Pod"}, params={"dryRun": "All"})
    pods.create({"kind": "Eviction"}, name="a", subresource="eviction")
    pods.update("a", b'{"kind":"Pod"}', subresource="status")
    pods.delete("a")
    pods.delete("a", body={"preconditions": {"uid": "u"}})
    client.of(NODES, "default").get("n")
    assert pods.list_page({"limit": 500, "continue": "c/+="}) == b'{"kind":"Pod"}'
    base = "/api/v1/namespaces/default/pods"
    sent = [(r.command, r.path, r.request_body) for r in server.requests]
    assert sent == [
        ("GET", f"{base}/a?resourceVersion=0", b""),
        ("POST", f"{base}?dryRun=All", b'{"kind":"Pod"}'),
        ("POST", f"{base}/a/eviction", b'{"kind":"Eviction"}'),
        ("PUT", f"{base}/a/status", b'{"kind":"Pod"}'),
        ("DELETE", f"{base}/a", b""),
        ("DELETE", f"{base}/a", b'{"preconditions":{"uid":"u"}}'),
        ("GET", "/api/v1/nodes/n", b""),
        ("GET", f"{base}?limit=500&continue=c%2F%2B%3D", b""),
    ]


@pytest.mark.parametrize(
    ("patch_type", "content_type"),
    [
        ("merge", "application/merge-patch+json"),
        ("json", "application/json-patch+json"),
        ("strategic", "application/strategic-merge-patch+json"),
        ("apply", "application/apply-patch+yaml"),
    ],
)
def test_a_patch_says_its_type(server: Any, client: RESTClient, patch_type: str, content_type: str) -> None:
    server.answers(lambda exchange: exchange.reply(200))
    client.of(PODS, "default").patch("a", {"spec": None}, patch_type=patch_type)
    assert server.requests[0].headers["Content-Type"] == content_type
    assert server.requests[0].request_body == b'{"spec":null}'


def test_an_unknown_patch_type_is_a_mistake(client: RESTClient) -> None:
    with pytest.raises(ConfigError, match="no patch type"):
        client.patch("yaml")


def test_a_request_says_who_asks_and_what_it_takes(server: Any, client: RESTClient) -> None:
    server.answers(lambda exchange: exchange.reply(200, Set_Cookie="a=b"))
    client.get().abs_path("/version").do()
    client.get().abs_path("/version").do()
    headers = server.requests[1].headers
    assert headers["User-Agent"].startswith("deltawire/")
    assert headers["Accept"] == "application/json"
    assert headers["Accept-Encoding"] == "gzip"
    assert headers["Cookie"] is None
    assert server.requests[0].client_address == server.requests[1].client_address  # the connection is kept


def test_a_packed_answer_is_unpacked(server: Any, client: RESTClient) -> None:
    server.answers(lambda exchange: exchange.reply(200, gzip.compress(b'{"a":1}'), Content_Encoding="gzip"))
    assert client.get().abs_path("/x").do().into() == {"a": 1}


def test_an_answer_that_cannot_be_unpacked_is_garbage(server: Any, client: RESTClient) -> None:
    server.answers(lambda exchange: exchange.reply(200, b"not gzip", Content_Encoding="gzip"))
    with pytest.raises(TransportError) as found:
        client.get().abs_path("/x").do()
    assert found.value.reason == "garbage"


def test_a_prefix_in_the_servers_url_is_kept(server: Any) -> None:
    server.answers(lambda exchange: exchange.reply(200))
    RESTClient(ClientConfig(server.url + "/k8s/clusters/c-1/")).list_page(PODS)
    assert server.requests[0].path == "/k8s/clusters/c-1/api/v1/pods"


@pytest.mark.parametrize(("group_version", "path"), [("v1", "/api/v1/x"), ("apps/v1", "/apis/apps/v1/x")])
def test_a_client_may_belong_to_a_group_and_version(server: Any, group_version: str, path: str) -> None:
    server.answers(lambda exchange: exchange.reply(200))
    RESTClient(ClientConfig(server.url), group_version=group_version).get().resource("x").do()
    assert server.requests[0].path == path


def test_a_login_page_is_no_answer(server: Any, client: RESTClient) -> None:
    server.answers(lambda exchange: exchange.reply(200, b"<html>", Content_Type="text/html; charset=utf-8"))
    for attempt in (lambda: client.list_page(PODS), lambda: client.open_watch(PODS)):
        with pytest.raises(TransportError, match="web page") as found:
            attempt()
        assert found.value.reason == "garbage"


@pytest.mark.parametrize("body", [b"", b'{"kind":', b"nonsense", b"\xff"])
def test_an_answer_that_is_no_json_is_garbage_when_it_is_decoded(
    server: Any, client: RESTClient, body: bytes
) -> None:
    server.answers(lambda exchange: exchange.reply(200, body))
    result = client.get().abs_path("/x").do()
    assert result.raw == body
    with pytest.raises(TransportError) as found:
        result.into()
    assert found.value.reason == "garbage"


def test_an_answer_is_decoded_into_a_type() -> None:
    class Thing(msgspec.Struct):
        a: int

    assert Result(200, {}, b'{"a":1,"b":2}').into(Thing).a == 1
    with pytest.raises(TransportError, match="Expected `int`"):
        Result(200, {}, b'{"a":"x"}').into(Thing)


def test_a_failure_inside_a_successful_answer_is_one() -> None:
    with pytest.raises(StatusError, match="too late"):
        Result(200, {}, status(500, "InternalError", "too late")).into()
    assert Result(200, {}, b'{"kind":"Status","status":"Success"}').into()["status"] == "Success"


def test_a_cut_answer_is_a_transport_error(server: Any, client: RESTClient) -> None:
    def answer(exchange: Any) -> None:
        exchange.send_response(200)
        exchange.send_header("Content-Length", "100")
        exchange.end_headers()
        exchange.wfile.write(b"half")
        exchange.cut()

    server.answers(answer)
    with pytest.raises(TransportError) as found:
        client.list_page(PODS)
    assert found.value.reason == "reset"


def test_an_answer_above_the_limit_is_refused(
    server: Any, client: RESTClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "ANSWER_BYTES_MAX", 10)
    server.answers(lambda exchange: exchange.reply(200, b"x" * 11))
    with pytest.raises(CapacityError, match="larger than 10 bytes"):
        client.get().abs_path("/x").do()


def test_a_refused_connection_is_one_clear_line() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    client = RESTClient(ClientConfig(f"http://127.0.0.1:{port}"))
    for attempt in (lambda: client.list_page(PODS), lambda: client.open_watch(PODS)):
        with pytest.raises(TransportError) as found:
            attempt()
        assert found.value.reason == "refused"
        assert str(found.value).startswith(f"connection refused by http://127.0.0.1:{port}")


def test_a_name_that_does_not_resolve_is_one_clear_line() -> None:
    with pytest.raises(TransportError) as found:
        RESTClient(ClientConfig("http://nowhere.invalid")).list_page(PODS)
    assert found.value.reason == "dns"


def test_a_silent_server_is_a_time_out(server: Any) -> None:
    server.answers(lambda exchange: exchange.wait_for_peer())
    client = RESTClient(ClientConfig(server.url, read_timeout_s=0.05))
    with pytest.raises(TransportError) as found:
        client.list_page(PODS)
    assert found.value.reason == "timeout"
    client.close()


def test_a_server_that_is_busy_is_asked_again_when_it_says(server: Any) -> None:
    clock = FakeClock()
    server.answers(
        lambda exchange: exchange.reply(429, b"later", Retry_After="2"),
        lambda exchange: exchange.reply(503, status(503, "ServiceUnavailable"), Retry_After="3"),
        lambda exchange: exchange.reply(200, b"{}"),
    )
    client = RESTClient(ClientConfig(server.url), clock=clock)
    result = client.post().abs_path("/x").body({"a": 1}).do()
    assert result.attempts == 3
    assert clock.now_s() == 5
    assert [r.request_body for r in server.requests] == [b'{"a":1}'] * 3


def test_a_server_that_stays_busy_is_given_up(server: Any) -> None:
    server.answers(lambda exchange: exchange.reply(429, Retry_After="1"))
    client = RESTClient(ClientConfig(server.url), clock=FakeClock())
    with pytest.raises(StatusError) as found:
        client.get().abs_path("/x").do()
    assert found.value.is_too_many_requests
    assert found.value.retry_after_s == 1
    assert len(server.requests) == RETRIES_MAX + 1


def test_a_cut_read_is_tried_again_and_a_cut_write_is_not(server: Any) -> None:
    client = RESTClient(ClientConfig(server.url), clock=FakeClock())
    server.answers(lambda exchange: exchange.cut(), lambda exchange: exchange.reply(200))
    assert client.get().abs_path("/x").do().attempts == 2
    server.answers(lambda exchange: exchange.cut(), lambda exchange: exchange.reply(200))
    with pytest.raises(TransportError):
        client.post().abs_path("/x").do()


def test_a_stop_ends_the_waiting(server: Any) -> None:
    stop = threading.Event()
    stop.set()
    server.answers(lambda exchange: exchange.reply(429, Retry_After="30"))
    client = RESTClient(ClientConfig(server.url), stop=stop)
    with pytest.raises(StatusError):
        client.get().abs_path("/x").do()
    assert len(server.requests) == 1


def test_lists_and_watches_are_left_to_their_callers_loop(server: Any, client: RESTClient) -> None:
    server.answers(lambda exchange: exchange.reply(429, Retry_After="1"))
    for attempt in (lambda: client.list_page(PODS), lambda: client.open_watch(PODS)):
        with pytest.raises(StatusError) as found:
            attempt()
        assert found.value.retry_after_s == 1
    assert len(server.requests) == 2


def test_a_401_says_that_the_credentials_were_refused(server: Any) -> None:
    server.answers(lambda exchange: exchange.reply(401, status(401, "Unauthorized", "Unauthorized")))
    client = RESTClient(ClientConfig(server.url, token="s3cret"))
    with pytest.raises(StatusError) as found:
        client.list_page(PODS)
    assert found.value.is_unauthorized
    assert "did not accept the token" in str(found.value)
    assert "s3cret" not in str(found.value)
    assert len(server.requests) == 1


@pytest.mark.parametrize("how", ["list", "watch"])
def test_a_rotated_token_is_tried_once_after_a_401(server: Any, tmp_path: Path, how: str) -> None:
    file = tmp_path / "token"
    file.write_text("old")

    def answer(exchange: Any) -> None:
        if exchange.headers["Authorization"] == "Bearer new":
            exchange.reply(200)
        else:
            file.write_text("new")
            exchange.reply(401)

    server.answers(answer)
    client = RESTClient(ClientConfig(server.url, token_file=str(file)), clock=FakeClock())
    if how == "list":
        assert client.list_page(PODS) == b"{}"
    else:
        with client.open_watch(PODS) as stream:
            assert stream.read() == b"{}"
    assert len(server.requests) == 2


def test_a_token_file_is_read_again_while_running(server: Any, tmp_path: Path) -> None:
    file, clock = tmp_path / "token", FakeClock()
    file.write_text("one")
    server.answers(lambda exchange: exchange.reply(200))
    client = RESTClient(ClientConfig(server.url, token_file=str(file)), clock=clock)
    client.list_page(PODS)
    file.write_text("two")
    clock.advance(TOKEN_FILE_REREAD_S)
    client.list_page(PODS)
    assert [r.headers["Authorization"] for r in server.requests] == ["Bearer one", "Bearer two"]


def test_a_redirect_of_a_write_is_an_answer(server: Any, client: RESTClient) -> None:
    server.answers(lambda exchange: exchange.reply(302, b"", Location="/elsewhere"))
    with pytest.raises(StatusError) as found:
        client.post().abs_path("/x").body({}).do()
    assert found.value.code == 302
    assert len(server.requests) == 1


def test_the_given_ca_is_trusted(tls_server: Any, authority: trustme.CA, tmp_path: Path) -> None:
    tls_server.answers(lambda exchange: exchange.reply(200))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.crt"))
    for trust in ({"ca_data": authority.cert_pem.bytes()}, {"ca_file": str(tmp_path / "ca.crt")}):
        client = RESTClient(ClientConfig(tls_server.url, **trust))  # type: ignore[arg-type]  # one of two fields
        assert client.list_page(PODS) == b"{}"
        client.close()


@pytest.mark.parametrize("trust", ["another", "system"])
def test_a_certificate_of_another_ca_is_one_clear_line(tls_server: Any, trust: str) -> None:
    ca = trustme.CA().cert_pem.bytes() if trust == "another" else b""
    client = RESTClient(ClientConfig(tls_server.url, ca_data=ca))
    for attempt in (lambda: client.list_page(PODS), lambda: client.open_watch(PODS)):
        with pytest.raises(TransportError) as found:
            attempt()
        assert found.value.reason == "tls"
        assert "certificate is not signed by" in str(found.value)


def test_a_certificate_for_another_name_is_refused(tls_server: Any, authority: trustme.CA) -> None:
    ca = authority.cert_pem.bytes()
    with pytest.raises(TransportError, match="another name"):
        RESTClient(ClientConfig(tls_server.url.replace("127.0.0.1", "localhost"), ca_data=ca)).list_page(PODS)


def test_the_server_may_be_known_by_another_name(servers: Any, authority: trustme.CA) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("api.internal").configure_cert(context)
    server = servers.start(context)
    server.answers(lambda exchange: exchange.reply(200))
    ca = authority.cert_pem.bytes()
    client = RESTClient(ClientConfig(server.url, ca_data=ca, tls_server_name="api.internal"))
    assert client.list_page(PODS) == b"{}"
    client.close()


def test_an_unchecked_certificate_is_said_once(tls_server: Any, caplog: pytest.LogCaptureFixture) -> None:
    tls_server.answers(lambda exchange: exchange.reply(200))
    client = RESTClient(ClientConfig(tls_server.url, insecure_skip_tls_verify=True))
    client.list_page(PODS)
    client.list_page(PODS)
    client.close()
    assert caplog.text.count("is not checked") == 1


def test_tls_to_a_plain_port_is_one_clear_line(server: Any) -> None:
    server.answers(lambda exchange: exchange.reply(200))
    with pytest.raises(TransportError, match="does not speak TLS"):
        RESTClient(ClientConfig(server.url.replace("http:", "https:"))).list_page(PODS)


@pytest.mark.parametrize("form", ["data", "files"])
def test_a_client_certificate_is_shown(
    servers: Any, authority: trustme.CA, tmp_path: Path, form: str
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    server = servers.start(context)
    server.answers(
        lambda exchange: exchange.reply(200, json.dumps(exchange.connection.getpeercert()).encode())
    )
    ada = authority.issue_cert("ada@example.com", common_name="ada")
    cert, key = ada.cert_chain_pems[0].bytes(), ada.private_key_pem.bytes()
    ca = authority.cert_pem.bytes()
    if form == "data":
        config = ClientConfig(server.url, ca_data=ca, cert_data=cert, key_data=key)
    else:
        (tmp_path / "c").write_bytes(cert)
        (tmp_path / "k").write_bytes(key)
        config = ClientConfig(
            server.url, ca_data=ca, cert_file=str(tmp_path / "c"), key_file=str(tmp_path / "k")
        )
    client = RESTClient(config)
    assert "ada" in str(client.get().abs_path("/x").do().into()["subject"])
    client.close()
    with pytest.raises(TransportError):
        RESTClient(ClientConfig(server.url, ca_data=ca)).list_page(PODS)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ca_data": b"nonsense"}, "no certificate in PEM form"),
        ({"ca_file": "/nowhere/ca.crt"}, "/nowhere/ca.crt cannot be read"),
        ({"ca_data": b"x", "insecure_skip_tls_verify": True}, "keep one of the two"),
        ({"cert_data": b"x"}, "without its key"),
        ({"key_data": b"x"}, "without its certificate"),
        ({"cert_data": b"x", "key_data": b"y"}, "do not form a pair"),
        ({"cert_file": "/nowhere/c", "key_data": b"y"}, "/nowhere/c cannot be read"),
    ],
)
def test_a_tls_configuration_that_cannot_work_is_refused_at_once(
    fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        RESTClient(ClientConfig("https://127.0.0.1:1", **fields))


@pytest.mark.parametrize("host", ["", "127.0.0.1:6443", "ftp://h", "https://"])
def test_what_is_no_url_is_refused_at_once(host: str) -> None:
    with pytest.raises(ConfigError, match="not a server's URL"):
        RESTClient(ClientConfig(host))


def test_loopback_is_never_reached_through_a_proxy(
    server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server.answers(lambda exchange: exchange.reply(200))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login eve password x")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert RESTClient(ClientConfig(server.url)).list_page(PODS) == b"{}"
    assert server.requests[0].headers["Authorization"] is None


def test_the_configured_proxy_is_used(servers: Any) -> None:
    proxy = servers.start()
    proxy.answers(lambda exchange: exchange.reply(200, b'{"via":"proxy"}'))
    client = RESTClient(ClientConfig("http://api.invalid:8080", proxy_url=proxy.url))
    assert client.list_page(PODS) == b'{"via":"proxy"}'
    with client.open_watch(PODS) as stream:
        assert stream.read() == b'{"via":"proxy"}'
    assert proxy.requests[0].path == "http://api.invalid:8080/api/v1/pods"


def test_the_environments_proxy_is_used_unless_no_proxy_says_otherwise(
    servers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = servers.start()
    proxy.answers(lambda exchange: exchange.reply(200, b'{"via":"proxy"}'))
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("no_proxy", "other.invalid")
    assert RESTClient(ClientConfig("http://api.invalid")).list_page(PODS) == b'{"via":"proxy"}'
    with pytest.raises(TransportError) as found:
        RESTClient(ClientConfig("http://other.invalid")).list_page(PODS)
    assert found.value.reason == "dns"


def test_a_dead_peer_is_found_by_tcp(server: Any, client: RESTClient) -> None:
    server.answers(lambda exchange: exchange.reply(200))
    with client.open_watch(PODS) as stream:
        sock = stream._handle
        assert sock is not None
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == KEEPALIVE_IDLE_S
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == USER_TIMEOUT_MS


def test_one_client_serves_many_threads(server: Any, client: RESTClient) -> None:
    server.answers(lambda exchange: exchange.reply(200, exchange.path.encode()))
    wrong: list[bytes] = []

    def work(number: int) -> None:
        for _ in range(10):
            raw = client.get().abs_path(f"/{number}").do().raw
            if raw != f"/{number}".encode():
                wrong.append(raw)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert not wrong


def test_a_closed_client_holds_no_connection_even_if_an_error_is_kept(server: Any) -> None:
    gone = threading.Event()

    def answer(exchange: Any) -> None:
        exchange.reply(403)
        exchange.wait_for_peer()
        gone.set()

    server.answers(answer)
    client = RESTClient(ClientConfig(server.url))
    with pytest.raises(StatusError) as kept:
        client.list_page(PODS)
    client.close()
    assert gone.wait(5)
    assert kept.value.is_forbidden


def test_a_client_refuses_to_be_pickled(client: RESTClient) -> None:
    with pytest.raises(TypeError, match="pickle its config"):
        pickle.dumps(client)
