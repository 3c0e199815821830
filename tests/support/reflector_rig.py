"""A reflector of its own, in a thread, between an embedded API server and a broker that the test plays."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType, TracebackType
from typing import Any, Self

import msgspec
import zmq

from deltawire.client.config.client_config import ClientConfig
from deltawire.client.discovery.cluster_id import address_id
from deltawire.client.rest.client import RESTClient
from deltawire.client.rest.retry import NO_RETRIES
from deltawire.common.clock import SystemClock
from deltawire.common.config.plan import Plan
from deltawire.common.config.schema import Config
from deltawire.common.wire import listener as listeners
from deltawire.common.wire.codec import plain
from deltawire.reflector.main import Reflector
from tests.support.messages import said
from tests.support.patience import wait_until
from tests.support.servers import ServerFactory

PODS = "default/pods"
USER_AGENT = "deltawire-reflector/test"


def pod(name: str, namespace: str = "default", **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"containers": [{"name": "main", "image": "registry.local/app:1"}]},
    }


class PlayedBroker:
    """The fifo's side of `fifo-in`, as far as one reflector can tell: it starts streams, takes deltas, gives
    credit back and remembers what it accepted. ``objects`` is what an informer would hold."""

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str) -> None:
        self._listener = listeners.Listener(context, endpoint, clock=SystemClock(), silent_s=10.0)
        self.peer: Any = None
        self.clusters: list[list[str]] = []
        self.proofs: list[Any] = []  # informer, stream, [as of, proof at, bound]
        self.messages: list[list[Any]] = []  # kind, informer, stream, …
        self.objects: dict[str, dict[str, bytes]] = {}
        self.accepted: dict[tuple[str, str], str] = {}
        self.floors: dict[tuple[str, str], str] = {}
        self.generations: dict[tuple[str, str], int] = {}
        self.credit = (4096, 32 * 1024 * 1024)
        self.gives_back = True
        self.starts = True
        self.tells: list[str] = []  # said of a cluster after a hello, as a broker that knows it does
        self._marked: dict[tuple[str, str], set[str]] = {}
        self._to_start: list[tuple[str, str]] = []

    def pump(self, milliseconds: int = 10) -> None:
        if self._listener.socket.poll(milliseconds):
            for event in self._listener.receive():
                self._on(event)

    def until(
        self,
        done: Callable[[], Any],
        what: str | Callable[[], str] = "the broker to see it",
        seconds: float = 15.0,
    ) -> Any:
        def missed() -> str:
            return f"{what() if callable(what) else what}; saw {self.kinds()[-20:]}"

        return wait_until(done, missed, seconds=seconds, turn=self.pump)

    def pump_for(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.pump()

    def kinds(self) -> list[str]:
        return [message[0] for message in self.messages]

    def of(self, kind: str) -> list[list[Any]]:
        return [message for message in self.messages if message[0] == kind]

    def start(self, informer: str, stream: str) -> None:
        name = (informer, stream)
        resume, floor = self.accepted.get(name, ""), self.floors.get(name, "")
        generation = self.generations.get(name, 0) + 1
        self.send("start", informer, stream, resume, floor, generation, *self.credit)

    def send(self, kind: str, *body: Any) -> None:
        assert self._listener.send(self.peer.identity, plain(kind, *body))

    def reset(self) -> None:
        self._listener.reset(self.peer, "the test wants it")

    def close(self) -> None:
        self._listener.close()

    def _on(self, event: Any) -> None:
        if isinstance(event, listeners.Hello):
            self.peer = event.peer
            self._listener.welcome(event.peer)
            if self.tells:
                self.send("cluster", *self.tells)
            self._to_start = [(informer, stream) for informer, stream in event.peer.body["streams"]]
        elif isinstance(event, listeners.Arrived):
            kind, body = said(event.message)
            if kind == "cluster":
                self.clusters.append(body[:2])
                for name in self._to_start if self.starts else []:
                    self.start(*name)
                self._to_start = []
                return
            if kind == "proof":
                self.proofs += body[0]
                return
            self.messages.append([kind, *body])
            self._take(kind, *body)

    def _take(self, kind: str, informer: str, stream: str, *rest: Any) -> None:
        name = (informer, stream)
        objects = self.objects.setdefault(informer, {})
        if kind == "begin":
            self.generations[name], self.accepted[name], self._marked[name] = rest[0], "", set()
        elif kind == "deltas":
            version, _, rows = rest
            for type_, namespace, key, _, _, obj in rows:
                full = f"{namespace}/{key}"
                if type_ == "D":
                    objects.pop(full, None)
                else:
                    objects[full] = obj
                    self._marked.setdefault(name, set()).add(full)
            self._accept(name, version)
            if self.gives_back:
                self.send("credit", informer, stream, len(rows), sum(len(row[5]) for row in rows))
        elif kind == "mark":
            self._accept(name, rest[0])
        elif kind == "end":
            scope = "" if stream == "*" else f"{stream}/"
            for full in [key for key in objects if key.startswith(scope)]:
                if full not in self._marked[name]:
                    del objects[full]
            self._accept(name, rest[2])

    def _accept(self, name: tuple[str, str], version: str) -> None:
        if version:
            self.accepted[name] = self.floors[name] = version


class Rig:
    """``informers`` are config entries. ``url`` points the reflector elsewhere than to ``server``, which ``servers``
    starts with ``options``."""

    def __init__(
        self,
        servers: ServerFactory,
        informers: Iterable[dict[str, Any]] = ({"resource": "pods"},),
        *,
        options: Mapping[str, Any] = MappingProxyType({}),
        url: str = "",
        config: ClientConfig | None = None,
    ) -> None:
        self._servers = servers
        self.server = servers(**options)
        self._url = url
        self._config = config
        self._folder = tempfile.TemporaryDirectory(prefix="dw-")
        raw = {
            "version": 1,
            "clusters": {"default": {}},
            "informers": list(informers),
            "runtime": {"dir": self._folder.name, "heartbeat": 1},
        }
        self.plan = Plan(msgspec.convert(raw, Config))
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self.broker: PlayedBroker
        self.reflector: Reflector
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.broker = self.new_broker()
        self.start_reflector()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_reflector()
        self.broker.close()
        self._context.destroy(linger=0)
        self._folder.cleanup()

    def new_broker(self) -> PlayedBroker:
        return PlayedBroker(self._context, self.plan.endpoint("fifo-in"))

    def start_reflector(self) -> None:
        self._stop = threading.Event()
        self.reflector = Reflector(self.plan, "reflector-0", 0, connect=self._connect)
        self._thread = threading.Thread(target=self.reflector.run, args=(self._stop,))
        self._thread.start()

    def stop_reflector(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(10)
            assert not self._thread.is_alive()

    def restart_server(self, **options: Any) -> None:
        """Another cluster: a server keeps nothing."""
        self.server.stop()
        self.server = self._servers(**options)

    def create(self, *names: str, namespace: str = "default") -> None:
        for name in names:
            self.server.create("pods", pod(name, namespace), namespace)

    def delete(self, name: str, namespace: str = "default") -> None:
        self.server.call(lambda core: core.delete("pods", name, namespace))

    @property
    def address(self) -> str:
        """What stands for the cluster's id where that may not be read."""
        return address_id(self._config or ClientConfig(host=self._url or self.server.url))

    def stream(self, name: str = f"{PODS}@*") -> dict[str, Any]:
        return dict(self.reflector.status()["streams"][name])

    def requests(self, verb: str, resource: str = "pods") -> list[dict[str, str]]:
        """Queries of the reflector's lists (``list``) or watches; a streaming list is a watch here."""
        return [r.query for r in self.server.requests.entries if r.verb == verb and r.resource == resource]

    def resume_watches(self) -> list[str]:
        """The versions that plain watches began at."""
        queries = self.requests("watch")
        return [q["resourceVersion"] for q in queries if "sendInitialEvents" not in q]

    def streaming_lists(self) -> list[dict[str, str]]:
        return [q for q in self.requests("watch") if "sendInitialEvents" in q]

    def _connect(self, _: Any) -> RESTClient:
        config = self._config or ClientConfig(host=self._url or self.server.url, user_agent=USER_AGENT)
        return RESTClient(config, retry=NO_RETRIES)
