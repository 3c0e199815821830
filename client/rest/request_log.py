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
    outcome: object = ""
    try:
        response = send()
        outcome = response.status_code
    except Exception as error:
        outcome = type(error).__name__
        raise
    finally:
        took_ms = (clock.now_s() - began_s) * 1000
        log.debug("%s %s: %s after %.0f ms", request.method, request.url, outcome, took_ms)
    if log.isEnabledFor(HEADERS):
        log.log(HEADERS, "sent %s; received %s", shown(request.headers), shown(response.headers))
    return response


def shown(headers: Mapping[str, str]) -> str:
    """Headers as they may be logged."""
    return ", ".join(
        f"{name}: {'<redacted>' if name.lower() in _SECRET else value}"
        for name, value in sorted(headers.items())
    )
