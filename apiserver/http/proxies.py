"""The proxy subresource of pods and services: one HTTP exchange with a scripted port."""

import asyncio
import http.client
import io
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

from deltawire.apiserver.containers import ports
from deltawire.apiserver.containers.ports import Answer, Connection
from deltawire.apiserver.containers.programs import BadProgram
from deltawire.apiserver.containers.scripts import Scripts
from deltawire.apiserver.core import failures
from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.pods import is_running
from deltawire.apiserver.core.record import Record
from deltawire.apiserver.core.selection import parse_selection
from deltawire.apiserver.http import upgrades
from deltawire.apiserver.http.asked import Asked
from deltawire.common.errors import StatusError

# The answer is held whole before it is passed on.
ANSWER_BYTES_MAX = 16 << 20
ANSWER_TIMEOUT_S = 30.0
PORT_DEFAULT = 80
# These belong to one connection, or (Authorization) to the API server.
_OWN_HEADERS = (
    *("authorization", "connection", "content-length", "host", "keep-alive", "proxy-authorization"),
    *("te", "trailer", "transfer-encoding", "upgrade"),
)


class ProxyHandlers:
    """Raises StatusError 404, 400, and 503 where nothing answers, or with what is no HTTP."""

    def __init__(self, core: ApiCore, scripts: Scripts) -> None:
        self._core = core
        self._scripts = scripts

    async def proxy(self, asked: Asked) -> web.Response:
        name, port = _split(asked.path.name)
        if asked.resource.storage == "services":
            pod, number = self._behind_service(name, asked.path.namespace, port)
        else:
            pod = self._core.get("pods", name, asked.path.namespace)
            number = _pod_port(pod, port)
        answer = upgrades.answer_on(self._core, self._scripts, pod, number)
        if answer is None or not is_running(pod.decode()):
            raise _unreachable(f"port {number} of pod {pod.name}: connection refused")
        method = asked.request.method
        raw = await _exchange(answer, number, await _request(asked, number), method)
        return _passed_on(raw, method)

    def _behind_service(self, name: str, namespace: str, port: str) -> tuple[Record, int]:
        """The first running pod that the service selects, and the port it means there."""
        spec = self._core.get("services", name, namespace).decode().get("spec") or {}
        served = [
            entry
            for entry in spec.get("ports") or ()
            if port in ("", str(entry.get("port", "")), str(entry.get("name", "")))
        ]
        if not served or (not port and len(served) > 1):
            raise failures.bad_request(f'no service port {port!r} found for service "{name}"')
        target = str(served[0].get("targetPort") or served[0].get("port") or "")
        wanted = ",".join(f"{key}={value}" for key, value in (spec.get("selector") or {}).items())
        if wanted:
            pods = self._core.resource("pods")
            for pod in self._core.list(pods, parse_selection(pods, namespace, wanted, "", "")).records:
                if is_running(pod.decode()):
                    return pod, _pod_port(pod, target)
        raise StatusError(503, "ServiceUnavailable", f'no endpoints available for service "{name}"')


def _split(text: str) -> tuple[str, str]:
    """Name and port of ``NAME``, ``NAME:PORT``, ``SCHEME:NAME:PORT``. Raises StatusError 400."""
    match text.split(":"):
        case [name]:
            return name, ""
        case [name, port]:
            return name, port
        case ["http" | "", name, port]:
            return name, port
    raise failures.bad_request(f"invalid proxy target {text!r}: NAME:PORT, by http, is what can be reached")


def _pod_port(pod: Record, port: str) -> int:
    """A number as it is, a name as the pod's containers have it, "" as their first port."""
    if port.isascii() and port.isdecimal() and 0 < int(port) <= 65535:
        return int(port)
    spec = pod.decode().get("spec") or {}
    entries: list[dict[str, Any]] = [
        entry for container in spec.get("containers") or () for entry in container.get("ports") or ()
    ]
    for entry in entries:
        if port in ("", entry.get("name")):
            return int(entry.get("containerPort") or 0)
    if not port:
        return PORT_DEFAULT
    raise failures.bad_request(f"pod {pod.name} has no port {port!r}")


async def _request(asked: Asked, port: int) -> bytes:
    """The client's request as the pod gets it."""
    request = asked.request
    body = await request.read()
    query = urlsplit(request.raw_path).query
    target = asked.path.proxied + (f"?{query}" if query else "")
    lines = [f"{request.method} {target} HTTP/1.1", f"Host: {asked.path.name.split(':')[0]}:{port}"]
    lines += [f"{name}: {value}" for name, value in request.headers.items() if _is_passed(name)]
    if body or request.method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("utf-8", "surrogateescape") + body


def _is_passed(name: str) -> bool:
    return name.lower() not in _OWN_HEADERS and not name.lower().startswith("impersonate-")


async def _exchange(answer: Answer, port: int, request: bytes, method: str) -> bytes:
    """What comes back, up to the end of the answer or of the connection."""
    received = _Received(method)

    async def take(data: bytes) -> None:
        received.add(data)

    connection = Connection(port, take)
    await connection.received.put(request)
    serving = asyncio.create_task(ports.serve(answer, connection))
    whole = asyncio.create_task(received.is_whole.wait())
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            await asyncio.wait({serving, whole}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
    except TimeoutError:
        raise _unreachable(f"no answer within {ANSWER_TIMEOUT_S:.0f} s") from None
    except (BadProgram, ConnectionError) as error:
        raise _unreachable(str(error)) from None
    finally:
        serving.cancel()
        whole.cancel()
        await asyncio.gather(serving, whole, return_exceptions=True)
    return bytes(received.data)


class _Received:
    """An answer as it comes. One with a length ends there, others with the connection."""

    def __init__(self, method: str) -> None:
        self.data = bytearray()
        self.is_whole = asyncio.Event()
        self._is_head = method == "HEAD"
        self._end = -1

    def add(self, data: bytes) -> None:
        self.data += data
        if len(self.data) > ANSWER_BYTES_MAX:
            raise BadProgram(f"its answer exceeds {ANSWER_BYTES_MAX} bytes")
        if self._end < 0 and (blank := self.data.find(b"\r\n\r\n")) >= 0:
            length = 0 if self._is_head else _length(bytes(self.data[:blank]))
            self._end = ANSWER_BYTES_MAX + 1 if length is None else blank + 4 + length
        if 0 <= self._end <= len(self.data):
            self.is_whole.set()


def _length(head: bytes) -> int | None:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length" and value.strip().isdigit():
            return int(value)
    return None


class _AsSocket:
    """What http.client reads an answer from."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def _passed_on(raw: bytes, method: str) -> web.Response:
    answer = http.client.HTTPResponse(_AsSocket(raw), method=method)  # type: ignore[arg-type]  # all it uses
    try:
        answer.begin()
        body = answer.read()
    except (http.client.HTTPException, ValueError) as error:
        told = f"what came is no whole HTTP answer ({type(error).__name__})"
        raise _unreachable(told) from None
    response = web.Response(body=body, status=answer.status, reason=answer.reason)
    response.headers.clear()
    for name, value in answer.getheaders():
        if _is_passed(name):
            response.headers.add(name, value)
    return response


def _unreachable(why: str) -> StatusError:
    return StatusError(503, "ServiceUnavailable", f"error trying to reach service: {why}")
