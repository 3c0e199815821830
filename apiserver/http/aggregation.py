"""API services: versions of groups that another server answers for; requests go there and back.

The other server is told who asks in the headers of a proxy that it trusts (``X-Remote-User``, ``X-Remote-Group``).
"""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import aiohttp
from aiohttp import web

from deltawire.apiserver.admission.calls import CallFailed, Place, context_of, place_of
from deltawire.apiserver.auth.users import User
from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.metadata import timestamp
from deltawire.common.errors import StatusError

Tree = dict[str, Any]

API_SERVICES = "apiservices.apiregistration.k8s.io"
# How often services are looked at: a test that waits for Available need not wait long.
CHECK_EVERY_S = 1.0
CHECK_TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 10.0
_log = logging.getLogger(__name__)
# These belong to one connection, or say who somebody else is.
_OWN_HEADERS = (
    *("authorization", "connection", "content-length", "host", "keep-alive", "proxy-authorization"),
    *("te", "trailer", "transfer-encoding", "upgrade"),
)
_TELLS_WHO = ("impersonate-", "x-remote-")
_UNAVAILABLE = "service unavailable"


class Served(NamedTuple):
    """A version of a group that a service answers for."""

    group: str
    version: str
    spec: Tree


class Condition(NamedTuple):
    status: str
    reason: str
    message: str


