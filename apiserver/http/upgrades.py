"""Requests that become WebSockets to a container: which are let in, and how long they last."""

import asyncio
import enum
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from aiohttp import web

from deltawire.apiserver.containers.ports import Answer, greeting
from deltawire.apiserver.containers.scripts import Scripts, Where
from deltawire.apiserver.core import failures
from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.pods import PodLife, container_of, declared_ports, is_running
from deltawire.apiserver.core.record import Record
from deltawire.apiserver.http.streams import OpenStreams
from deltawire.common.errors import StatusError

# The largest message a client may send; a larger one ends the connection with code 1009.
MESSAGE_BYTES_MAX = 1 << 20
# How long a client may take to answer a close.
CLOSE_TIMEOUT_S = 2.0
# How long a program may go on when its client has left, or its container has ended.
GRACE_S = 2.0

Wake = Callable[[], None]


class Ending(enum.Enum):
    """Why a session is over: the work is done, the client left, the container ended, the server stops."""

    DONE = enum.auto()
    LEFT = enum.auto()
    OVER = enum.auto()
    STOPPING = enum.auto()


def reachable(core: ApiCore, name: str, namespace: str, container: str | None) -> tuple[Record, str]:
    """The pod and the container meant, which runs; None as ``container`` asks for any.

    Raises StatusError 404, 400 for a pod without a node and for a container it has not, 500 for one that does
    not run: what an API server, and the kubelet behind it, answer.
    """
    pod = core.get("pods", name, namespace)
    found = "" if container is None else container_of(pod, container)
    tree = pod.decode()
    if not (tree.get("spec") or {}).get("nodeName"):
        raise failures.bad_request(f"pod {name} does not have a host assigned")
    if not is_running(tree, found):
        if container is None:
            told = f'unable to forward to pod "{name}": it is not running'
        else:
            told = f'container not found ("{found}")'
        raise StatusError(500, "InternalError", told)
    return pod, found


def answer_on(core: ApiCore, scripts: Scripts, pod: Record, port: int) -> Answer | None:
    """What answers on a port of the pod: what is scripted; where kubelets are, a greeting on ports it declares."""
    found = scripts.find_port(Where(pod.namespace, pod.name), port)
    if found is None and core.stops_pods and port in declared_ports(pod):
        return greeting(f"{pod.namespace}/{pod.name} answers on port {port}\n")
    return found


def check_host(core: ApiCore, request: web.Request, pod: Record) -> None:
    """Real servers look for the pod's node before they see that no stream is asked for.

    Raises StatusError 404 for such a request where there is no such node. Streams do without one here.
    """
    node = str((pod.decode().get("spec") or {}).get("nodeName") or "")
    if not request.headers.get("Upgrade") and not core.exists("nodes", node):
        raise failures.not_found(core.resource("pods"), node)


def choose_protocol(request: web.Request, spoken: Sequence[str], hint: str) -> str:
    """The first protocol offered that is ``spoken``, "" for a client that names none.

    Raises StatusError 400 for whatever is no such upgrade.
    """
    upgrade = request.headers.get("Upgrade", "").lower()
    if not upgrade:
        raise failures.bad_request("Upgrade request required")
    if upgrade != "websocket" or request.method != "GET":
        raise failures.bad_request(f"unable to upgrade to {upgrade}: only WebSockets are spoken here; {hint}")
    offered = [
        name.strip()
        for header in request.headers.getall("Sec-WebSocket-Protocol", [])
        for name in header.split(",")
    ]
    if not any(offered):
        return ""
    found = next((name for name in offered if name in spoken), None)
    if found is None:
        named = ", ".join(name for name in offered if name)[:200] or "none"
        told = f"unable to upgrade: spoken here are {', '.join(spoken)}, offered: {named}; {hint}"
        raise failures.bad_request(told)
    return found


async def open_socket(request: web.Request, protocol: str) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(
        protocols=(protocol,) if protocol else (),
        timeout=CLOSE_TIMEOUT_S,
        max_msg_size=MESSAGE_BYTES_MAX,
        compress=False,
    )
    await socket.prepare(request)
    return socket


async def last(
    work: asyncio.Task[Any],
    reading: Awaitable[None],
    hang_up: Callable[[], Awaitable[None]],
    life: Callable[[Wake], PodLife],
    streams: OpenStreams,
) -> Ending:
    """Wait until the session is over. ``work`` is then done, or cancelled, or goes on for `GRACE_S` alone.

    ``reading`` takes in what the client sends and ends when it leaves; ``hang_up`` tells the work that no more
    will come; ``life`` makes what notices the end of the container.
    """
    look = asyncio.Event()
    reader = asyncio.ensure_future(reading)
    ended = asyncio.create_task(_ended(life, look, streams))
    is_left = True  # also when this request is cancelled, because its connection is gone
    try:
        await asyncio.wait({work, reader, ended}, return_when=asyncio.FIRST_COMPLETED)
        is_left = not work.done() and not ended.done()
        if work.done():
            return Ending.DONE
        return Ending.LEFT if is_left else ended.result()
    finally:
        reader.cancel()
        ended.cancel()
        if is_left and not work.done():
            streams.linger(asyncio.create_task(let_end(work, hang_up)))
        await asyncio.gather(reader, ended, return_exceptions=True)


async def let_end(work: asyncio.Task[Any], hang_up: Callable[[], Awaitable[None]]) -> None:
    """Give ``work`` a little time, then cancel it. Its failures are ignored."""
    try:
        await hang_up()
        await asyncio.wait({work}, timeout=GRACE_S)
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


async def _ended(life: Callable[[Wake], PodLife], look: asyncio.Event, streams: OpenStreams) -> Ending:
    with streams.waking(look.set), life(look.set) as followed:
        while not followed.is_over:
            if streams.is_stopping:
                return Ending.STOPPING
            look.clear()
            await look.wait()
    return Ending.OVER
