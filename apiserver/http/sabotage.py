"""Carrying out the faults that meet a request before it is answered."""

import asyncio

from aiohttp import web

from deltawire.apiserver.faults.plan import DROP, ERROR, LATENCY, REQUEST_FAULTS, THROTTLE, Fault, FaultPlan
from deltawire.common.errors import StatusError

_KINDS = tuple(REQUEST_FAULTS)


async def meet(plan: FaultPlan, request: web.Request, resource: str, verb: str) -> None:
    """Wait, fail or hang up, as the plan has it. Raises StatusError 401, 429, 5xx, and ConnectionResetError."""
    if not plan.faults:
        return
    found = plan.take(_KINDS, resource, verb)
    for fault in found:
        if fault.kind == LATENCY:
            await asyncio.sleep(fault.amount)
    for fault in found:
        if fault.kind == DROP:
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError("dropped on purpose")
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
        code = int(fault.amount)
        reason = {503: "ServiceUnavailable", 504: "Timeout"}.get(code, "InternalError")
        return StatusError(code, reason, "an error on the server, made on purpose")
    return StatusError(401, "Unauthorized", "Unauthorized")
