"""Running a program in a container, or attaching to the one that runs."""

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from deltawire.client.rest.client import RESTClient
from deltawire.client.rest.request import Request
from deltawire.client.transport import channels
from deltawire.client.transport.websocket import WebSocket, open_websocket
from deltawire.client.verbs import R
from deltawire.common.errors import ConfigError, TransportError, WaitError
from deltawire.common.meta.resources import ResourceType

log = logging.getLogger(__name__)

PODS = ResourceType("", "v1", "pods", "Pod", True)
STDIN_BYTES_MAX = 32 * 1024  # one message
_STOP_LOOK_S = 0.1


class Readable(Protocol):
    """Where stdin comes from: a binary file, a pipe."""

    def read(self, size: int, /) -> bytes | None: ...


class Writable(Protocol):
    """Where output goes: a binary file, a pipe."""

    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True, slots=True)
class TerminalSize:
    """In characters."""

    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Completed:
    """What `run` brings back."""

    exit_code: int
    stdout: bytes
    stderr: bytes


class RemoteExecutor:
    """One program in one container; make it with `exec_in` or `attach_to`, then `stream` once.

    Offers v5, which can end stdin, and v4, which cannot: a program that reads to the end of its input waits
    for ever there.
    """

    def __init__(self, client: RESTClient, request: Request, *, tty: bool) -> None:
        self._client = client
        self._request = request
        self._tty = tty

    def stream(
        self,
        *,
        stdin: Readable | None = None,
        stdout: Writable | None = None,
        stderr: Writable | None = None,
        terminal_sizes: Iterable[TerminalSize] = (),
        stop: threading.Event | None = None,
    ) -> int:
        """Copy until the program has ended; its exit code.

        ``terminal_sizes`` gives each new size when it is known, and ends when it will. A ``stop`` closes the
        connection (what happens to the program is the container runtime's choice) and raises WaitError.
        Raises StatusError where the program cannot be run, TransportError where the connection is cut, and
        the first error of a local ``write``, after the rest was read.
        """
        request = with_streams(
            self._request,
            tty=self._tty,
            stdin=stdin is not None,
            stdout=stdout is not None,
            stderr=stderr is not None,
        )
        socket = open_websocket(self._client, request, (channels.V5, channels.V4))
        try:
            if stdin is not None:
                _start(_copy_stdin, socket, stdin)
            if self._tty:
                _start(_copy_sizes, socket, terminal_sizes)
            return _read(socket, {channels.STDOUT: stdout, channels.STDERR: stderr}, stop)
        finally:
            socket.close()


def exec_in(
    client: RESTClient,
    namespace: str,
    pod: str,
    command: Sequence[str],
    *,
    container: str = "",
    tty: bool = False,
) -> RemoteExecutor:
    """``command`` (program and arguments, no shell) in a container of ``pod``; "" is its default one."""
    return RemoteExecutor(client, exec_request(client.get(), namespace, pod, command, container), tty=tty)


def attach_to(
    client: RESTClient, namespace: str, pod: str, *, container: str = "", tty: bool = False
) -> RemoteExecutor:
    """The main program of a container that runs. ``tty`` must be what the container's own ``tty`` is."""
    return RemoteExecutor(client, attach_request(client.get(), namespace, pod, container), tty=tty)


def run(
    client: RESTClient,
    namespace: str,
    pod: str,
    command: Sequence[str],
    *,
    container: str = "",
    stdin: Readable | None = None,
    stop: threading.Event | None = None,
) -> Completed:
    """Run ``command`` to its end and keep what it printed. Raises as `RemoteExecutor.stream`."""
    out, err = Kept(), Kept()
    executor = exec_in(client, namespace, pod, command, container=container)
    code = executor.stream(stdin=stdin, stdout=out, stderr=err, stop=stop)
    return Completed(code, bytes(out.data), bytes(err.data))


class Kept:
    """A `Writable` that keeps everything."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes, /) -> None:
        self.data += data


# What sync and async clients send; ``get`` is a request that was just begun.


def exec_request(get: R, namespace: str, pod: str, command: Sequence[str], container: str) -> R:
    """Raises ConfigError for a command that is no list."""
    if not command or isinstance(command, str):
        raise ConfigError("a command is a list: the program, then its arguments", path="command")
    request = _on(get, namespace, pod, "exec", container)
    for word in command:
        request.param("command", word)
    return request


def attach_request(get: R, namespace: str, pod: str, container: str) -> R:
    return _on(get, namespace, pod, "attach", container)


def with_streams(request: R, *, tty: bool, stdin: bool, stdout: bool, stderr: bool) -> R:
    """``request`` with the streams that are wanted. Raises ConfigError for a terminal with stderr."""
    if tty and stderr:
        raise ConfigError("a terminal has no stderr of its own", hint="leave stderr out, or tty")
    for name, is_wanted in (("stdin", stdin), ("stdout", stdout), ("stderr", stderr), ("tty", tty)):
        if is_wanted:
            request.param(name, True)
    return request


def warn_of_input_without_end(protocol: str) -> None:
    log.warning("the server speaks %s only: the command is not told that its input ended", protocol)


def _on(get: R, namespace: str, pod: str, what: str, container: str) -> R:
    request = get.resource(PODS).namespace(namespace).name(pod).sub_resource(what)
    return request.params({"container": container})


def _read(socket: WebSocket, outputs: dict[int, Writable | None], stop: threading.Event | None) -> int:
    """Write what comes until the server closes; the exit code."""
    ending = channels.Ending()
    failed: Exception | None = None
    while True:
        try:
            message = socket.receive(None if stop is None else _STOP_LOOK_S)
        except TimeoutError:
            if stop is not None and stop.is_set():
                raise WaitError("stopped before the command had ended", reason="stopped") from None
            continue
        except TransportError:
            if ending.is_told:
                break  # it said how it ended, and then did not close as it should
            raise
        if message is None:
            break
        found = ending.feed(message)
        if found is not None and (output := outputs[found[0]]) is not None and failed is None:
            try:
                output.write(found[1])
            except Exception as error:
                # Read on: a full pipe would block the program in the container.
                failed = error
        if stop is not None and stop.is_set():
            raise WaitError("stopped before the command had ended", reason="stopped")
    if failed is not None:
        raise failed
    return ending.exit_code()


def _copy_stdin(socket: WebSocket, stdin: Readable) -> None:
    # A pipe or a terminal gives what it has; a buffered file's `read` would wait for all of it.
    read = getattr(stdin, "read1", stdin.read)
    while data := read(STDIN_BYTES_MAX):
        socket.send(channels.frame(channels.STDIN, data))
    if socket.protocol == channels.V5:
        socket.send(channels.close_stdin())
    else:
        warn_of_input_without_end(socket.protocol)


def _copy_sizes(socket: WebSocket, sizes: Iterable[TerminalSize]) -> None:
    for size in sizes:
        socket.send(channels.resize(size.width, size.height))


def _start(copy: Callable[..., None], *args: object) -> None:
    """Run ``copy`` beside the reader. A daemon: nothing can end a read of a terminal."""
    threading.Thread(target=_quietly, args=(copy, *args), name="remote-input", daemon=True).start()


def _quietly(copy: Callable[..., None], *args: object) -> None:
    try:
        copy(*args)
    except TransportError as error:
        log.debug("input ended with the connection: %s", error)
    except (OSError, ValueError) as error:
        log.warning("input ended: %s", error)
