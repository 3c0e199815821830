"""Rules of services and of where they lead: endpoints and slices."""

from ipaddress import ip_address
from typing import Any

from deltawire.apiserver.rules.at import at, below, choice, labels, port_or_name
from deltawire.apiserver.rules.causes import (
    Causes,
    Rule,
    Tree,
    cause,
    duplicate,
    forbidden,
    invalid,
    items,
    look,
    port,
    required,
    unsupported,
)
from deltawire.apiserver.rules.containers import PROTOCOLS
from deltawire.apiserver.rules.forms import cidr, ip, label, label_key, subdomain

AFFINITY_S_MAX = 86_400
_OUTSIDE = ("NodePort", "LoadBalancer")
_BALANCED = "may only be used when `type` is 'LoadBalancer'"
_FAMILIES = ("IPv4", "IPv6")


def _is_headless(service: Tree) -> bool:
    return bool(look(service, "spec.clusterIP") == "None")


def _kind(service: Tree) -> Causes:
    spec = service.get("spec") or {}
    kind = spec.get("type")
    if not spec.get("ports") and kind != "ExternalName" and not _is_headless(service):
        yield required("spec.ports")
    if kind in _OUTSIDE and _is_headless(service):
        yield invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")
    if kind != "ExternalName":
        return
    for name in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if spec.get(name):
            yield forbidden(f"spec.{name}", "may not be set for ExternalName services")
    name = (spec.get("externalName") or "").removesuffix(".")
    if not name:
        yield required("spec.externalName")
    for why in subdomain(name) if name else ():
        yield invalid("spec.externalName", name, why)


def _ports(service: Tree) -> Causes:
    ports = items(service, "spec.ports")
    names: set[str] = set()
    for where, known in ports:
        name = known.get("name") or ""
        if not name and len(ports) > 1:
            yield required(f"{where}.name")
        elif name:
            for why in label(name):
                yield invalid(f"{where}.name", name, why)
            if name in names:
                yield duplicate(f"{where}.name", name)
            names.add(name)
        yield from port(f"{where}.port", known.get("port"))
        if known.get("protocol") not in (*PROTOCOLS, None):
            yield unsupported(f"{where}.protocol", known["protocol"], PROTOCOLS)
        if known.get("targetPort") is not None:
            yield from port_or_name(f"{where}.targetPort", known["targetPort"])
        for why in label_key(known["appProtocol"]) if known.get("appProtocol") else ():
            yield invalid(f"{where}.appProtocol", known["appProtocol"], why)


def _affinity(service: Tree) -> Causes:
    kind, config = look(service, "spec.sessionAffinity"), look(service, "spec.sessionAffinityConfig")
    seconds = look(config, "clientIP.timeoutSeconds")
    if kind == "None" and config is not None:
        told = "must not be set when session affinity is None"
        yield forbidden("spec.sessionAffinityConfig", told)
    elif kind == "ClientIP" and isinstance(seconds, int) and not 0 < seconds <= AFFINITY_S_MAX:
        told = f"must be greater than 0 and less than {AFFINITY_S_MAX}"
        yield invalid("spec.sessionAffinityConfig.clientIP.timeoutSeconds", seconds, told)


def _addresses(service: Tree) -> Causes:
    if look(service, "spec.type") == "ExternalName":
        return
    for position, address in enumerate(look(service, "spec.clusterIPs") or ()):
        if address != "None":
            for why in ip(address):
                yield invalid(f"spec.clusterIPs[{position}]", address, why)


def _external(service: Tree) -> Causes:
    for position, address in enumerate(look(service, "spec.externalIPs") or ()):
        yield from _reachable(f"spec.externalIPs[{position}]", address)


