"""What the schema's types cannot say about the config's ``network``."""

import ipaddress

from deltawire.common.config.schema import Config
from deltawire.common.errors import ConfigError

_PORT_MAX = 65535


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
        if not host or not port.isdecimal() or not 0 < int(port) <= _PORT_MAX:
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
