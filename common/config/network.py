"""What the schema's types cannot say about the config's ``network``."""

import ipaddress
import re

from deltawire.common.config.schema import Config
from deltawire.common.errors import ConfigError

_PORT_MAX = 65535
_HOST_CHARS_MAX = 253
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


def check_network(config: Config) -> None:
    """Raises ConfigError with the field's path."""
    network = config.network
    known = ["fifo-in", "fifo-out", *(f"worker-{i}" for i in range(config.runtime.workers)), "control"]
    taken: dict[str, str] = {}
    for name, address in network.endpoints.items():
        path = f"network.endpoints.{name}"
        if name not in known:
            raise ConfigError("there is no such socket", path=path, hint=", ".join(known))
        host, _, port = address.rpartition(":")
        if not _is_host(host) or not _is_port(port):
            raise ConfigError(f"{address!r} is not HOST:PORT", path=path, hint="core.example:7401")
        if address in taken:
            raise ConfigError(f"{address} is the address of {taken[address]} already", path=path)
        taken[address] = name
        if network.keys is None and not _is_loopback(host):
            raise ConfigError(
                f"{address} can be reached from other hosts, and there are no keys",
                path=path,
                hint="name a folder in network.keys, and fill it with `deltawire keys new`",
            )
    if network.listen:
        if not _is_address(network.listen):
            raise ConfigError(
                f"{network.listen!r} is not an IP address", path="network.listen", hint="0.0.0.0 for all"
            )
        if network.keys is None and not _is_loopback(network.listen):
            raise ConfigError(
                "other hosts could connect, and there are no keys",
                path="network.listen",
                hint="name a folder in network.keys, and fill it with `deltawire keys new`",
            )


def _is_host(host: str) -> bool:
    """A name, an address of IPv4, or one of IPv6 in brackets."""
    if host.startswith("[") or ":" in host:
        return host.startswith("[") and host.endswith("]") and _is_address(host)
    labels = host.removesuffix(".").split(".")
    return len(host) <= _HOST_CHARS_MAX and all(_LABEL.fullmatch(label) for label in labels)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) <= _PORT_MAX


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    return _is_address(host) and ipaddress.ip_address(host.strip("[]")).is_loopback


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True
