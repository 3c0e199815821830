"""One running API server: the parts put together in an event loop."""

import asyncio
import errno
import itertools
import logging
import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from deltawire.apiserver.access.authorizer import AllowAll
from deltawire.apiserver.access.gate import Gate
from deltawire.apiserver.auth.authenticator import Authenticator, Strangers
from deltawire.apiserver.auth.certificates import Authority, ClientCertificate
from deltawire.apiserver.auth.kubeconfig import Credentials, kubeconfig, write_kubeconfig
from deltawire.apiserver.auth.tokens import Tokens
from deltawire.apiserver.auth.users import ADMIN, MASTERS
from deltawire.apiserver.containers.scripts import Scripts
from deltawire.apiserver.core.api import ApiCore
from deltawire.apiserver.core.journal import FileJournal
from deltawire.apiserver.core.own_service import make_own_service
from deltawire.apiserver.core.window import WindowLimits
from deltawire.apiserver.descriptors import ShortageTeller
from deltawire.apiserver.faults.fault import CONNECTION_FAULTS
from deltawire.apiserver.faults.handshakes import Handshakes
from deltawire.apiserver.faults.plan import FaultPlan
from deltawire.apiserver.http.admin import AdminHandlers
from deltawire.apiserver.http.app import Frontend
from deltawire.apiserver.http.methods import Runner
from deltawire.apiserver.http.request_log import RequestLog
from deltawire.apiserver.http.resources import ResourceHandlers
from deltawire.apiserver.http.streams import OpenStreams
from deltawire.apiserver.options import ApiServerOptions
from deltawire.apiserver.simulate.cluster import PODS_DEFAULT, SimulatedCluster
from deltawire.apiserver.simulate.runner import ChurnRunner
from deltawire.common.errors import ConfigError, StatusError
from deltawire.common.meta.resources import find

if TYPE_CHECKING:
    from deltawire.apiserver.inprocess.connection import MemoryTransport
    from deltawire.apiserver.simulate.controller_runner import ControllerRunner

_log = logging.getLogger(__name__)

# Open watches end by themselves when the server stops; what is left after this is dropped.
SHUTDOWN_S = 0.5
# How long a watch without timeoutSeconds stays open: at random in here, as in the API server.
WATCH_TIMEOUT_MIN_S = 1800.0
WATCH_TIMEOUT_MAX_S = 3600.0
# Names of servers without a port. Reserved for loopback, so that no proxy is ever asked for them.
_IN_PROCESS_URL = "http://in-process-{}.localhost"
# What the server's own service leads to where it has no port.
_PORT_INSIDE = 6443
_LOOPBACK = "127.0.0.1"
_numbers = itertools.count(1)
# Nodes by default with controllers: pods need one to run.
NODES_DEFAULT = 1
_WILDCARDS = ("0.0.0.0", "::")  # noqa: S104 - compared with, never bound to by default