class Aggregation:
    """Knows which paths are others' to answer, passes requests on, and keeps ``Available`` true."""

    def __init__(self, core: ApiCore) -> None:
        self._core = core

    def served(self) -> list[Served]:
        """What services answer for. Groups of this server itself are not among them."""
        own = {(r.type.group, r.type.version) for r in self._core.catalogue} if self._records else set()
        found = []
        for record in self._records.values():
            spec = record.decode().get("spec") or {}
            known = Served(str(spec.get("group") or ""), str(spec.get("version") or ""), spec)
            if spec.get("service") and known.group and known[:2] not in own:
                found.append(known)
        return found

    def find(self, path: str) -> Served | None:
        """Who answers for a path."""
        if not self._records:
            return None
        parts = path.split("/")
        if len(parts) < 4 or parts[1] != "apis":
            return None
        return next((known for known in self.served() if [known.group, known.version] == parts[2:4]), None)

    def groups(self) -> list[Tree]:
        """The groups that others serve, as `/apis` lists them: best version first."""
        by_name: dict[str, list[Served]] = {}
        for known in self.served():
            by_name.setdefault(known.group, []).append(known)
        listed = []
        for name, versions in by_name.items():
            versions.sort(key=lambda known: -int(known.spec.get("versionPriority") or 0))
            rows = [{"groupVersion": f"{name}/{v.version}", "version": v.version} for v in versions]
            listed.append({"name": name, "versions": rows, "preferredVersion": rows[0]})
        return listed

    async def pass_on(self, request: web.Request, user: User, known: Served) -> web.StreamResponse:
        """The other server's answer as it comes. Raises StatusError 503 where there is none."""
        try:
            place, context = self._where(known)
        except CallFailed:
            raise _down() from None
        headers = [(k, v) for k, v in request.headers.items() if _is_passed(k)]
        headers += [("X-Remote-User", user.name), *(("X-Remote-Group", group) for group in user.groups)]
        body = await request.read()
        timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT_TIMEOUT_S)
        response: web.StreamResponse | None = None
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session,
                session.request(
                    request.method,
                    f"{place.address}{request.raw_path}",
                    data=body or None,
                    headers=headers,
                    ssl=context,
                    server_hostname=place.name or None,
                    allow_redirects=False,
                ) as answer,
            ):
                response = web.StreamResponse(status=answer.status, reason=answer.reason)
                for name, value in answer.headers.items():
                    if _is_passed(name):
                        response.headers.add(name, value)
                await response.prepare(request)
                async for piece in answer.content.iter_any():
                    await response.write(piece)
                await response.write_eof()
                return response
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            if response is not None and response.prepared:
                raise ConnectionError("the other server broke off") from error
            raise _down() from error

    async def running(self, app: web.Application) -> AsyncIterator[None]:
        """For an application's cleanup context: conditions are kept true while it runs."""
        task = asyncio.create_task(self._keep_conditions())
        yield
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    @property
    def _records(self) -> Any:
        return self._core.store.table(API_SERVICES).records

    def _where(self, known: Served) -> tuple[Place, ssl.SSLContext | bool]:
        """Raises CallFailed."""
        place = place_of(self._core.store, {"service": {"port": 443, **known.spec["service"], "path": "/"}})
        place = place._replace(address=place.address.removesuffix("/"))
        if known.spec.get("insecureSkipTLSVerify"):
            return place, False
        try:
            return place, context_of(str(known.spec.get("caBundle") or ""))
        except (ValueError, ssl.SSLError):
            raise CallFailed("unable to load root certificates") from None

    async def _keep_conditions(self) -> None:
        while True:
            for name, record in list(self._records.items()):
                try:
                    await self._look(name.removeprefix("/"), record.decode())
                except StatusError as error:
                    # Changed or deleted meanwhile: the next look sees what is there then.
                    _log.debug("the condition of API service %s is not written: %s", name, error)
            await asyncio.sleep(CHECK_EVERY_S)

    async def _look(self, name: str, obj: Tree) -> None:
        spec = obj.get("spec") or {}
        if not spec.get("service"):
            found = Condition("True", "Local", "Local APIServices are always available")
        else:
            found = await self._condition(
                Served(str(spec.get("group") or ""), str(spec.get("version") or ""), spec)
            )
        conditions = (obj.get("status") or {}).get("conditions") or []
        before: Tree = next((c for c in conditions if c.get("type") == "Available"), {})
        if tuple(before.get(key) for key in ("status", "reason", "message")) == found:
            return
        since = before.get("lastTransitionTime") if before.get("status") == found.status else None
        made = {
            "type": "Available",
            "status": found.status,
            "lastTransitionTime": since or timestamp(self._core.now()),
            "reason": found.reason,
            "message": found.message,
        }
        others = [c for c in conditions if c.get("type") != "Available"]
        status = {**(obj.get("status") or {}), "conditions": [*others, made]}
        self._core.update(API_SERVICES, {**obj, "status": status}, name, subresource="status")

    async def _condition(self, known: Served) -> Condition:
        """Whether the other server answers for its version."""
        service = known.spec["service"]
        namespace, name = str(service.get("namespace") or ""), str(service.get("name") or "")
        if f"{namespace}/{name}" not in self._core.store.table("services").records:
            told = f'service/{name} in "{namespace}" is not present'
            return Condition("False", "ServiceNotFound", told)
        path = f"/apis/{known.group}/{known.version}"
        try:
            place, context = self._where(known)
        except CallFailed as error:
            return Condition("False", "MissingEndpoints", str(error))
        url = f"{place.address}{path}"
        begins = f"failing or missing response from {url}: "
        try:
            async with (
                asyncio.timeout(CHECK_TIMEOUT_S),
                aiohttp.ClientSession() as session,
                session.get(url, ssl=context, server_hostname=place.name or None) as answer,
            ):
                # Whoever answers is there, also where it first wants to know who asks.
                if answer.status < 300 or answer.status in (401, 403):
                    return Condition("True", "Passed", "all checks passed")
                told = f"{begins}bad status from {url}: {answer.status}"
        except TimeoutError:
            told = f'{begins}Get "{url}": context deadline exceeded'
        except (aiohttp.ClientError, ValueError) as error:
            told = f'{begins}Get "{url}": {error}'
        return Condition("False", "FailedDiscoveryCheck", told)


def _is_passed(name: str) -> bool:
    return name.lower() not in _OWN_HEADERS and not name.lower().startswith(_TELLS_WHO)


def _down() -> StatusError:
    return StatusError(503, "ServiceUnavailable", _UNAVAILABLE)
