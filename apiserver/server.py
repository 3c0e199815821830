"""The API server as an object for tests and programs: a thread with an event loop of its own."""

import asyncio
import errno
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from deltawire.apiserver.auth.certificates import ClientCertificate
from deltawire.apiserver.auth.users import authenticated
from deltawire.apiserver.containers.ports import Answer
from deltawire.apiserver.containers.programs import Script
from deltawire.apiserver.containers.scripts import Where
from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.faults.fault import Fault
from deltawire.apiserver.http.request_log import RequestLog
from deltawire.apiserver.inprocess.connection import MemorySocket
from deltawire.apiserver.loading import load, read_files
from deltawire.apiserver.options import ApiServerOptions
from deltawire.apiserver.service import Service

if TYPE_CHECKING:
    from requests import Session
    from requests.adapters import BaseAdapter

_T = TypeVar("_T")

# Bound on waiting for the server's thread, at the start (filling the store included) and at the end.
START_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 10.0
SETTLE_TIMEOUT_S = 60.0


class ApiServer:
    """Start it, use ``url``, stop it; or use it as a context manager."""

    def __init__(
        self, options: ApiServerOptions | None = None, *, now: Callable[[], float] | None = None
    ) -> None:
        """``now`` gives Unix seconds in place of the machine's: for the times of objects and for controllers."""
        self._service = Service(options or ApiServerOptions(), now=now)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._dialled: weakref.WeakSet[MemorySocket] = weakref.WeakSet()

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``, or a name that only `session` and `adapter` know; empty before the start."""
        return self._service.url

    @property
    def ca_pem(self) -> bytes:
        """The certificate clients must trust; empty without TLS."""
        return self._service.ca_pem

    @property
    def requests(self) -> RequestLog:
        """The log of requests; may be read from any thread."""
        return self._service.requests

    @property
    def core(self) -> ApiCore:
        """The objects. While the server runs, touch them only inside `call`."""
        return self._service.core

    def start(self) -> str:
        """Start listening, or serving this process only; return the URL.

        Raises ConfigError or StateError, as `Service.start` does.
        """
        if self._thread is not None:
            return self.url
        ready = threading.Event()
        loop = self._loop = asyncio.new_event_loop()

        def run() -> None:
            asyncio.set_event_loop(loop)
            loop.call_soon(ready.set)
            loop.run_forever()

        self._thread = threading.Thread(target=run, name="deltawire-apiserver", daemon=True)
        self._thread.start()
        ready.wait(START_TIMEOUT_S)
        try:
            asyncio.run_coroutine_threadsafe(self._service.start(), loop).result(START_TIMEOUT_S)
        except BaseException:
            self.stop()
            raise
        return self.url

    def stop(self) -> None:
        """End watches in good order, stop listening, end the thread."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None:
            return
        self._loop = self._thread = None
        try:
            asyncio.run_coroutine_threadsafe(self._service.stop(), loop).result(STOP_TIMEOUT_S)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(STOP_TIMEOUT_S)
            if not thread.is_alive():
                loop.close()
            with self._lock:
                left = list(self._dialled)
            for socket in left:
                socket.lose()

    def call(self, action: Callable[[ApiCore], _T]) -> _T:
        """Run ``action(core)`` in the server's thread and return what it returns. Scripts may call it, too."""
        if self._loop is None or threading.current_thread() is self._thread:
            return action(self._service.core)

        async def run() -> _T:
            return action(self._service.core)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(START_TIMEOUT_S)

    def settle(self, timeout_s: float = SETTLE_TIMEOUT_S) -> None:
        """Wait until the controllers have nothing to do now. Raises TimeoutError if that takes too long.

        Work that is due later, or that waits for a program to end, is not waited for.
        """
        if self._loop is None:
            return
        asyncio.run_coroutine_threadsafe(self._service.settle(), self._loop).result(timeout_s)

    def create(self, resource: str, obj: dict[str, Any], namespace: str = "") -> dict[str, Any]:
        """Create an object and return it as stored. Raises StatusError."""
        return self.call(lambda core: core.create(resource, obj, namespace)).decode()

    def load(self, *paths: Path | str) -> int:
        """Create the objects of files, and of folders' files; return how many are new. Raises ConfigError."""
        objects = read_files(map(Path, paths))
        return self.call(lambda core: load(core, objects))

    def script_log(self, pod: str, text: str, *, namespace: str = "default", container: str = "") -> None:
        """Set the log of a container of that pod to ``text``. Raises StatusError."""
        self.call(lambda core: core.script_log(pod, namespace, text, container=container))

    def append_log(self, pod: str, text: str, *, namespace: str = "default", container: str = "") -> None:
        """Append ``text`` to the log of a container of that pod; clients that follow it get it. Raises StatusError."""
        self.call(lambda core: core.append_log(pod, namespace, text, container=container))

    def run_pod(self, pod: str, *, namespace: str = "default", node: str = "node-1") -> None:
        """Make all containers of that pod run, as a kubelet would report it. Raises StatusError."""
        self.call(lambda core: core.run_pod(pod, namespace, node))

    def end_container(
        self, pod: str, exit_code: int = 0, *, namespace: str = "default", container: str = ""
    ) -> None:
        """End a container without a restart: its open logs, terminals and ports end, too. Raises StatusError."""
        self.call(lambda core: core.end_container(pod, namespace, exit_code, container=container))

    def script_command(
        self,
        pod: str,
        command: Sequence[str],
        script: Script,
        *,
        is_prefix: bool = False,
        namespace: str = "default",
        container: str = "",
    ) -> None:
        """Set what ``kubectl exec POD -- COMMAND`` runs: a `Reply`, text to print, or a function of the `Process`.

        ``is_prefix``: further arguments may follow. ``pod`` "": all pods of the namespace, later ones too;
        ``namespace`` "": of all namespaces; ``container`` "": all containers. Raises StatusError.
        """
        where = Where(namespace, pod, container)
        self.call(lambda core: self._service.scripts.command(where, command, script, is_prefix=is_prefix))

    def script_attach(
        self, pod: str, script: Script, *, namespace: str = "default", container: str = ""
    ) -> None:
        """Set what ``kubectl attach`` runs; without a script it follows the log. Raises StatusError.

        An attached client gets no exit code: `end_container` sets it.
        """
        where = Where(namespace, pod, container)
        self.call(lambda core: self._service.scripts.attach(where, script))

    def script_port(self, pod: str, port: int, answer: Answer, *, namespace: str = "default") -> None:
        """Set what answers on a port of the pod: bytes, a function of the `Connection`, a `LocalPort`."""
        where = Where(namespace, pod)
        self.call(lambda core: self._service.scripts.port(where, port, answer))

    def clear_scripts(self) -> None:
        """Forget the commands, terminals and ports that were scripted."""
        self.call(lambda core: self._service.scripts.clear())

    def compact(self, resource: str = "") -> None:
        """Forget recent events, so that resuming an older watch answers 410."""
        self.call(lambda core: core.compact(resource))

    def rewind(self, version: int) -> None:
        """Go back to the state at that resourceVersion, as after a restored backup; open watches are cut.

        Raises StatusError.
        """

        def back(core: ApiCore) -> None:
            core.rewind(version)
            self._service.streams.cut()

        self.call(back)

    def cut(self, resource: str = "") -> int:
        """Drop the connections of open watches; return how many there were."""
        return self.call(lambda core: self._service.streams.cut(resource))

    def fault(
        self,
        kind: str,
        value: float | None = None,
        *,
        resource: str = "",
        verb: str = "",
        count: int | None = None,
        path: str = "",
        user: str = "",
        share: float = 1.0,
        lasts_s: float | None = None,
        reason: str = "",
        message: str = "",
    ) -> int:
        """Set a fault (the kinds: `faults.fault`); return the id to clear it by. Raises StatusError."""
        fault = Fault(kind, value, resource, verb, count, path, user, share, lasts_s, reason, message)
        return self.call(lambda core: self._service.faults.add(fault)).id

    def clear_faults(self, fault_id: int = 0) -> int:
        """Clear one fault, or all; return how many there were."""
        return self.call(lambda core: self._service.faults.clear(fault_id))

    def adapter(self) -> "BaseAdapter":
        """A transport adapter whose requests come here without a socket; mount it on a session for ``url``."""
        from deltawire.apiserver.inprocess.adapter import InProcessAdapter

        return InProcessAdapter(self.dial)

    def session(self) -> "Session":
        """A session that reaches ``url`` without a socket. The caller closes it."""
        from requests import Session

        session = Session()
        session.mount(self.url, self.adapter())
        return session

    def dial(self) -> MemorySocket:
        """One connection without a socket. Raises ConnectionRefusedError where the server does not run.

        Not for the server's own thread, which would wait for itself.
        """
        loop = self._loop
        if loop is None:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "the server does not run")
        socket = MemorySocket(loop, self._service.accept)
        with self._lock:
            self._dialled.add(socket)
        if loop is not self._loop:
            socket.lose()  # it has stopped
        return socket

    def write_kubeconfig(self, path: Path | str, user: str = "", groups: Iterable[str] = ()) -> Path:
        """Write a kubeconfig: as administrator with a context for each user of the options, or for ``user`` alone.

        Raises ConfigError if the file cannot be written, and for a user where the server has no TLS.
        """
        self._service.write_kubeconfig(Path(path), user, groups)
        return Path(path)

    def client_certificate(self, user: str, groups: Iterable[str] = ()) -> ClientCertificate:
        """A certificate and key (PEM) that stand for ``user``. Raises ConfigError without TLS."""
        return self._service.client_certificate(user, groups)

    def token_for(self, user: str, groups: Iterable[str] = (), lifetime_s: float = 3600.0) -> str:
        """A bearer token of ``user`` that expires after that time; then it is answered with 401."""
        return self._service.gate.tokens.mint(authenticated(user, tuple(groups)), [], lifetime_s)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
