"""The proxy for a URL, as the environment says it: by the rules of Go's clients, kubectl among them.

- ``HTTPS_PROXY`` for https, ``HTTP_PROXY`` for http, each in upper case first, then in lower case; no
  ``ALL_PROXY``. A value without a scheme is an http proxy.
- ``NO_PROXY``: entries with commas between them. ``*`` is everything. An address, or a range of them
  (``10.0.0.0/8``, ``fd00::/16``), is compared with addresses in URLs only: no name is looked up. A domain is
  itself and all below it; with a dot or ``*.`` in front, only what is below it. All but ranges may end in a port.
- ``localhost`` and loopback addresses have no proxy, whatever is said.
- ``HTTP_PROXY`` is refused where ``REQUEST_METHOD`` is set: in a CGI program it is a header of somebody's request.
"""

import ipaddress
import string
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from deltawire.client.config.client_config import without_userinfo
from deltawire.common.errors import ConfigError

SCHEMES = ("http", "https", "socks5", "socks5h")
_DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_DIGITS = frozenset(string.digits)

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def proxy_for(url: str, env: Mapping[str, str]) -> str:
    """The proxy on the way to ``url``, "" where there is none: scheme, user, host and port, nothing else.

    Raises ConfigError for a value that is no URL of a proxy, and for HTTP_PROXY in a CGI program.
    """
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    name, value = _first_set(env, f"{scheme.upper()}_PROXY", f"{scheme}_proxy")
    if scheme not in ("http", "https") or not value:
        return ""
    if scheme == "http" and env.get("REQUEST_METHOD"):
        raise ConfigError(
            f"{name} is not used where REQUEST_METHOD is set, too: a CGI program gets it from anybody",
            path="the environment",
        )
    _, excluded = _first_set(env, "NO_PROXY", "no_proxy")
    host = _ascii(_host_as_written(parts))
    port = str(parts.port or _DEFAULT_PORTS[scheme])
    return normal(value, f"${name}") if _is_proxied(host, port, excluded) else ""


def normal(proxy: str, where: str) -> str:
    """``proxy`` with its scheme and port; a path, which means nothing, is left out.

    ``socks5`` becomes ``socks5h``: as in Go, the proxy looks names up. Raises ConfigError, which shows no password.
    """
    parts = _parts(proxy if "://" in proxy else f"http://{proxy}")
    if parts is None:
        raise ConfigError("this is no URL of a proxy", path=where, hint="as in http://proxy.example:3128")
    scheme = parts.scheme.lower()
    if scheme not in SCHEMES:
        raise ConfigError(
            f"{without_userinfo(proxy)!r}: a proxy's URL begins with {', '.join(f'{s}://' for s in SCHEMES)}",
            path=where,
        )
    userinfo, at, _ = parts.netloc.rpartition("@")
    if at and ":" not in userinfo:
        userinfo += ":"
    host = parts.hostname or ""
    shown = f"[{host}]" if ":" in host else host
    return (
        f"{'socks5h' if scheme == 'socks5' else scheme}://{userinfo}{at}{shown}:"
        f"{parts.port or _DEFAULT_PORTS[scheme]}"
    )


def _parts(proxy: str) -> SplitResult | None:
    """The parts of a URL with scheme, host and a port that is one; None for anything else."""
    try:
        parts = urlsplit(proxy)
        is_good = bool(parts.scheme and parts.hostname and "//" in proxy) and (parts.port or 0) >= 0
    except ValueError:
        return None
    is_plain = proxy.isprintable() and " " not in proxy and not proxy.partition("://")[2].startswith("/")
    return parts if is_good and is_plain else None


def _first_set(env: Mapping[str, str], *names: str) -> tuple[str, str]:
    """The first of the variables that is not empty, and its value."""
    return next(((name, env[name]) for name in names if env.get(name)), (names[0], ""))


@dataclass(frozen=True, slots=True)
class _Target:
    """Where a request goes. ``address`` is None for a name."""

    host: str
    port: str
    address: _Address | None


def _is_proxied(host: str, port: str, excluded: str) -> bool:
    address = _address(host.partition("%")[0] if ":" in host else host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return False
    target = _Target(host.strip().lower(), port, address)
    entries = [entry.strip().lower() for entry in excluded.split(",")]
    return "*" not in entries and not any(_excludes(entry, target) for entry in entries if entry)


def _excludes(entry: str, target: _Target) -> bool:
    network = _network(entry)
    if network is not None:
        address = target.address
        return address is not None and address.version == network.version and address in network
    host, port = _host_and_port(entry)
    if not host or port not in ("", target.port):
        return False
    address = _address(host)
    if address is not None or target.address is not None:
        return address == target.address
    domain = _ascii(host.removeprefix("*") if host.startswith("*.") else host)
    if domain.startswith("."):
        return target.host.endswith(domain)
    return target.host == domain or target.host.endswith(f".{domain}")


def _host_and_port(entry: str) -> tuple[str, str]:
    """``host:port`` or ``[v6]:port`` in two; what has no port, or too many colons, is a host as it is."""
    if entry.startswith("["):
        host, bracket, port = entry[1:].partition("]:")
        return (host, port) if bracket and not set("[]:") & set(port) else (entry, "")
    host, colon, port = entry.partition(":")
    return (host, port) if colon and ":" not in port else (entry, "")


def _network(entry: str) -> _Network | None:
    """The range of addresses; None where the entry is none. A mapped one is that of IPv4."""
    base, slash, bits = entry.partition("/")
    address = ipaddress.ip_address(base) if slash and _is_address(base) else None
    if address is None or not bits or not set(bits) <= _DIGITS or int(bits) > address.max_prefixlen:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    if mapped is not None and int(bits) >= 96:
        return ipaddress.ip_network(f"{mapped}/{int(bits) - 96}", strict=False)
    return ipaddress.ip_network(f"{address}/{int(bits)}", strict=False)


def _address(text: str) -> _Address | None:
    """The address; a mapped one is that of IPv4. None for anything else."""
    if not _is_address(text):
        return None
    address = ipaddress.ip_address(text)
    return getattr(address, "ipv4_mapped", None) or address


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _host_as_written(parts: SplitResult) -> str:
    """The URL's host, in upper or lower case as it stands there: Go tells LOCALHOST from localhost."""
    host = parts.netloc.rpartition("@")[2]
    if host.startswith("["):
        return host[1:].partition("]")[0].replace("%25", "%")
    return host.partition(":")[0]


def _ascii(host: str) -> str:
    """International names as the network spells them."""
    if host.isascii():
        return host
    import idna  # a part of the requests library's own needs

    labels = host.split(".")
    try:
        return ".".join(
            label if label.isascii() else idna.encode(label, uts46=True).decode() for label in labels
        )
    except idna.IDNAError:
        return host
