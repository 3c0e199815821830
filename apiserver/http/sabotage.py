"""Carrying out the faults that meet a request before it is answered, and the failures that they make."""

import asyncio
from http import HTTPStatus

import msgspec
from aiohttp import web

from deltawire.apiserver.core.failures import status_of
from deltawire.apiserver.faults.plan import (
    BARE_STATUS,
    DROP,
    ERROR,
    LATENCY,
    REQUEST_FAULTS,
    THROTTLE,
    Came,
    Fault,
    FaultPlan,
)
from deltawire.common.errors import StatusError

_KINDS = tuple(REQUEST_FAULTS)


# The reason that a real server gives with a code; others by HTTP's name.
_REASONS = {
    400: "BadRequest", 409: "Conflict", 410: "Expired", 422: "Invalid", 429: "TooManyRequests",
    500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout",
}  # fmt: skip


async def meet(plan: FaultPlan, request: web.Request, user: str, resource: str = "", verb: str = "") -> None:
    """Wait, fail or hang up, as the plan has it. Raises StatusError 4xx, 5xx, HTTPOk for an
    answer that only looks well, and ConnectionResetError."""
    if not plan.faults:
        return
    found = plan.take(_KINDS, Came(resource, verb, request.path, user))
    for fault in found:
        if fault.kind == LATENCY:
            await asyncio.sleep(fault.amount)
    for fault in found:
        if fault.kind == DROP:
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("dropped on purpose")
        if fault.kind == BARE_STATUS:
            body = msgspec.json.encode(status_of(failure_of(int(fault.amount)))).decode()
            raise web.HTTPOk(text=body, content_type="application/json")
        if fault.kind != LATENCY:
            raise _failure(fault)


def _failure(fault: Fault) -> StatusError:
    if fault.kind == THROTTLE:
        told = "the server has received too many requests and has asked us to try again later"
        return StatusError(
            429,
            "TooManyRequests",
            told,
            details={"retryAfterSeconds": int(fault.amount)},
            retry_after_s=fault.amount,
        )
    if fault.kind == ERROR:
        return failure_of(int(fault.amount))
    return StatusError(401, "Unauthorized", "Unauthorized")


def failure_of(code: int) -> StatusError:
    """With the reason that a real server gives with it; none where there is no code (0)."""
    return StatusError(code, _reason(code) if code else "", "an error on the server, made on purpose")


def _reason(code: int) -> str:
    if code in _REASONS:
        return _REASONS[code]
    known = {status.value: status.name for status in HTTPStatus}
    return known.get(code, "Unknown").title().replace("_", "")
