"""Failures of requests as errors with a one-line text: StatusError (the server answered) or TransportError.

Pure: takes what happened, returns the error. Texts of the server are cut and stripped of control
characters, so that they can be printed on a terminal.
"""

import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
import urllib3.exceptions

from deltawire.client.rest.decode import decoder_of
from deltawire.common.errors import StatusError, TransportError

ERROR_TEXT_CHARS_MAX = 500

# The reason by HTTP code, for an answer without one.
_REASONS = {
    400: "BadRequest",
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    405: "MethodNotAllowed",
    406: "NotAcceptable",
    409: "Conflict",
    410: "Gone",
    413: "RequestEntityTooLarge",
    415: "UnsupportedMediaType",
    422: "Invalid",
    429: "TooManyRequests",
    503: "ServiceUnavailable",
    504: "Timeout",
}

# The code of a Status that has none; a reason that is not here means 500.
_CODES = {reason: code for code, reason in _REASONS.items()} | {"Expired": 410, "AlreadyExists": 409}

# OpenSSL's verification codes that a person can act on (X509_V_ERR_…).
_NOT_SIGNED_BY_CA = frozenset({2, 18, 19, 20, 21})
_EXPIRED, _NOT_YET_VALID = 10, 9
_OTHER_HOST = frozenset({62, 63, 64})


class _Status(msgspec.Struct):
    """The fields of a Status that an error is made of."""

    kind: str = ""
    status: str = ""
    message: str = ""
    reason: str = ""
    details: dict[str, Any] | None = None
    code: int = 0


_status = decoder_of(_Status)


