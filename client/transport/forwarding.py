"""What sync and async code share of forwarding ports: how ports are written and bound, requests, frames.

Not here: connections (``port_forward``, client/aio/transport).
"""

import logging
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from deltawire.client.transport.remote_command import PODS
from deltawire.client.verbs import R
from deltawire.common.errors import ConfigError, TransportError

log = logging.getLogger(__name__)

PORT_MAX = 65535
DATA, ERROR = 0, 1  # channels
_SPEC = re.compile(r"(?:(?P<local>[0-9]{0,5}):)?(?P<remote>[0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class ForwardedPort:
    """``local`` 0 means a free port, until it is chosen."""

    local: int
    remote: int


def parse_port(text: str) -> ForwardedPort:
    """``5000``, ``8888:5000``, ``0:5000`` and ``:5000`` (a free local port). Raises ConfigError."""
    found = _SPEC.fullmatch(text)
    if found is not None:
        remote = int(found["remote"])
        local = remote if found["local"] is None else int(found["local"] or 0)
        if 0 < remote <= PORT_MAX and local <= PORT_MAX:
            return ForwardedPort(local, remote)
    raise ConfigError(f"{text!r} is no port to forward", hint="write LOCAL:REMOTE, :REMOTE or PORT")


class Forwarded:
    """Ports that are forwarded, and what became of their connections. Raises ConfigError for what is no port."""

    def __init__(self, ports: Sequence[str], addresses: Sequence[str]) -> None:
        if not ports or not addresses:
            raise ConfigError("there is no port, or no address, to forward")
        self.ports = [parse_port(text) for text in ports]
        self.connections = 0
        self.failures = 0
        self.refused = 0
        self.last_error = ""
        self._addresses = tuple(addresses)
        self._listeners: list[socket.socket] = []


def bound(
    ports: Sequence[ForwardedPort], addresses: Sequence[str]
) -> tuple[list[ForwardedPort], list[socket.socket]]:
    """The ports with their local numbers, and their listeners. Raises ConfigError where one cannot be had."""
    listeners: list[socket.socket] = []
    try:
        return [_listen(port, addresses, listeners) for port in ports], listeners
    except BaseException:
        for listener in listeners:
            listener.close()
        raise


def _listen(
    port: ForwardedPort, addresses: Sequence[str], listeners: list[socket.socket]
) -> ForwardedPort:
    """A listener on each address; a free port is chosen at the first and kept for the others."""
    number = port.local
    for address in addresses:
        literal = address != "localhost"
        failed: OSError | None = None
        is_bound = False
        for host in [address] if literal else ["127.0.0.1", "::1"]:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            try:
                listener = socket.create_server((host, number), family=family)
            except OSError as error:
                failed = error
                continue
            listeners.append(listener)
            number = listener.getsockname()[1]
            is_bound = True
        if failed is not None and not is_bound:
            raise ConfigError(f"cannot listen on {address}:{number}: {failed.strerror}") from None
    return ForwardedPort(number, port.remote)


def forward_request(get: R, namespace: str, pod: str, remote: int) -> R:
    """``get`` is a request that was just begun."""
    request = get.resource(PODS).namespace(namespace).name(pod)
    return request.sub_resource("portforward").param("ports", remote)


class PortFrames:
    """What a server's messages bring to the local side. Pure."""

    def __init__(self) -> None:
        self._greeted: set[int] = set()

    def feed(self, message: str | bytes) -> bytes:
        """Data, b"" where there is none. Raises TransportError: the pod refused, or what came is no message."""
        if isinstance(message, str):
            raise TransportError("the server sent text where only bytes are allowed", reason="garbage")
        channel, data = message[:1], message[1:]
        if channel not in (b"\0", b"\1"):
            log.warning("a message on an unknown channel is dropped")
            return b""
        if channel[0] not in self._greeted:
            self._greeted.add(channel[0])  # the port, in two bytes
            data = data[2:]
        if data and channel[0] == ERROR:
            text = " ".join(data.decode(errors="replace").split())[:500]
            raise TransportError("".join(c for c in text if c.isprintable()), reason="refused")
        return data
