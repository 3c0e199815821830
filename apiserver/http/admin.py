"""Endpoints for tests and demos under ``/_deltawire/``: what came in, what is stored, and faults on demand.

They answer loopback clients only. Not part of any Kubernetes API.
"""

import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import msgspec
from aiohttp import web

from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.failures import bad_request, method_not_allowed
from deltawire.apiserver.faults.fault import Fault
from deltawire.apiserver.faults.plan import FaultPlan
from deltawire.apiserver.http import queries
from deltawire.apiserver.http.request_log import RequestLog
from deltawire.apiserver.http.streams import OpenStreams
from deltawire.common.errors import StatusError

PREFIX = "/_deltawire/"


class Churn(Protocol):
    """The part of the simulated cluster that can be asked for another pace."""

    async def set_rate(self, per_s: float) -> None: ...

    def report(self) -> dict[str, Any]: ...


class AdminHandlers:
    """GET requests, stats, faults; POST compact, cut, rewind, bookmark, churn, clear, faults; DELETE faults."""

    def __init__(
        self, core: ApiCore, log: RequestLog, streams: OpenStreams, churn: Churn, plan: FaultPlan
    ) -> None:
        self._plan = plan
        self._core = core
        self._log = log
        self._streams = streams
        self._churn = churn
        self._actions: dict[tuple[str, str], Callable[[web.Request], Awaitable[Any]]] = {
            ("GET", "requests"): self._requests,
            ("GET", "stats"): self._stats,
            ("POST", "compact"): self._compact,
            ("POST", "cut"): self._cut,
            ("POST", "rewind"): self._rewind,
            ("POST", "bookmark"): self._bookmark,
            ("POST", "churn"): self._set_churn,
            ("POST", "clear"): self._clear,
            ("GET", "faults"): self._faults,
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): self._clear_faults,
        }

    async def handle(self, request: web.Request) -> web.Response:
        if not _is_loopback(request.remote):
            raise StatusError(403, "Forbidden", "the admin endpoints answer loopback clients only")
        name = request.path.removeprefix(PREFIX).rstrip("/")
        action = self._actions.get((request.method, name))
        if action is None:
            if any(known == name for _, known in self._actions):
                raise method_not_allowed()
            raise web.HTTPNotFound(text="404 page not found")
        answer = await action(request)
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")

    async def _requests(self, request: web.Request) -> Any:
        return self._log.report()

    async def _clear(self, request: web.Request) -> Any:
        self._log.clear()
        return {}

    async def _stats(self, request: web.Request) -> Any:
        return {
            "objects": self._core.counts(),
            "writes": self._core.store.writes,
            "resourceVersion": str(self._core.store.version),
            "watches": len(self._streams),
            "watches_lagged": self._streams.lagged,
            "churn": self._churn.report(),
        }

    async def _compact(self, request: web.Request) -> Any:
        self._core.compact(self._resource(request))
        return {"resourceVersion": str(self._core.store.version)}

    async def _cut(self, request: web.Request) -> Any:
        return {"cut": self._streams.cut(self._resource(request))}

    async def _rewind(self, request: web.Request) -> Any:
        self._core.rewind(queries.number(request.query, "version"))
        return {"resourceVersion": str(self._core.store.version), "cut": self._streams.cut()}

    async def _bookmark(self, request: web.Request) -> Any:
        return {"asked": self._streams.bookmark(self._resource(request))}

    async def _set_churn(self, request: web.Request) -> Any:
        text = request.query.get("rate", "")
        try:
            rate = float(text)
        except ValueError:
            rate = -1.0
        if not 0 <= rate < float("inf"):
            raise bad_request(f"rate: {text!r} is not a number of writes a second")
        await self._churn.set_rate(rate)
        return {"resourceVersion": str(self._core.store.version), "churn": self._churn.report()}

    async def _faults(self, request: web.Request) -> Any:
        return {"faults": [fault.as_tree() for fault in self._plan.faults], "met": self._plan.met}

    async def _add_fault(self, request: web.Request) -> Any:
        query = request.query
        fault = Fault(
            kind=query.get("kind", ""),
            value=_number(query, "value"),
            resource=self._resource(request),
            verb=query.get("verb", ""),
            count=queries.number(query, "count") if "count" in query else None,
            path=query.get("path", ""),
            user=query.get("user", ""),
            share=1.0 if (share := _number(query, "share")) is None else share,
            lasts_s=_number(query, "lasts_s"),
            reason=query.get("reason", ""),
            message=query.get("message", ""),
        )
        return self._plan.add(fault).as_tree()

    async def _clear_faults(self, request: web.Request) -> Any:
        return {"cleared": self._plan.clear(queries.number(request.query, "id"))}

    def _resource(self, request: web.Request) -> str:
        """The named resource, "" for all. Raises StatusError 404 for one that is not served."""
        name = request.query.get("resource", "")
        return self._core.resource(name).storage if name else ""


def _number(query: Mapping[str, str], name: str) -> float | None:
    """A parameter as a number, None if it is absent. Raises StatusError 400."""
    try:
        return float(query[name]) if name in query else None
    except ValueError:
        raise bad_request(f"{name}: {query[name]!r} is not a number") from None


def _is_loopback(remote: str | None) -> bool:
    try:
        return remote is not None and ipaddress.ip_address(remote.partition("%")[0]).is_loopback
    except ValueError:
        return False