def status_of(body: bytes, *, needs_kind: bool = True) -> StatusError | None:
    """The failure that a Status in ``body`` reports; None where it is no Status or one of success.

    Also for the object of a watch's ERROR event. Where nothing but a Status can be, it may come without its
    kind: ``needs_kind`` off.
    """
    try:
        status: _Status = _status(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if (needs_kind and status.kind != "Status") or status.status == "Success":
        return None
    code = status.code or _CODES.get(status.reason, 500)
    details = status.details or {}
    after_s = details.get("retryAfterSeconds")
    return StatusError(
        code,
        status.reason or _reason(code, ""),
        _printable(status.message) or f"the server answered {code} without a message",
        details=details,
        retry_after_s=float(after_s) if isinstance(after_s, int) and after_s > 0 else None,
    )


def status_error(method: str, path: str, code: int, headers: Mapping[str, str], body: bytes) -> StatusError:
    """The error for an answer outside 2xx: the server's Status if it sent one, else made from the code."""
    error = status_of(body)
    if error is None:
        error = StatusError(code, _reason(code, method), f"{method} {path}: {_phrase(code, body)}")
    error.code = code
    from_header_s = retry_after_s(headers)
    if from_header_s is not None:
        error.retry_after_s = from_header_s
    if code == 401:
        error.hint = "the server did not accept the token or client certificate"
    return error


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds; None where it is missing or not a plain number."""
    value = headers.get("Retry-After", "").strip()
    return float(value) if value.isascii() and value.isdecimal() else None


def transport_error(exc: BaseException, host: str) -> TransportError:
    """The error for a request that got no whole answer, from whatever requests and urllib3 wrapped it in."""
    chain = list(_chain(exc))
    for link in chain:
        if isinstance(link, ssl.SSLCertVerificationError):
            return TransportError(f"{host}: {_verification(link)}", reason="tls")
        if isinstance(link, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return TransportError(f"{host} cut the connection", reason="reset")
        if isinstance(link, ssl.SSLError):
            return TransportError(f"{host}: {_handshake(link)}", reason="tls")
    for link in chain:
        found = _socket_failure(link, host)
        if found is not None:
            return found
    if any(isinstance(link, urllib3.exceptions.ProxyError) for link in chain):
        return TransportError(f"the proxy on the way to {host} refused the connection", reason="proxy")
    if any(isinstance(link, _CUT) for link in chain):
        return TransportError(f"{host} cut the connection", reason="reset")
    if any(isinstance(link, urllib3.exceptions.DecodeError) for link in chain):
        return TransportError(f"{host} sent an answer that cannot be unpacked", reason="garbage")
    return TransportError(f"no answer from {host}: {type(chain[-1]).__name__}")


_CUT = (
    urllib3.exceptions.ProtocolError,
    urllib3.exceptions.IncompleteRead,
    http.client.HTTPException,
    EOFError,
)


def _socket_failure(link: BaseException, host: str) -> TransportError | None:
    if isinstance(link, socket.gaierror):
        return TransportError(f"the name in {host} cannot be resolved", reason="dns")
    if isinstance(link, ConnectionRefusedError):
        return TransportError(
            f"connection refused by {host}", reason="refused", hint="is the API server running?"
        )
    is_time_out = isinstance(link, urllib3.exceptions.ConnectTimeoutError)
    # urllib3 derives its "no connection at all" from its time-out, for compatibility only.
    if is_time_out and not isinstance(link, urllib3.exceptions.NewConnectionError):
        return TransportError(f"{host} did not accept the connection in time", reason="timeout")
    if isinstance(link, TimeoutError | urllib3.exceptions.ReadTimeoutError):
        return TransportError(f"{host} went silent", reason="timeout")
    if isinstance(link, ConnectionError | http.client.RemoteDisconnected):
        return TransportError(f"{host} cut the connection", reason="reset")
    if type(link) is OSError and link.errno is not None:
        return TransportError(f"{host} cannot be reached: {link.strerror}", reason="unreachable")
    return None


def _verification(error: ssl.SSLCertVerificationError) -> str:
    code = error.verify_code
    if code in _NOT_SIGNED_BY_CA:
        return "the server's certificate is not signed by the given CA (or, without one, by a public one)"
    if code == _EXPIRED:
        return "the server's certificate has expired"
    if code == _NOT_YET_VALID:
        return "the server's certificate is not valid yet (is this machine's clock right?)"
    if code in _OTHER_HOST:
        return f"the server's certificate is for another name: {_printable(error.verify_message)}"
    return f"the server's certificate is refused: {_printable(error.verify_message)}"


def _handshake(error: ssl.SSLError) -> str:
    reason = getattr(error, "reason", None) or ""
    if reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE"):
        return "the server does not speak TLS on this port (is it http?)"
    if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason or "BAD_CERTIFICATE" in reason:
        return f"the server refused our client certificate, or wants one ({reason.lower()})"
    return f"TLS failed: {reason.lower().replace('_', ' ') or 'unknown reason'}"


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """``exc`` and all that it was made from: causes, contexts, and what urllib3 keeps in its attributes."""
    waiting, seen = [exc], set()
    while waiting:
        link = waiting.pop(0)
        if id(link) in seen:
            continue
        seen.add(id(link))
        yield link
        inner = [link.__cause__, link.__context__, getattr(link, "reason", None), *link.args]
        waiting += [found for found in inner if isinstance(found, BaseException)]


def _reason(code: int, method: str) -> str:
    if code == 409 and method == "POST":
        return "AlreadyExists"
    return _REASONS.get(code, "InternalError" if code >= 500 else "Unknown")


def _phrase(code: int, body: bytes) -> str:
    text = _printable(body[: 4 * ERROR_TEXT_CHARS_MAX].decode("utf-8", errors="replace"))
    if text.startswith("<"):
        return f"the answer is a web page with code {code} (is this the URL of an API server?)"
    if code == 404:
        return "the server has nothing there"  # real servers say "404 page not found", in plain text
    if text:
        return f"{code} {text}"
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return f"{code} without a message"


def _printable(text: str) -> str:
    """One line of at most ERROR_TEXT_CHARS_MAX characters without control characters."""
    line = " ".join(text.split())
    return "".join(c for c in line[:ERROR_TEXT_CHARS_MAX] if c.isprintable())