class Service:
    """Start and stop belong to one event loop; ``core`` and ``requests`` live as long as the object.

    Raises ConfigError for objects of a resource that is not served, and for options that need a port where
    there is none.
    """

    def __init__(self, options: ApiServerOptions, *, now: Callable[[], float] | None = None) -> None:
        if not options.listen and (options.tls or options.users or options.kubeconfig is not None):
            raise ConfigError("TLS, certificates and a kubeconfig need a server that listens", path="listen")
        self.options = options
        limits = WindowLimits(options.window_events_max, options.window_bytes_max)
        makes = options.accounts
        self.core = (
            ApiCore(limits=limits, makes_accounts=makes)
            if now is None
            else ApiCore(limits=limits, now=now, makes_accounts=makes)
        )
        self.requests = RequestLog()
        self.streams = OpenStreams()
        self.scripts = Scripts()
        self.faults = FaultPlan()
        self.faults.on_change(self.streams.wake)
        self.faults.on_change(self._time_faults)
        self._fault_timer: asyncio.TimerHandle | None = None
        if not options.uses_tls:
            self.faults.impossible = dict.fromkeys(CONNECTION_FAULTS, "this server has no TLS")
        self.url = ""
        self._authority: Authority | None = None
        self.gate = _gate(options, self.core)
        self._runner: web.AppRunner | None = None
        self._cluster = SimulatedCluster(self.core, _objects(options), seed=options.seed, now=self.core.now)
        self.churn = ChurnRunner(self._cluster, self.core.store)
        self._controllers: ControllerRunner | None = None
        self._journal: FileJournal | None = None
        self._shortage: ShortageTeller | None = None

    def accept(self, transport: "MemoryTransport") -> None:
        """Serve a client of this process; one that comes after `stop` is turned away."""
        if self._runner is None or self._runner.server is None:
            transport.close()
        else:
            transport.open(self._runner.server())

    async def start(self) -> None:
        """Fill the store, listen if asked to, start the churn, write the kubeconfig. Raises ConfigError, StateError."""
        options = self.options
        if options.data is not None:
            self._journal = FileJournal(options.data)
            self.core.restore(self._journal)
            if options.as_of:
                self._go_back(options.as_of)
        self.core.bootstrap()
        self._cluster.populate()
        if options.rbac:
            from deltawire.apiserver.access.bootstrap import make_first_roles

            make_first_roles(self.core)
        if options.load:
            from deltawire.apiserver.loading import load, read_files

            made = load(self.core, read_files(options.load))
            _log.info("loaded %d objects", made)
        if options.uses_tls:
            kept = options.data and options.data.with_name(f"{options.data.name}.ca")
            hosts = (options.host, "localhost", "127.0.0.1", "::1")
            self._authority = Authority(*hosts, kept=kept)
            self._authority.context.sni_callback = Handshakes(self.faults, self._authority, hosts)
        for fault in options.faults:
            self.faults.add(fault)
        await self._listen()
        port = self._runner.addresses[0][1] if options.listen and self._runner is not None else _PORT_INSIDE
        make_own_service(self.core, _LOOPBACK, port)
        if options.kubeconfig is not None:
            self.write_kubeconfig(options.kubeconfig)
        await self.churn.set_rate(options.churn_per_s)
        if options.controllers:
            # Imported here: what few servers need costs the start of all of them a tenth.
            from deltawire.apiserver.simulate.controller_runner import ControllerRunner

            self._controllers = ControllerRunner(
                self.core,
                self.scripts,
                seed=options.seed,
                now=self.core.now,
                root_ca=self._root_ca,
                pod_delay_s=options.pod_delay_s,
            )
            self._controllers.start()
        _log.info("listening on %s", self.url)

    def _go_back(self, version: int) -> None:
        """Be as of an earlier version of the data file. Raises ConfigError."""
        try:
            self.core.rewind(version)
        except StatusError as error:
            raise ConfigError(error.message, path="as-of", hint="as in --data FILE --as-of 120") from None

    def _time_faults(self) -> None:
        """Have faults end when their time is over, also for watches that nothing else wakes."""
        if self._fault_timer is not None:
            self._fault_timer.cancel()
            self._fault_timer = None
        if (in_s := self.faults.next_end_s) is not None:
            self._fault_timer = asyncio.get_running_loop().call_later(in_s, self.faults.expire)

    async def stop(self) -> None:
        """End churn, controllers and watches in good order, stop listening."""
        await self.churn.stop()
        if self._controllers is not None:
            await self._controllers.stop()
        runner, self._runner = self._runner, None
        if runner is not None:
            open_ones = runner.server.connections if runner.server is not None else []
            transports = [each.transport for each in open_ones if each.transport is not None]
            await runner.cleanup()
            # A closed TLS connection waits for its client's last word, which outlives the event loop.
            for transport in transports:
                # Closed twice, it has nothing left to abort; early releases of Python 3.11 raise then.
                with suppress(AttributeError):
                    transport.abort()
            await asyncio.sleep(0)
        if self._shortage is not None:
            self._shortage.stop()
        if self._fault_timer is not None:
            self._fault_timer.cancel()
        if self._journal is not None:
            self._journal.close()

    async def settle(self) -> None:
        """Return when the controllers have nothing to do now; at once where there are none."""
        if self._controllers is not None:
            await self._controllers.settle()

    @property
    def ca_pem(self) -> bytes:
        """The certificate clients must trust; empty without TLS."""
        return self._authority.ca_pem if self._authority is not None else b""

    def client_certificate(self, user: str, groups: Iterable[str] = ()) -> ClientCertificate:
        """A certificate that this server takes for ``user``. Raises ConfigError without TLS."""
        if self._authority is None:
            raise ConfigError(
                "client certificates need TLS", hint="start the server with tls=True, and first"
            )
        return self._authority.client_certificate(user, groups)

    def write_kubeconfig(self, path: Path, user: str = "", groups: Iterable[str] = ()) -> None:
        """For the server as it listens now: as ``user``, or as administrator with a context for each named user.

        Raises ConfigError if the file cannot be written, and for a user without TLS.
        """
        if not self.options.listen:
            raise ConfigError("nothing outside this process can reach a server without a port", path="listen")
        if user:
            credentials = [Credentials(user, certificate=self.client_certificate(user, groups))]
        else:
            credentials = [self._own_credentials()]
            for name, its_groups in self.options.users.items():
                credentials.append(Credentials(name, certificate=self.client_certificate(name, its_groups)))
        try:
            write_kubeconfig(path, kubeconfig(self.url, *credentials, ca_pem=self.ca_pem))
        except OSError as error:
            raise ConfigError(f"cannot write {path}: {error.strerror}", path="write-kubeconfig") from None

    def _root_ca(self) -> str:
        """What pods trust; over plain http there is nothing to verify, and a certificate all the same."""
        if self._authority is None:
            import trustme

            return trustme.CA().cert_pem.bytes().decode()
        return self._authority.ca_pem.decode()

    def _own_credentials(self) -> Credentials:
        """Those of an administrator: the first token of one, or a certificate."""
        tokens = [token for token in self.options.tokens if isinstance(token, str)]
        if tokens:
            return Credentials(token=tokens[0])
        if self._authority is None:
            return Credentials()
        return Credentials(certificate=self._authority.client_certificate(ADMIN.name, [MASTERS]))

    async def _listen(self) -> None:
        options = self.options
        rng = random.Random(options.seed)
        handlers = ResourceHandlers(
            self.core,
            self.requests,
            self.streams,
            self.gate,
            self.faults,
            self.scripts,
            bookmark_interval_s=options.bookmark_interval_s,
            watch_timeout_s=lambda: rng.uniform(WATCH_TIMEOUT_MIN_S, WATCH_TIMEOUT_MAX_S),
            expired_as_http=options.expired_watch_as_http,
        )
        admin = AdminHandlers(self.core, self.requests, self.streams, self.churn, self.faults)
        frontend = Frontend(self.core, handlers, admin, self.streams, self.gate, self.faults)
        self._runner = Runner(
            frontend.application(), handler_cancellation=True, access_log=None, shutdown_timeout=SHUTDOWN_S
        )
        await self._runner.setup()
        if not options.listen:
            self.url = _IN_PROCESS_URL.format(next(_numbers))
            return
        context = self._authority.context if self._authority is not None else None
        site = web.TCPSite(self._runner, options.host, options.port, ssl_context=context)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            self._runner = None
            raise _listen_error(options, error) from None
        self._shortage = ShortageTeller(asyncio.get_running_loop())
        self._shortage.start()
        port = self._runner.addresses[0][1]
        host = "127.0.0.1" if options.host in _WILDCARDS else options.host
        host = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if context else 'http'}://{host}:{port}"


def _gate(options: ApiServerOptions, core: ApiCore) -> Gate:
    accounts = core.store.table("serviceaccounts")

    def account_exists(namespace: str, name: str, uid: str) -> bool:
        record = accounts.records.get(f"{namespace}/{name}")
        return record is not None and record.uid == uid

    tokens = Tokens(options.tokens, now=core.now, account_exists=account_exists)
    if options.rbac:
        from deltawire.apiserver.access.escalation import Escalation
        from deltawire.apiserver.access.rbac import Rbac
        from deltawire.apiserver.access.stored import StoredPolicy

        rbac = Rbac(StoredPolicy(core.store))
        return Gate(Authenticator(tokens, Strangers.ANONYMOUS), rbac, Escalation(rbac))
    strangers = Strangers.REFUSED if options.tokens else Strangers.ADMINISTER
    return Gate(Authenticator(tokens, strangers), AllowAll())


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
    if options.controllers and "pods" not in objects:
        objects.setdefault("nodes", NODES_DEFAULT)
    return objects
