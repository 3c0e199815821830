"""What a row of the Python list is, and how rows are run."""

import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Call:
    """``what`` in words, the call on a client's things, and a pattern of what comes out.

    The pattern is searched in ``str`` of the result; of an error in its class, its HTTP code and its reason.
    """

    what: str
    run: Callable[[Any], Any]
    gives: str


async def failures_of(calls: Sequence[Call], client: Any) -> list[str]:
    """Make all calls in order, also those after a failed one; one text for each with another outcome."""
    failed = []
    for call in calls:
        try:
            result = call.run(client)
            shown = str(await result if inspect.isawaitable(result) else result)
        except Exception as error:
            shown = _told(error)
        if not re.search(call.gives, shown):
            failed.append(f"{call.what}: no match for {call.gives!r} in {shown[:600]}")
    return failed


def _told(error: Exception) -> str:
    """As ``ApiException 409 Conflict``: each client keeps code and reason in another place."""
    status = getattr(error, "status", None)
    code = getattr(status, "code", status if isinstance(status, int) else None)
    reason = getattr(status, "reason", None)
    body = getattr(error, "body", None)
    if code is None and getattr(error, "response", None) is not None:
        code, body = error.response.status_code, error.response.text  # type: ignore[attr-defined]
    if reason is None and isinstance(body, str | bytes):
        text = body if isinstance(body, str) else body.decode()
        found = re.search(r'"reason":\s*"(\w+)"', text)
        reason = found[1] if found else ""
    return f"{type(error).__name__} {code} {reason}: {error}"
