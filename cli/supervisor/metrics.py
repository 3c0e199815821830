"""``/metrics``, ``/livez`` and ``/readyz`` of the whole pipeline, on loopback or a unix socket.

The hub may use another address: a container's loopback cannot be reached from outside of it.

A thread of its own answers from what is known at that moment; it never asks a role, so that a scrape costs the
pipeline nothing. No snapshot in time means that the supervisor's loop hangs: neither live nor ready.
"""

import ipaddress
import socket
import socketserver
import threading
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from deltawire.cli.supervisor.readyz import core, readyz
from deltawire.cli.supervisor.run_types import SnapshotSource
from deltawire.cli.supervisor.status_types import Snapshot
from deltawire.common.errors import ConfigError

PATHS = ("/livez", "/metrics", "/readyz", "/readyz/core")
TEXT = "text/plain; charset=utf-8"
REQUEST_TIMEOUT_S = 5.0
CONNECTIONS_WAITING_MAX = 16


class PipelineCollector(Collector):
    """The metrics of docs/status.md, from a snapshot."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterable[Metric]:
        ready = GaugeMetricFamily("deltawire_ready", "1 if everything is synced and fresh.")
        ready.add_metric([], float(self._snapshot.ready))
        yield ready
        yield from self._processes()
        yield from self._streams()
        yield from self._informers()
        yield from self._groups()

    def _processes(self) -> Iterator[Metric]:
        labels = ["process", "role"]
        up = GaugeMetricFamily("deltawire_process_ready", "1 if the process is ready.", labels=labels)
        restarts = CounterMetricFamily(
            "deltawire_process_restarts", "Restarts of the process.", labels=labels
        )
        hung = CounterMetricFamily(
            "deltawire_process_hung", "Kills because its main loop stood still.", labels=labels
        )
        unanswered = CounterMetricFamily(
            "deltawire_process_unanswered", "Messages without a session that got no answer.", labels=labels
        )
        connections_refused = CounterMetricFamily(
            "deltawire_process_connections_refused", "Connections that were refused for their key.", labels=labels
        )
        memory = GaugeMetricFamily("deltawire_process_resident_bytes", "Resident memory.", labels=labels)
        cpu = CounterMetricFamily(
            "deltawire_process_cpu_seconds", "CPU time of all its lives.", labels=labels
        )
        for name, p in self._snapshot.processes.items():
            key = [name, p.role]
            up.add_metric(key, float(p.state in ("ready", "standby")))
            restarts.add_metric(key, p.restarts)
            hung.add_metric(key, p.hung)
            unanswered.add_metric(key, p.unanswered)
            connections_refused.add_metric(key, p.connections_refused)
            memory.add_metric(key, p.rss_mb * 1e6)
            cpu.add_metric(key, p.cpu_s)
        # The socket that all of them report to.
        unanswered.add_metric(["control", "control"], self._snapshot.unanswered)
        connections_refused.add_metric(["control", "control"], self._snapshot.connections_refused)
        yield from (up, restarts, hung, unanswered, connections_refused, memory, cpu)

    def _streams(self) -> Iterator[Metric]:
        labels = ["cluster", "resource", "stream"]
        watching = GaugeMetricFamily("deltawire_stream_watching", "1 while the watch is open.", labels=labels)
        lists = CounterMetricFamily("deltawire_stream_lists", "LIST requests begun.", labels=labels)
        watches = CounterMetricFamily("deltawire_stream_watches", "WATCH requests.", labels=labels)
        events = CounterMetricFamily("deltawire_stream_events", "Events read.", labels=labels)
        refused = CounterMetricFamily(
            "deltawire_stream_refused", "Objects over the size limit.", labels=labels
        )
        for name, s in self._snapshot.streams.items():
            informer, _, stream = name.rpartition("@")
            key = [*_labels(informer), stream]
            watching.add_metric(key, float(s.watching))
            lists.add_metric(key, s.lists)
            watches.add_metric(key, s.watches)
            events.add_metric(key, s.events)
            refused.add_metric(key, s.refused)
        yield from (watching, lists, watches, events, refused)

    def _informers(self) -> Iterator[Metric]:
        labels = ["cluster", "resource"]
        ready = GaugeMetricFamily("deltawire_informer_ready", "1 if it is synced and fresh.", labels=labels)
        synced = GaugeMetricFamily(
            "deltawire_informer_synced", "1 if all was stored that was read until as_of.", labels=labels
        )
        fresh = GaugeMetricFamily(
            "deltawire_informer_fresh", "1 if the API server was heard of late.", labels=labels
        )
        as_of = GaugeMetricFamily(
            "deltawire_informer_as_of_seconds", "Until when all that was read is stored.", labels=labels
        )
        objects = GaugeMetricFamily("deltawire_informer_objects", "Objects in the cache.", labels=labels)
        size = GaugeMetricFamily("deltawire_informer_object_bytes", "Bytes of the objects.", labels=labels)
        published = CounterMetricFamily("deltawire_informer_published", "Deltas queued.", labels=labels)
        applied = CounterMetricFamily("deltawire_informer_applied", "Deltas stored.", labels=labels)
        depth = GaugeMetricFamily("deltawire_informer_queue_depth", "Deltas waiting.", labels=labels)
        blocked = GaugeMetricFamily(
            "deltawire_informer_blocked_streams", "Streams without credit.", labels=labels
        )
        for name, i in self._snapshot.informers.items():
            key = _labels(name)
            ready.add_metric(key, float(i.synced and i.fresh))
            synced.add_metric(key, float(i.synced))
            fresh.add_metric(key, float(i.fresh))
            if i.as_of is not None:
                as_of.add_metric(key, i.as_of / 1e6)
            objects.add_metric(key, i.objects)
            size.add_metric(key, i.bytes)
            published.add_metric(key, i.published)
            applied.add_metric(key, i.applied)
            if i.depth is not None:
                depth.add_metric(key, i.depth)
            blocked.add_metric(key, i.blocked_streams)
        yield from (ready, synced, fresh, as_of, objects, size, published, applied, depth, blocked)

    def _groups(self) -> Iterator[Metric]:
        labels = ["handler"]
        counters = {
            "delivered": "Events sent to the group.",
            "acknowledged": "Events it has done with.",
            "coalesced": "Changes left out since a newer one was sent.",
            "filtered": "Changes that its filter kept back.",
            "gaps": "Times it was told that something is missing.",
            "failed": "Calls that ended with an error.",
        }
        gauges = {
            "replicas": "Replicas that are connected.",
            "wanted": "Replicas that there are to be.",
            "pending": "Changes it has not acknowledged.",
            "in_flight": "Events at the group now.",
            "retry": "Keys that wait for a retry.",
            "dead": "Dead letters.",
        }
        for field, text in counters.items():
            family = CounterMetricFamily(f"deltawire_handler_{field}", text, labels=labels)
            yield self._filled(family, field)
        for field, text in gauges.items():
            metric = "replicas_wanted" if field == "wanted" else field
            gauge = GaugeMetricFamily(f"deltawire_handler_{metric}", text, labels=labels)
            yield self._filled(gauge, field)
        ready = GaugeMetricFamily(
            "deltawire_handler_ready", "1 if it is synced, and its informers are fresh.", labels=labels
        )
        synced = GaugeMetricFamily(
            "deltawire_handler_synced", "1 if it has handled all that was read until as_of.", labels=labels
        )
        as_of = GaugeMetricFamily(
            "deltawire_handler_as_of_seconds", "Until when all that was read is handled.", labels=labels
        )
        for name, group in self._snapshot.groups.items():
            if group.off:
                continue
            ready.add_metric([name], float(group.ready))
            synced.add_metric([name], float(group.synced))
            if group.as_of is not None:
                as_of.add_metric([name], group.as_of / 1e6)
        yield from (ready, synced, as_of)
        lag = GaugeMetricFamily(
            "deltawire_handler_lag_seconds",
            "From the reflector's read to the end of the call, over the last calls.",
            labels=["handler", "quantile"],
        )
        for name, group in self._snapshot.groups.items():
            for quantile, value in (("0.5", group.lag_p50_ms), ("0.99", group.lag_p99_ms)):
                if value is not None:
                    lag.add_metric([name, quantile], value / 1000)
        yield lag

    def _filled(self, family: Any, field: str) -> Metric:
        for name, group in self._snapshot.groups.items():
            value = getattr(group, field)
            if value is not None:
                family.add_metric([name], float(value))
        metric: Metric = family
        return metric


def _labels(informer: str) -> list[str]:
    """[cluster, resource] of an informer's name."""
    cluster, _, resource = informer.partition("/")
    return [cluster, resource]


