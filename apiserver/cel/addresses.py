"""IP addresses and networks in rules: ``cidr("10.0.0.0/8").containsIP(self.address)``."""

import ipaddress
from collections.abc import Callable
from typing import Any

IP, CIDR = "net.IP", "net.CIDR"
_Value = dict[str, Any]
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


def _address(text: str) -> _Address:
    found = ipaddress.ip_address(text)
    if isinstance(found, ipaddress.IPv6Address) and (found.ipv4_mapped or found.scope_id):
        raise ValueError(f'IPv4-mapped IPv6 address "{text}" is not allowed')
    return found


def _ip(text: str) -> _Value:
    try:
        return {"@type": IP, "value": str(_address(text))}
    except ValueError:
        told = f'IP Address "{text}" parse error during conversion from string: ParseAddr("{text}"): unable to parse IP'
        raise ValueError(told) from None


def _network(text: str) -> _Interface:
    if "/" not in text or not text.rpartition("/")[2].isdecimal():
        raise ValueError(text)
    return ipaddress.ip_interface(text)


def _cidr(text: str) -> _Value:
    try:
        return {"@type": CIDR, "value": str(_network(text))}
    except ValueError:
        told = f"network address parse error during conversion from string: netip.ParsePrefix(\"{text}\"): no '/'"
        raise ValueError(told) from None


def _reads(read: Callable[[str], Any]) -> Callable[[str], bool]:
    def can(text: str) -> bool:
        try:
            read(text)
        except ValueError:
            return False
        return True

    return can


def _of_ip(take: Callable[[_Address], Any]) -> Callable[[_Value], Any]:
    return lambda value: take(ipaddress.ip_address(value["value"]))


def _of_cidr(take: Callable[[_Interface], Any]) -> Callable[[_Value], Any]:
    return lambda value: take(ipaddress.ip_interface(value["value"]))


def _is_canonical(text: str) -> bool:
    return bool(_ip(text)["value"] == text)


def _contains_ip(cidr: _Value, ip: Any) -> bool:
    address = _address(ip) if isinstance(ip, str) else ipaddress.ip_address(ip["value"])
    network = ipaddress.ip_interface(cidr["value"]).network
    return address.version == network.version and address in network


def _contains_cidr(cidr: _Value, other: Any) -> bool:
    inner = _network(other) if isinstance(other, str) else ipaddress.ip_interface(other["value"])
    network = ipaddress.ip_interface(cidr["value"]).network
    within = inner.network
    return (
        within.version == network.version
        and within.network_address in network
        and within.prefixlen >= network.prefixlen
    )


def _is_global(ip: _Address) -> bool:
    is_broadcast = str(ip) == "255.255.255.255"
    return not (ip.is_unspecified or ip.is_loopback or ip.is_multicast or ip.is_link_local or is_broadcast)


def _is_local_multicast(ip: _Address) -> bool:
    return (
        ip in ipaddress.ip_network("224.0.0.0/24")
        if ip.version == 4
        else ip in ipaddress.ip_network("ff02::/16")
    )


FUNCTIONS: tuple[tuple[Any, ...], ...] = (
    ("ip", ("string",), IP, _ip, False),
    ("isIP", ("string",), "bool", _reads(_address), False),
    ("ip.isCanonical", ("string",), "bool", _is_canonical, False),
    ("family", (IP,), "int", _of_ip(lambda ip: ip.version), True),
    ("isUnspecified", (IP,), "bool", _of_ip(lambda ip: ip.is_unspecified), True),
    ("isLoopback", (IP,), "bool", _of_ip(lambda ip: ip.is_loopback), True),
    ("isLinkLocalMulticast", (IP,), "bool", _of_ip(_is_local_multicast), True),
    ("isLinkLocalUnicast", (IP,), "bool", _of_ip(lambda ip: ip.is_link_local), True),
    ("isGlobalUnicast", (IP,), "bool", _of_ip(_is_global), True),
    ("cidr", ("string",), CIDR, _cidr, False),
    ("isCIDR", ("string",), "bool", _reads(_network), False),
    ("containsIP", (CIDR, "string"), "bool", _contains_ip, True),
    ("containsIP", (CIDR, IP), "bool", _contains_ip, True),
    ("containsCIDR", (CIDR, "string"), "bool", _contains_cidr, True),
    ("containsCIDR", (CIDR, CIDR), "bool", _contains_cidr, True),
    ("ip", (CIDR,), IP, _of_cidr(lambda net: {"@type": IP, "value": str(net.ip)}), True),
    ("prefixLength", (CIDR,), "int", _of_cidr(lambda net: net.network.prefixlen), True),
    ("masked", (CIDR,), CIDR, _of_cidr(lambda net: {"@type": CIDR, "value": str(net.network)}), True),
)
