"""Carrying out the faults that meet a request, before it is answered and after, and the failures that they make."""

import asyncio
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from deltawire.apiserver.core.failures import status_of
from deltawire.apiserver.faults.fault import (
    ANSWER_FAULTS,
    BARE_STATUS,
    DROP,
    ERROR,
    GARBAGE,
    HALF,
    LATENCY,
    REQUEST_FAULTS,
    SLOW,
    THROTTLE,
    WRONG_LENGTH,
    Came,
    Fault,
)
from deltawire.apiserver.faults.plan import FaultPlan
from deltawire.apiserver.http import json_texts
from deltawire.common.errors import StatusError

_KINDS = tuple(REQUEST_FAULTS)
_KINDS_AND_ANSWERS = (*_KINDS, *ANSWER_FAULTS)
# What comes in place of JSON.
NONSENSE = b"\x1f\x8b{not json\n"
# A slow answer is sent in so many pieces a second.
_PIECES_PER_S = 10
_NAME = "deltawire.faults"
# Newer releases of aiohttp want keys of their own, older ones have none.
_FOUND: Any = web.RequestKey(_NAME, list) if hasattr(web, "RequestKey") else _NAME


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
    kinds = _KINDS if verb == "watch" else _KINDS_AND_ANSWERS
    found = plan.take(kinds, Came(resource, verb, request.path, user))
    spoiling = [fault for fault in found if fault.kind in ANSWER_FAULTS]
    if spoiling:
        request[_FOUND] = spoiling
        found = [fault for fault in found if fault not in spoiling]
    for fault in found:
        if fault.kind == LATENCY:
            await asyncio.sleep(fault.amount)
    for fault in found:
        if fault.kind == DROP:
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("dropped on purpose")
        if fault.kind == BARE_STATUS:
            body = json_texts.written(msgspec.json.encode(status_of(given_failure(fault))), request)
            raise web.HTTPOk(text=body.decode(), content_type=json_texts.JSON)
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
        return given_failure(fault)
    return StatusError(401, "Unauthorized", "Unauthorized")


async def spoil(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """The answer as the faults that met its request have it. Raises ConnectionResetError for one that breaks off.

    Answers that are sent in pieces anyway (logs, very long lists) go as they are.
    """
    found: list[Fault] = request.get(_FOUND, [])
    if not found or not isinstance(response, web.Response) or response.prepared:
        return response
    body = response.body if isinstance(response.body, bytes) else b""
    if any(fault.kind == GARBAGE for fault in found):
        body = NONSENSE
    out = web.StreamResponse(status=response.status, headers=response.headers)
    out.headers.popall("Content-Length", None)
    beyond = sum(int(fault.amount) for fault in found if fault.kind == WRONG_LENGTH)
    breaks_off = any(fault.kind == HALF for fault in found)
    out.content_length = len(body) + beyond
    await out.prepare(request)
    slow = min((fault.amount for fault in found if fault.kind == SLOW), default=0.0)
    sent = body[: len(body) // 2] if breaks_off else body
    piece = max(int(slow / _PIECES_PER_S), 1) if slow else max(len(sent), 1)
    for start in range(0, len(sent), piece):
        await out.write(sent[start : start + piece])
        if slow:
            await asyncio.sleep(piece / slow)
    if (breaks_off or beyond) and request.transport is not None:
        request.transport.close()
        raise ConnectionResetError("broken off on purpose")
    return out


def given_failure(fault: Fault) -> StatusError:
    """What the fault says of the Status, and the usual where it says nothing."""
    usual = failure_of(int(fault.amount))
    return StatusError(usual.code, fault.reason or usual.reason, fault.message or usual.message)


def failure_of(code: int) -> StatusError:
    """With the reason that a real server gives with it; none where there is no code (0)."""
    return StatusError(code, _reason(code) if code else "", "an error on the server, made on purpose")


def _reason(code: int) -> str:
    if code in _REASONS:
        return _REASONS[code]
    known = {status.value: status.name for status in HTTPStatus}
    return known.get(code, "Unknown").title().replace("_", "")