def exposition(snapshot: Snapshot) -> bytes:
    """The text that Prometheus reads."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(PipelineCollector(snapshot))
    return generate_latest(registry)


class MetricsServer:
    """Serves while it is entered; `serve` says where snapshots come from. Raises ConfigError for a bad address."""

    def __init__(self, listen: str, *, is_public: bool = False) -> None:
        """``is_public``: an address that others can reach is allowed."""
        self._listen = listen
        self._is_public = is_public
        self._source: SnapshotSource | None = None
        self._server = self._bind(listen)
        self._thread = threading.Thread(target=self._server.serve_forever, name="metrics", daemon=True)

    @property
    def address(self) -> str:
        """``127.0.0.1:9095``, with the port that was taken for port 0; or the socket's path."""
        if self._listen.startswith("unix:"):
            return self._listen
        assert isinstance(self._server, _TcpServer)  # noqa: S101  # the only other kind
        host, port = self._server.socket.getsockname()[:2]
        return f"{host}:{port}"

    def serve(self, source: SnapshotSource) -> None:
        """From now on answers are made of ``source``'s snapshots, one for each request."""
        self._source = source

    def respond(self, path: str, query: str = "") -> tuple[int, str, bytes]:
        """(HTTP code, content type, body) for a path."""
        source = self._source
        if path not in PATHS:
            return 404, TEXT, f"{', '.join(PATHS)}\n".encode()
        if source is None:
            # Before there is a supervisor: it lives, and nothing is ready.
            return (
                (200, TEXT, b"starting\n") if path in ("/livez", "/metrics") else (503, TEXT, b"starting\n")
            )
        snapshot = source()
        if snapshot is None:
            return 503, TEXT, b"the supervisor's loop hangs\n"
        if path == "/livez":
            return 200, TEXT, b"ok\n"
        if path == "/metrics":
            return 200, CONTENT_TYPE_LATEST, exposition(snapshot)
        code, body = core(snapshot) if path == "/readyz/core" else readyz(snapshot, query)
        return code, TEXT, body.encode()

    def __enter__(self) -> "MetricsServer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        if self._listen.startswith("unix:"):
            Path(self._listen.removeprefix("unix:")).unlink(missing_ok=True)

    def _bind(self, listen: str) -> socketserver.BaseServer:
        respond = self.respond

        class Handler(BaseHTTPRequestHandler):
            timeout = REQUEST_TIMEOUT_S

            def do_GET(self) -> None:
                path, _, query = self.path.partition("?")
                code, content_type, body = respond(path, query)
                self.send_response(code)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                """Scrapes are not logged."""

            def address_string(self) -> str:
                return "client"

        try:
            if listen.startswith("unix:"):
                return _UnixServer(listen.removeprefix("unix:"), Handler)
            return _TcpServer(_address(listen, is_public=self._is_public), Handler)
        except OSError as error:
            raise ConfigError(
                f"cannot listen on {listen}: {error.strerror}",
                path="metrics.listen",
                hint="choose another address, or off",
            ) from None


class _TcpServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = CONNECTIONS_WAITING_MAX


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    request_queue_size = CONNECTIONS_WAITING_MAX

    def server_bind(self) -> None:
        path = Path(str(self.server_address))
        if path.is_socket() and not _is_answered(path):
            # Left over from a process that was killed.
            path.unlink()
        super().server_bind()
        path.chmod(0o600)


def _is_answered(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0


def _address(listen: str, *, is_public: bool) -> tuple[str, int]:
    """(host, port) of ``127.0.0.1:9095``. Raises ConfigError for what others could reach, unless it may be public."""
    host, _, port = listen.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host
    try:
        is_allowed = is_public or ipaddress.ip_address(host).is_loopback
    except ValueError:
        is_allowed = False
    if not is_allowed or not port.isdecimal() or int(port) > 65535:
        raise ConfigError(
            f"{listen!r} is not a loopback address with a port",
            path="metrics.listen",
            hint="as in 127.0.0.1:9095, or unix:PATH; metrics.public: true allows others",
        )
    return host, int(port)
