"""One exchange with the API server, whatever carries it: what an answer means, and whether a call is sent again. Pure.

Not here: sockets and threads (``client``), the event loop (client/aio).
"""

from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import urlencode

from deltawire.client.rest.call import Call
from deltawire.client.rest.failures import status_error
from deltawire.client.rest.retry import RetryPolicy
from deltawire.client.rest.warnings import WarningHandler, parse_warnings
from deltawire.common.errors import CapacityError, DeltawireError, TransportError

ANSWER_BYTES_MAX = 512 * 1024 * 1024
ERROR_BODY_BYTES_MAX = 64 * 1024


class Attempts:
    """The attempts of one call: after each failure, whether and when there is another."""

    def __init__(self, call: Call, policy: RetryPolicy) -> None:
        self._method = call.method
        self._policy = call.retry or policy
        self._retries = 0
        self._is_refreshed = False
        self._previous: DeltawireError | None = None

    @property
    def number(self) -> int:
        """Of the attempt that is under way, from 1; one with fresh credentials is none of its own."""
        return self._retries + 1

    @property
    def may_refresh(self) -> bool:
        """Fresh credentials may still be tried: once a call."""
        return not self._is_refreshed

    def refreshed(self) -> None:
        """The next attempt has fresh credentials."""
        self._is_refreshed = True

    def delay_s(self, error: DeltawireError) -> float | None:
        """Seconds until the next attempt; None: ``error`` is final (`final`)."""
        return self._policy.delay_s(error, method=self._method, retries=self._retries)

    def again(self, error: DeltawireError) -> None:
        """The delay after ``error`` is over."""
        self._previous = error
        self._retries += 1

    def final(self, error: DeltawireError) -> DeltawireError:
        """``error`` to be raised, with a note of the one before where that was another."""
        if self._previous is not None and str(self._previous) != str(error):
            error.add_note(f"error from a previous attempt: {self._previous}")
        return error


def url_of(root: str, call: Call) -> str:
    """``root`` is the server's URL with its prefix, without a slash at the end."""
    query = f"?{urlencode(call.params)}" if call.params else ""
    return root + call.path + query


def hear_warnings(call: Call, header: str | None, otherwise: WarningHandler) -> None:
    """Give the warnings of an answer to the call's handler, or the client's."""
    if header:
        for warning in parse_warnings(header):
            (call.on_warning or otherwise)(warning)


def is_success(code: int) -> bool:
    return HTTPStatus.OK <= code < HTTPStatus.MULTIPLE_CHOICES


def refuse_page(call: Call, origin: str, content_type: str) -> None:
    """Raises TransportError for a web page: a login page of a proxy says 200, too."""
    if content_type.startswith("text/html"):
        raise TransportError(
            f"{call.method} {call.path}: {origin} answers with a web page",
            reason="garbage",
            hint="is this the URL of an API server?",
        )


def failure_of(call: Call, code: int, headers: Mapping[str, str], body: bytes) -> DeltawireError:
    """The error that an answer with the code of a failure is."""
    return status_error(call.method, call.path, code, headers, body)


def too_large(call: Call, bytes_max: int) -> CapacityError:
    return CapacityError(
        f"{call.method} {call.path}: the answer is larger than {bytes_max} bytes", hint="use limit and continue"
    )
