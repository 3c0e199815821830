import json
from typing import Any

import pytest

from deltawire.client.transport import channels
from deltawire.client.transport.forwarding import ForwardedPort, parse_port
from deltawire.common.errors import ConfigError, StatusError, TransportError


def status(**fields: Any) -> bytes:
    return json.dumps({"kind": "Status", "apiVersion": "v1", **fields}).encode()


def exited(message: str, reason: str = "ExitCode") -> bytes:
    causes = [{"reason": "Other"}, {"reason": reason, "message": message}]
    return status(status="Failure", reason="NonZeroExitCode", details={"causes": causes})


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"", 0), (status(status="Success"), 0), (exited("1"), 1), (exited("255"), 255), (exited("0"), 0)],
)
def test_the_status_says_the_exit_code(body: bytes, code: int):
    assert channels.exit_code_of(body) == code


@pytest.mark.parametrize(
    "body",
    [
        b"command terminated",
        b"[]",
        b"\xff",
        status(),
        exited("256"),
        exited("-1"),
        exited("many"),
        exited("1", reason="Else"),
        status(status="Failure", reason="NonZeroExitCode"),
        b'{"status":"Maybe"}',
    ],
)
def test_a_status_that_cannot_be_read_is_no_success(body: bytes):
    with pytest.raises(TransportError, match="end of the command cannot be read") as found:
        channels.exit_code_of(body)
    assert found.value.reason == "garbage"


def test_another_failure_is_the_servers_own_error():
    with pytest.raises(StatusError, match="container not found") as found:
        channels.exit_code_of(
            status(status="Failure", reason="NotFound", code=404, message="container not found")
        )
    assert found.value.is_not_found


def test_kubelets_send_failures_without_a_kind():
    body = (
        b'{"metadata":{},"status":"Failure","message":"no such program","reason":"InternalError","code":500}'
    )
    with pytest.raises(StatusError, match="no such program") as found:
        channels.exit_code_of(body)
    assert (found.value.code, found.value.reason) == (500, "InternalError")


def test_messages_are_a_channel_and_data():
    assert channels.frame(channels.STDIN, b"abc") == b"\x00abc"
    assert channels.unframe(b"\x01abc") == (channels.STDOUT, b"abc")
    assert channels.unframe(b"\x02") == (channels.STDERR, b"")
    assert channels.unframe(b"\xff\x01") == (channels.CLOSE, b"\x01")
    assert channels.close_stdin() == b"\xff\x00"
    assert channels.resize(80, 24) == b'\x04{"Width":80,"Height":24}'


def test_an_empty_message_means_nothing_and_an_unknown_channel_is_said(caplog: pytest.LogCaptureFixture):
    assert channels.unframe(b"") is None
    assert channels.unframe(b"\x09x") is None
    assert "unknown channel 9" in caplog.text


def test_text_is_refused():
    with pytest.raises(TransportError, match="text"):
        channels.unframe("hello")


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("5000", ForwardedPort(5000, 5000)),
        ("8888:5000", ForwardedPort(8888, 5000)),
        ("0:5000", ForwardedPort(0, 5000)),
        (":5000", ForwardedPort(0, 5000)),
        ("65535:65535", ForwardedPort(65535, 65535)),
    ],
)
def test_a_port_is_written_as_in_kubectl(text: str, port: ForwardedPort):
    assert parse_port(text) == port


@pytest.mark.parametrize(
    "text", ["", ":", "0", "80:0", "65536", "65536:80", "a:80", "80:a", "1:2:3", "-1", "80:", "８０"]
)
def test_what_is_no_port_is_refused(text: str):
    with pytest.raises(ConfigError, match="no port to forward"):
        parse_port(text)
