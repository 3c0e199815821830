"""One running API server: the parts put together in an event loop."""

import errno
import logging
import random
from pathlib import Path

from aiohttp import web

from deltawire.apiserver.auth.certificates import ServingCertificate, issue
from deltawire.apiserver.auth.kubeconfig import kubeconfig, write_kubeconfig
from deltawire.apiserver.auth.tokens import Tokens
from deltawire.apiserver.containers.scripts import Scripts
from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.journal import FileJournal
from deltawire.apiserver.core.window import WindowLimits
from deltawire.apiserver.faults.plan import FaultPlan
from deltawire.apiserver.http.admin import AdminHandlers
from deltawire.apiserver.http.app import Frontend
from deltawire.apiserver.http.request_log import RequestLog
from deltawire.apiserver.http.resources import ResourceHandlers
from deltawire.apiserver.http.streams import OpenStreams
from deltawire.apiserver.options import ApiServerOptions
from deltawire.apiserver.simulate.cluster import PODS_DEFAULT, SimulatedCluster
from deltawire.apiserver.simulate.runner import ChurnRunner
from deltawire.common.errors import ConfigError
from deltawire.common.meta.resources import find

_log = logging.getLogger(__name__)

# Open watches end by themselves when the server stops; what is left after this is dropped.
SHUTDOWN_S = 0.5
# How long a watch without timeoutSeconds stays open: at random in here, as in the API server.
WATCH_TIMEOUT_MIN_S = 1800.0
WATCH_TIMEOUT_MAX_S = 3600.0
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - compared with, never bound to by default


class Service:
    """Start and stop belong to one event loop; ``core`` and ``requests`` live as long as the object.

    Raises ConfigError for objects of a resource that is not served.
    """

    def __init__(self, options: ApiServerOptions) -> None:
        self.options = options
        limits = WindowLimits(options.window_events_max, options.window_bytes_max)
        self.core = ApiCore(limits=limits)
        self.requests = RequestLog()
        self.streams = OpenStreams()
        self.scripts = Scripts()
        self.faults = FaultPlan()
        self.faults.on_change(self.streams.wake)
        self.url = ""
        self.ca_pem = b""
        self._runner: web.AppRunner | None = None
        self._cluster = SimulatedCluster(self.core, _objects(options), seed=options.seed, now=self.core.now)
        self.churn = ChurnRunner(self._cluster, self.core.store)
        self._journal: FileJournal | None = None

    async def start(self) -> None:
        """Fill the store, listen, start the churn, write the kubeconfig. Raises ConfigError, StateError."""
        options = self.options
        if options.data is not None:
            self._journal = FileJournal(options.data)
            self.core.restore(self._journal)
        self.core.bootstrap()
        self._cluster.populate()
        certificate = issue(options.host, "localhost", "127.0.0.1", "::1") if options.tls else None
        await self._listen(certificate)
        if options.kubeconfig is not None:
            self.write_kubeconfig(options.kubeconfig)
        await self.churn.set_rate(options.churn_per_s)
        _log.info("listening on %s", self.url)

    async def stop(self) -> None:
        """End churn and watches in good order, stop listening."""
        await self.churn.stop()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._journal is not None:
            self._journal.close()

    def write_kubeconfig(self, path: Path) -> None:
        """For the server as it listens now. Raises ConfigError if the file cannot be written."""
        token = self.options.tokens[0] if self.options.tokens else ""
        try:
            write_kubeconfig(path, kubeconfig(self.url, ca_pem=self.ca_pem, token=token))
        except OSError as error:
            raise ConfigError(f"cannot write {path}: {error.strerror}", path="write-kubeconfig") from None

    async def _listen(self, certificate: ServingCertificate | None) -> None:
        options = self.options
        rng = random.Random(options.seed)
        tokens = Tokens(options.tokens, now=self.core.now)
        handlers = ResourceHandlers(
            self.core,
            self.requests,
            self.streams,
            tokens,
            self.faults,
            self.scripts,
            bookmark_interval_s=options.bookmark_interval_s,
            watch_timeout_s=lambda: rng.uniform(WATCH_TIMEOUT_MIN_S, WATCH_TIMEOUT_MAX_S),
            expired_as_http=options.expired_watch_as_http,
        )
        admin = AdminHandlers(self.core, self.requests, self.streams, self.churn, self.faults)
        frontend = Frontend(self.core, handlers, admin, self.streams, tokens)
        self._runner = web.AppRunner(
            frontend.application(), handler_cancellation=True, access_log=None, shutdown_timeout=SHUTDOWN_S
        )
        await self._runner.setup()
        context = certificate.context if certificate is not None else None
        site = web.TCPSite(self._runner, options.host, options.port, ssl_context=context)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            self._runner = None
            raise _listen_error(options, error) from None
        port = self._runner.addresses[0][1]
        host = "127.0.0.1" if options.host in _WILDCARDS else options.host
        host = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if certificate else 'http'}://{host}:{port}"
        self.ca_pem = certificate.ca_pem if certificate is not None else b""


def _listen_error(options: ApiServerOptions, error: OSError) -> ConfigError:
    where = f"{options.host}:{options.port}"
    if error.errno == errno.EADDRINUSE:
        return ConfigError(f"{where} is in use", path="port", hint="choose another port, or 0 for a free one")
    return ConfigError(f"cannot listen on {where}: {error.strerror}", path="port")


def _objects(options: ApiServerOptions) -> dict[str, int]:
    """The objects asked for, by table; churn without pods brings a few. Raises ConfigError."""
    objects: dict[str, int] = {}
    for word, count in options.objects.items():
        resource = find(word)
        if resource is None:
            raise ConfigError(f"unknown resource {word!r}", path="objects", hint="as in pods=1000")
        objects[resource.name] = count
    if options.churn_per_s > 0:
        objects.setdefault("pods", PODS_DEFAULT)
    return objects