def _reachable(field: str, address: Any, *, is_local_fine: bool = False) -> Causes:
    """An address that other machines could have."""
    if wrong := ip(str(address)):
        yield invalid(field, address, wrong[0])
        return
    known = ip_address(address)
    if known.is_unspecified:
        yield invalid(field, address, "may not be unspecified (0.0.0.0 or ::)")
    if known.is_loopback and not is_local_fine:
        yield invalid(field, address, "may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if known.is_link_local:
        yield invalid(field, address, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")


def _numbers(service: Tree) -> Causes:
    """Ports of nodes, and that no port is there twice."""
    kind, ports = look(service, "spec.type"), items(service, "spec.ports")
    for where, known in ports:
        if kind == "ClusterIP" and known.get("nodePort"):
            yield forbidden(f"{where}.nodePort", "may not be used when `type` is 'ClusterIP'")
    seen: set[tuple[Any, Any]] = set()
    for where, known in ports:
        key = (known.get("protocol"), known.get("nodePort"))
        if known.get("nodePort") and key in seen:
            yield duplicate(f"{where}.nodePort", known["nodePort"])
        seen.add(key)
    taken: set[tuple[Any, Any]] = set()
    for where, known in ports:
        key = (known.get("protocol"), known.get("port"))
        if key in taken:
            # As Go writes its internal type.
            inner = {
                "Name": "",
                "Protocol": key[0],
                "AppProtocol": None,
                "Port": key[1],
                "TargetPort": 0,
                "NodePort": 0,
            }
            yield duplicate(where, inner)
        taken.add(key)


def _balancer(service: Tree) -> Causes:
    spec = service.get("spec") or {}
    is_balanced = spec.get("type") == "LoadBalancer"
    where = "spec.LoadBalancerSourceRanges"
    if spec.get("loadBalancerSourceRanges") and not is_balanced:
        yield forbidden(where, _BALANCED)
    for position, value in enumerate(spec.get("loadBalancerSourceRanges") or ()):
        for why in cidr(value.strip()):
            yield invalid(f"{where}[{position}]", value.strip(), why)
    if spec.get("allocateLoadBalancerNodePorts") is not None and not is_balanced:
        yield forbidden("spec.allocateLoadBalancerNodePorts", _BALANCED)
    if spec.get("loadBalancerClass") is not None and not is_balanced:
        yield forbidden("spec.loadBalancerClass", _BALANCED)


def _traffic(service: Tree) -> Causes:
    spec = service.get("spec") or {}
    policy, number = spec.get("externalTrafficPolicy"), spec.get("healthCheckNodePort")
    is_outside = spec.get("type") in _OUTSIDE or (spec.get("type") == "ClusterIP" and spec.get("externalIPs"))
    if policy and not is_outside:
        told = "may only be set for externally-accessible services"
        yield invalid("spec.externalTrafficPolicy", policy, told)
    elif policy and policy not in ("Cluster", "Local"):
        yield unsupported("spec.externalTrafficPolicy", policy, ("Cluster", "Local"))
    if number and not (spec.get("type") == "LoadBalancer" and policy == "Local"):
        told = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
        yield invalid("spec.healthCheckNodePort", number, told)


SERVICE: tuple[Rule, ...] = (
    _kind,
    _ports,
    at("spec.selector", labels),
    at("spec.sessionAffinity", choice("ClientIP", "None")),
    _affinity,
    at("spec.ipFamilies[*]", choice(*_FAMILIES)),
    at("spec.ipFamilyPolicy", choice("PreferDualStack", "RequireDualStack", "SingleStack")),
    _addresses,
    _external,
    at("spec.type", choice("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")),
    _numbers,
    _balancer,
    _traffic,
    at("spec.internalTrafficPolicy", choice("Cluster", "Local")),
    at("spec.trafficDistribution", choice("PreferClose", "PreferSameNode", "PreferSameZone")),
)


def address_stays(old: Tree, new: Tree) -> Causes:
    """A service keeps the address it has, unless it comes to stand for a name outside."""
    before, after = look(old, "spec.clusterIPs") or [], look(new, "spec.clusterIPs") or []
    kinds = (look(old, "spec.type"), look(new, "spec.type"))
    if before and "ExternalName" not in kinds and after[:1] != before[:1]:
        yield invalid("spec.clusterIPs[0]", after, "may not change once set")


def class_stays(old: Tree, new: Tree) -> Causes:
    kinds = (look(old, "spec.type"), look(new, "spec.type"))
    before, after = look(old, "spec.loadBalancerClass"), look(new, "spec.loadBalancerClass")
    if kinds == ("LoadBalancer", "LoadBalancer") and before != after:
        yield invalid("spec.loadBalancerClass", after, "may not change once set")


def _subset(subset: Tree) -> Causes:
    if not subset.get("addresses") and not subset.get("notReadyAddresses"):
        yield required("", "must specify `addresses` or `notReadyAddresses`")
    for kind in ("addresses", "notReadyAddresses"):
        for where, known in items(subset, kind):
            # Real servers refuse this machine's own address; tests lead services to what listens here.
            yield from _reachable(f"{where}.ip", known.get("ip") or "", is_local_fine=True)
            for why in label(known["hostname"]) if known.get("hostname") else ():
                yield invalid(f"{where}.hostname", known["hostname"], why)
    many = len(subset.get("ports") or ()) > 1
    for where, known in items(subset, "ports"):
        name = known.get("name") or ""
        if many and not name:
            yield required(f"{where}.name")
        for why in label(name) if name else ():
            yield invalid(f"{where}.name", name, why)
        yield from port(f"{where}.port", known.get("port"))
        if known.get("protocol") not in (*PROTOCOLS, None):
            yield unsupported(f"{where}.protocol", known["protocol"], PROTOCOLS)


ENDPOINTS: tuple[Rule, ...] = (below("subsets[*]", _subset),)
ENDPOINTS_OF_SLICE_MAX, PORTS_OF_SLICE_MAX, ADDRESSES_MAX = 1000, 100, 100


def _slice(obj: Tree) -> Causes:
    family = obj.get("addressType")
    for where, known in items(obj, "endpoints"):
        addresses = known.get("addresses") or []
        if not addresses:
            yield required(f"{where}.addresses", "must contain at least 1 address")
        elif len(addresses) > ADDRESSES_MAX:
            told = f"Too many: {len(addresses)}: must have at most {ADDRESSES_MAX} items"
            yield cause(f"{where}.addresses", told, "FieldValueTooMany")
        for position, address in enumerate(addresses):
            field = f"{where}.addresses[{position}]"
            if family in _FAMILIES:
                if ip(address) or ip_address(address).version != int(family[-1]):
                    yield invalid(field, address, f"must be a valid {family} address")
                else:
                    yield from _reachable(field, address, is_local_fine=True)
            elif family == "FQDN":
                for why in subdomain(address):
                    yield invalid(field, address, why)
        for why in label(known["hostname"]) if known.get("hostname") else ():
            yield invalid(f"{where}.hostname", known["hostname"], why)
    names: set[str] = set()
    for where, known in items(obj, "ports"):
        name = known.get("name") or ""
        for why in label(name) if name else ():
            yield invalid(f"{where}.name", name, why)
        if name in names:
            yield duplicate(f"{where}.name", name)
        names.add(name)
        if known.get("protocol") not in (*PROTOCOLS, None):
            yield unsupported(f"{where}.protocol", known["protocol"], PROTOCOLS)
        if known.get("port") is not None:
            yield from port(f"{where}.port", known["port"])


SLICE: tuple[Rule, ...] = (
    at("addressType", choice("FQDN", *_FAMILIES)),
    _slice,
)
