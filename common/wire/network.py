"""A process' sockets on TCP: which address is whose, the keys on both ends, and ZeroMQ's context that knows of them.

Without a folder of keys TCP is plain, and the config allows it on loopback only.
"""

import ipaddress
import logging
import resource
from collections.abc import Mapping
from pathlib import Path

import zmq

from deltawire.common.clock import Clock
from deltawire.common.config.plan import Plan
from deltawire.common.errors import ConfigError
from deltawire.common.wire.gate import Gate
from deltawire.common.wire.guard import Guard
from deltawire.common.wire.keys import KeyFolder, owner_of_socket

log = logging.getLogger(__name__)

TCP = "tcp://"
# A connection that has not shown a key by then is closed.
HANDSHAKE_MS = 5_000
# A path that is dead is given up after 10 s + 3 × 5 s, or 30 s with data under way.
_KEEPALIVE_IDLE_S, _KEEPALIVE_EVERY_S, _KEEPALIVE_COUNT, _UNACKED_MS = 10, 5, 3, 30_000


class Network:
    """``sockets``: address → ``fifo-in``, ``worker-0``, …; ``owner``: whose key this process has."""

    def __init__(self, sockets: Mapping[str, str], listen: str, folder: KeyFolder | None, owner: str) -> None:
        self._sockets = dict(sockets)
        self._listen = listen
        self._folder = folder
        self._owner = owner
        self._gate: Gate | None = None
        # By endpoint: the stamp of the files when its keys were read, and these.
        self._known: dict[str, tuple[tuple[int, ...], tuple[str, ...]]] = {}

    @property
    def is_keyed(self) -> bool:
        return self._folder is not None

    def prepare_bind(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        socket: "zmq.Socket[bytes]",
        endpoint: str,
        clock: Clock,
    ) -> Guard | None:
        """Set the options of a socket to be bound; its guard, None where it is plain. Raises ConfigError."""
        _keep_alive(socket)
        _take_version_of(socket, self._listen or host_of(endpoint))
        if self._folder is None:
            return None
        _raise_limit_of_files()
        name = self._sockets[endpoint]
        self.take_key(socket)
        socket.setsockopt(zmq.CURVE_SERVER, 1)
        socket.setsockopt(zmq.ZAP_DOMAIN, name.encode())
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        # A connection with another's identity takes nobody's place: it gets nothing, and is not heard.
        socket.setsockopt(zmq.ROUTER_HANDOVER, 0)
        guard = Guard(name, self._folder)
        if self._gate is None:
            self._gate = Gate(context, clock)
        self._gate.guard(guard)
        return guard

    def take_key(self, socket: "zmq.Socket[bytes]") -> None:
        """Use the process' present key in connections that are made from now on. Raises ConfigError."""
        if self._folder is not None:
            pair = self._folder.secret(self._owner)
            socket.setsockopt(zmq.CURVE_PUBLICKEY, pair.public.encode())
            socket.setsockopt(zmq.CURVE_SECRETKEY, pair.secret.encode())

    def prepare_connect(self, socket: "zmq.Socket[bytes]", endpoint: str, attempt: int = 0) -> None:
        """Set the options of a socket to be connected. While keys change the other end may have the older or the newer
        one: each ``attempt`` expects another. Raises ConfigError.
        """
        _keep_alive(socket)
        _take_version_of(socket, host_of(endpoint))
        if self._folder is None:
            return
        keys = self._keys_of_other(endpoint, self._folder)
        if not keys:
            other = owner_of_socket(self._sockets[endpoint])
            raise ConfigError(
                f"no key of {other} is in {self._folder.folder}/allowed",
                hint=f"copy the list from the host of {other}, or `deltawire keys new {other}` there",
            )
        self.take_key(socket)
        socket.setsockopt(zmq.CURVE_SERVERKEY, keys[-1 - attempt % len(keys)].encode())

    def name_of(self, endpoint: str) -> str:
        return self._sockets[endpoint]

    def address_to_bind(self, endpoint: str) -> str:
        if not self._listen:
            return endpoint
        host = f"[{self._listen.strip('[]')}]" if is_ipv6(self._listen) else self._listen
        return f"{TCP}{host}:{endpoint.rpartition(':')[2]}"

    def keys_for(self, endpoint: str) -> tuple[str, ...]:
        """The keys that a connection to ``endpoint`` depends on: its own, and those that the other end may have.

        While the files cannot be read: as before.
        """
        if self._folder is None:
            return ()
        stamp = self._folder.stamp(self._owner)
        known = self._known.get(endpoint)
        if known is not None and known[0] == stamp:
            return known[1]
        try:
            keys = (self._folder.secret(self._owner).public, *self._keys_of_other(endpoint, self._folder))
        except ConfigError as error:
            if known is None:
                # Connecting raises it.
                return ()
            log.warning("the keys are as before: %s", error)
            keys = known[1]
        self._known[endpoint] = (stamp, keys)
        return keys

    def _keys_of_other(self, endpoint: str, folder: KeyFolder) -> list[str]:
        """Those that are allowed for who binds ``endpoint``, the newest last."""
        other = owner_of_socket(self._sockets[endpoint])
        return [entry.key for entry in folder.allowed() if entry.owner == other]

    def close(self) -> None:
        if self._gate is not None:
            self._gate.close()
            self._gate = None


class WireContext(zmq.Context["zmq.Socket[bytes]"]):
    """ZeroMQ's context of a process that may have sockets on TCP."""

    network: Network | None = None

    def destroy(self, linger: int | None = None) -> None:
        self._close_network()
        super().destroy(linger)

    def term(self) -> None:
        self._close_network()
        super().term()

    def _close_network(self) -> None:
        network, self.network = self.network, None
        if network is not None:
            network.close()


def open_context(plan: Plan, owner: str) -> WireContext:
    """The context of a process; ``owner``: whose key it has (`keys`), where the config names keys."""
    context = WireContext()
    found = plan.config.network
    if found.endpoints:
        folder = KeyFolder(Path(plan.keys_dir)) if plan.keys_dir else None
        names = {plan.endpoint(name): name for name in found.endpoints}
        context.network = Network(names, found.listen, folder, owner)
    return context


def network_of(context: "zmq.Context[zmq.Socket[bytes]]") -> Network | None:
    return context.network if isinstance(context, WireContext) else None


def host_of(endpoint: str) -> str:
    return endpoint.removeprefix(TCP).rpartition(":")[0]


def is_ipv6(host: str) -> bool:
    """Whether this is an address of IPv6; names are looked up as IPv4."""
    try:
        return ipaddress.ip_address(host.strip("[]")).version == 6
    except ValueError:
        return False


def _take_version_of(socket: "zmq.Socket[bytes]", host: str) -> None:
    socket.setsockopt(zmq.IPV6, is_ipv6(host))


def _raise_limit_of_files() -> None:
    """Who is not let in holds a descriptor until `HANDSHAKE_MS` are over, and libzmq has no bound for them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        log.debug("the limit of open files stays: %s", error)


def _keep_alive(socket: "zmq.Socket[bytes]") -> None:
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, _KEEPALIVE_IDLE_S)
    socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, _KEEPALIVE_EVERY_S)
    socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, _KEEPALIVE_COUNT)
    socket.setsockopt(zmq.TCP_MAXRT, _UNACKED_MS)
