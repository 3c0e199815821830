import http.client
import json
import socket
import ssl

import pytest
import requests
import urllib3.exceptions

from deltawire.client.rest.failures import (
    ERROR_TEXT_CHARS_MAX,
    retry_after_s,
    status_error,
    status_of,
    transport_error,
)
from deltawire.common.errors import StatusError


def status(**fields: object) -> bytes:
    return json.dumps({"kind": "Status", "apiVersion": "v1", "status": "Failure", **fields}).encode()


def error_of(code: int, body: bytes = b"", method: str = "GET", **headers: str) -> StatusError:
    return status_error(method, "/api/v1/pods", code, headers, body)


def test_the_servers_status_is_the_error():
    found = error_of(
        409, status(code=409, reason="Conflict", message="modified", details={"name": "a", "kind": "pods"})
    )
    assert (found.code, found.reason, found.message) == (409, "Conflict", "modified")
    assert found.details == {"name": "a", "kind": "pods"}
    assert found.is_conflict


@pytest.mark.parametrize(
    ("code", "method", "reason"),
    [
        (400, "GET", "BadRequest"),
        (401, "GET", "Unauthorized"),
        (403, "GET", "Forbidden"),
        (404, "GET", "NotFound"),
        (405, "GET", "MethodNotAllowed"),
        (406, "GET", "NotAcceptable"),
        (409, "POST", "AlreadyExists"),
        (409, "PUT", "Conflict"),
        (410, "GET", "Gone"),
        (415, "PATCH", "UnsupportedMediaType"),
        (422, "POST", "Invalid"),
        (429, "GET", "TooManyRequests"),
        (500, "GET", "InternalError"),
        (502, "GET", "InternalError"),
        (503, "GET", "ServiceUnavailable"),
        (504, "GET", "Timeout"),
        (418, "GET", "Unknown"),
        (302, "PUT", "Unknown"),
    ],
)
def test_without_a_status_the_code_says_the_reason(code: int, method: str, reason: str):
    assert error_of(code, b"plain", method).reason == reason
    assert error_of(code, status(code=code), method).reason in (reason, "Conflict")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"slow down\nplease", "GET /api/v1/pods: 500 slow down please"),
        (b"\x1b[31mred\x1b[0m", "GET /api/v1/pods: 500 [31mred[0m"),
        (b"<html><body>login</body></html>", "GET /api/v1/pods: the answer is a web page with code 500"),
        (b"", "GET /api/v1/pods: 500 Internal Server Error"),
        (b"\xff\xfe", "GET /api/v1/pods: 500 \N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"),
        (b'{"kind":"Status","details":[]}', 'GET /api/v1/pods: 500 {"kind":"Status","details":[]}'),
        (b'{"kind":"Status","status":"Success"}', 'GET /api/v1/pods: 500 {"kind"'),
    ],
)
def test_a_body_that_is_no_status_is_one_printable_line(body: bytes, text: str):
    assert str(error_of(500, body)).startswith(text)


def test_a_page_not_found_is_not_quoted():
    assert str(error_of(404, b"404 page not found")) == "GET /api/v1/pods: the server has nothing there"


def test_a_long_text_is_cut():
    assert len(error_of(500, b"x" * 10_000).message) < ERROR_TEXT_CHARS_MAX + 50


def test_a_code_that_http_does_not_know_is_no_crash():
    assert "599" in str(error_of(599))


def test_the_header_wins_over_the_details_for_when_to_come_back():
    body = status(code=429, details={"retryAfterSeconds": 7})
    assert error_of(429, body).retry_after_s == 7
    assert error_of(429, body, **{"Retry-After": "2"}).retry_after_s == 2
    assert error_of(429).retry_after_s is None


@pytest.mark.parametrize("text", ["", "soon", "-1", "1.5", "Wed, 21 Oct 2015 07:28:00 GMT", "²"])
def test_a_date_is_no_retry_after(text: str):
    assert retry_after_s({"Retry-After": text}) is None


@pytest.mark.parametrize(
    "body", [b"", b"nonsense", b"[]", b'{"kind":"Pod"}', b'{"kind":"Status","status":"Success"}']
)
def test_what_is_no_failure_is_none(body: bytes):
    assert status_of(body) is None


def test_the_object_of_an_error_event_is_a_failure():
    found = status_of(status(code=410, reason="Expired", message="too old resource version"))
    assert found is not None
    assert found.is_expired
    assert not found.retryable


def verification(code: int, message: str) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "verify failed")
    error.verify_code, error.verify_message = code, message
    return error


def ssl_error(reason: str) -> ssl.SSLError:
    error = ssl.SSLError(1, "x")
    error.reason = reason
    return error


class Pool:
    """urllib3's errors name the pool that they come from."""


@pytest.mark.parametrize(
    ("cause", "reason", "text"),
    [
        (ConnectionRefusedError(111, "x"), "refused", "connection refused by https://h"),
        (ConnectionResetError(104, "x"), "reset", "cut"),
        (BrokenPipeError(32, "x"), "reset", "cut"),
        (http.client.RemoteDisconnected("x"), "reset", "cut"),
        (http.client.IncompleteRead(b""), "reset", "cut"),
        (http.client.BadStatusLine("x"), "reset", "cut"),
        (socket.gaierror(-2, "x"), "dns", "cannot be resolved"),
        (TimeoutError(110, "x"), "timeout", "silent"),
        (urllib3.exceptions.ReadTimeoutError(Pool(), "u", "x"), "timeout", "silent"),
        (urllib3.exceptions.ConnectTimeoutError(Pool(), "x"), "timeout", "did not accept"),
        (OSError(113, "No route to host"), "unreachable", "No route to host"),
        (urllib3.exceptions.ProxyError("x", Exception()), "proxy", "proxy"),
        (urllib3.exceptions.DecodeError("x"), "garbage", "unpacked"),
        (verification(20, "x"), "tls", "not signed by the given CA"),
        (verification(18, "x"), "tls", "not signed by the given CA"),
        (verification(10, "x"), "tls", "expired"),
        (verification(9, "x"), "tls", "not valid yet"),
        (verification(62, "not valid for 'h'"), "tls", "another name: not valid for 'h'"),
        (verification(99, "odd"), "tls", "refused: odd"),
        (ssl_error("WRONG_VERSION_NUMBER"), "tls", "does not speak TLS"),
        (ssl_error("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "tls", "client certificate"),
        (ssl.SSLEOFError(8, "x"), "reset", "cut"),
        (ssl_error("INTERNAL"), "tls", "TLS failed: internal"),
        (RuntimeError("x"), "", "RuntimeError"),
    ],
)
@pytest.mark.parametrize("wrapping", ["bare", "args", "cause"])
def test_a_missing_answer_is_explained_by_its_innermost_cause(
    cause: Exception, reason: str, text: str, wrapping: str
):
    error: Exception = cause
    if wrapping == "args":
        error = requests.ConnectionError(urllib3.exceptions.MaxRetryError(Pool(), "/u", cause))
    elif wrapping == "cause":
        error = requests.ConnectionError("outer")
        error.__cause__ = cause
    found = transport_error(error, "https://h")
    assert found.reason == reason
    assert text in str(found)
    assert found.retryable


def test_a_chain_that_bites_its_tail_is_read_once():
    error = RuntimeError("x")
    error.__context__ = requests.ConnectionError(error)
    assert transport_error(error, "https://h").reason == ""
