"""A log of requests and their results, one line each, to find slow or wrong requests.

``logging.getLogger("deltawire.client.rest.request_log").setLevel(logging.DEBUG)`` turns it on; with a level of
``HEADERS`` (5) the headers of both sides follow, without what proves who we are.
"""

import logging
from collections.abc import Callable, Mapping

import requests

from deltawire.common.clock import Clock

log = logging.getLogger(__name__)

HEADERS = 5  # below logging.DEBUG

# Their values are never shown. A proxy's or a server's cookie is a credential as well.
_SECRET = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})


def logged(
    request: requests.PreparedRequest, send: Callable[[], requests.Response], clock: Clock
) -> requests.Response:
    """``send()``, with a line about it. The time is until the answer's headers are there."""
    if not log.isEnabledFor(logging.DEBUG):
        return send()
    began_s = clock.now_s()
    try:
        response = send()
    except Exception as error:
        log_failure(request.method, request.url, error, clock.now_s() - began_s)
        raise
    log_answer(
        request.method,
        request.url,
        response.status_code,
        clock.now_s() - began_s,
        request.headers,
        response.headers,
    )
    return response


def log_answer(
    method: object, url: object, code: int, took_s: float, sent: Mapping[str, str], received: Mapping[str, str]
) -> None:
    """The line of an answer, and the headers of both sides where they are wanted."""
    log.debug("%s %s: %s after %.0f ms", method, url, code, took_s * 1000)
    if log.isEnabledFor(HEADERS):
        log.log(HEADERS, "sent %s; received %s", shown(sent), shown(received))


def log_failure(method: object, url: object, error: BaseException, took_s: float) -> None:
    """The line of a request without an answer."""
    log.debug("%s %s: %s after %.0f ms", method, url, type(error).__name__, took_s * 1000)


def shown(headers: Mapping[str, str]) -> str:
    """Headers as they may be logged."""
    return ", ".join(
        f"{name}: {'<redacted>' if name.lower() in _SECRET else value}"
        for name, value in sorted(headers.items())
    )
