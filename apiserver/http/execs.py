"""exec and attach: a scripted program at one end of a WebSocket, a terminal or a pipe at the other."""

import asyncio
import logging
from dataclasses import dataclass

from aiohttp import WSCloseCode, WSMsgType, web

from deltawire.apiserver.containers import channels, programs
from deltawire.apiserver.containers.channels import V1, V4, V5
from deltawire.apiserver.containers.environment import environment_of
from deltawire.apiserver.containers.pipes import HungUp
from deltawire.apiserver.containers.programs import BadProgram, Process, Script
from deltawire.apiserver.containers.scripts import Scripts, Where
from deltawire.apiserver.core import failures
from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.logs import LogOptions
from deltawire.apiserver.core.pods import PodLife
from deltawire.apiserver.core.record import Record
from deltawire.apiserver.http import queries, upgrades
from deltawire.apiserver.http.asked import Asked
from deltawire.apiserver.http.log_following import LogFollower
from deltawire.apiserver.http.streams import OpenStreams
from deltawire.apiserver.http.upgrades import Ending
from deltawire.common.errors import StatusError

_log = logging.getLogger(__name__)

# As after SIGKILL, which is how the programs of a container end when it does.
KILLED = 137
_HINT = "kubectl 1.30 and newer speak v5"


@dataclass(frozen=True, slots=True)
class ExecOptions:
    container: str
    command: tuple[str, ...]
    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool


class ExecHandlers:
    """Both subresources. Raises StatusError before the connection is upgraded."""

    def __init__(self, core: ApiCore, scripts: Scripts, streams: OpenStreams) -> None:
        self._core = core
        self._scripts = scripts
        self._streams = streams

    async def exec(self, asked: Asked) -> web.StreamResponse:
        options = _options(asked.request)
        pod, container, protocol = self._checked(asked, options)
        if not options.command:
            raise failures.bad_request("you must specify at least one command for the container")
        script = self._scripts.find_command(Where(pod.namespace, pod.name, container), options.command)
        return await self._run(asked, options, pod, container, protocol, script)

    async def attach(self, asked: Asked) -> web.StreamResponse:
        options = _options(asked.request)
        pod, container, protocol = self._checked(asked, options)
        script = self._scripts.find_attach(Where(pod.namespace, pod.name, container))
        if script is None:
            script = self._shown_log(pod, container)
        return await self._run(asked, options, pod, container, protocol, script, is_attached=True)

    def _checked(self, asked: Asked, options: ExecOptions) -> tuple[Record, str, str]:
        path = asked.path
        pod, container = upgrades.reachable(self._core, path.name, path.namespace, options.container)
        upgrades.check_host(self._core, asked.request, pod)
        protocol = upgrades.choose_protocol(asked.request, (V5, V4, V1), _HINT)
        if not (options.stdin or options.stdout or options.stderr):
            raise failures.bad_request("you must specify at least 1 of stdin, stdout, stderr")
        return pod, container, protocol

    def _shown_log(self, pod: Record, container: str) -> Script:
        """What is attached to where nothing is scripted: what the container prints from now on."""

        async def show(process: Process) -> None:
            options = LogOptions(container, tail=0)
            await LogFollower(self._core, self._streams, pod, options).copy(process.write)

        return show

    async def _run(
        self,
        asked: Asked,
        options: ExecOptions,
        pod: Record,
        container: str,
        protocol: str,
        script: Script | None,
        *,
        is_attached: bool = False,
    ) -> web.StreamResponse:
        socket = await upgrades.open_socket(asked.request, protocol)
        finish = _finish_first if protocol in ("", V1) else _finish

        async def send(channel: int, data: bytes) -> None:
            if options.stdout if channel == channels.STDOUT else options.stderr or options.tty:
                for message in channels.frames(channel, data):
                    await socket.send_bytes(message)

        if script is None:
            await finish(socket, channels.failure_status(_no_program(options.command)))
            return socket
        where = Where(pod.namespace, pod.name, container)
        process = Process(
            options.command,
            send,
            tty=options.tty,
            environment=environment_of(pod.decode(), container),
            find=lambda argv: self._scripts.find_command(where, argv),
        )
        if not options.stdin:
            await process.stdin.close()
        work = asyncio.create_task(_logged(script, process))
        reading = _read(socket, process, options, ends_input=protocol == V5)

        def life(wake: upgrades.Wake) -> PodLife:
            return PodLife(self._core.store, pod, container, wake)

        ending = await upgrades.last(work, reading, process.stdin.close, life, self._streams)
        if ending is Ending.OVER and is_attached:
            # What the container printed last is still shown, and an attached client has seen a good end.
            await upgrades.let_end(work, process.stdin.close)
            await finish(socket, channels.exit_status(0))
        elif ending in (Ending.OVER, Ending.STOPPING):
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            if ending is Ending.OVER:
                await finish(socket, channels.exit_status(KILLED))
            else:
                await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the server stops")
        elif ending is Ending.DONE:
            await finish(socket, _outcome(work, is_attached=is_attached))
        return socket


def _options(request: web.Request) -> ExecOptions:
    query = request.query
    flags = {name: bool(queries.flag(query, name)) for name in ("stdin", "stdout", "stderr", "tty")}
    return ExecOptions(query.get("container", ""), tuple(query.getall("command", [])), **flags)


async def _read(
    socket: web.WebSocketResponse, process: Process, options: ExecOptions, *, ends_input: bool
) -> None:
    """Pass on what the client sends, until it leaves."""
    async for message in socket:
        if message.type not in (WSMsgType.BINARY, WSMsgType.TEXT):
            break
        found = channels.unframe(message.data)
        if found is None:
            continue
        channel, data = found
        if channel == channels.STDIN and options.stdin:
            await process.stdin.put(data)
        elif channel == channels.RESIZE and options.tty:
            size = channels.size_of(data)
            if size is not None:
                process.resize(size)
        elif channel == channels.CLOSE and ends_input and data == bytes((channels.STDIN,)):
            await process.stdin.close()


async def _finish_first(socket: web.WebSocketResponse, status: bytes) -> None:
    """As `_finish`, in the first protocol, which clients speak that name none."""
    await _finish(socket, channels.first_form(status))


async def _finish(socket: web.WebSocketResponse, status: bytes) -> None:
    try:
        if status:
            await socket.send_bytes(status)
        await socket.close()
    except ConnectionError:
        pass  # the client has left


async def _logged(script: Script, process: Process) -> int:
    """Run it. A failure of the script is logged here, also if no client is connected any more."""
    try:
        return await programs.run(script, process)
    except BadProgram as error:
        _log.error("the script of %s failed", list(process.argv), exc_info=error)
        raise


def _outcome(work: "asyncio.Task[int]", *, is_attached: bool) -> bytes:
    """The last message. An attached client gets no exit code: it is in the pod's status."""
    try:
        exit_code = work.result()
        return channels.exit_status(0 if is_attached else exit_code)
    except BadProgram as error:
        return channels.failure_status(_failed(f"the script failed: {error}"))
    except HungUp:
        return channels.exit_status(KILLED)  # no client will read it


def _no_program(command: tuple[str, ...]) -> StatusError:
    return _failed(f'exec: "{command[0]}": executable file not found in $PATH')


def _failed(what: str) -> StatusError:
    told = f"error executing command in container: {what}"
    details = {"causes": [{"message": told}]}
    return StatusError(500, "InternalError", f"Internal error occurred: {told}", details=details)
