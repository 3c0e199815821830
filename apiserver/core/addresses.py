"""Addresses and ports that services get: each is given once, the lowest free one."""

from collections.abc import Iterator
from ipaddress import IPv4Network
from typing import Any

from deltawire.apiserver.core.failures import cause, invalid
from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.core.store import Store
from deltawire.common.errors import StatusError

Tree = dict[str, Any]
SERVICES = "services"
# The usual default of clusters.
NETWORK = IPv4Network("10.0.0.0/16")
NODE_PORTS = range(30000, 32768)
_NONE = "None"
# The lower addresses are for services that ask for theirs.
_FIRST = 256


def _full(what: str) -> StatusError:
    return StatusError(
        500, "InternalError", f"Internal error occurred: failed to allocate a {what}: range is full"
    )


_WITH_PORTS = ("NodePort", "LoadBalancer")
_WITH_ADDRESS = ("ClusterIP", *_WITH_PORTS)
_ONLY_FOR: dict[str, tuple[str, ...]] = {
    "clusterIP": _WITH_ADDRESS,
    "clusterIPs": _WITH_ADDRESS,
    "ipFamilies": _WITH_ADDRESS,
    "ipFamilyPolicy": _WITH_ADDRESS,
    "externalTrafficPolicy": _WITH_PORTS,
    "allocateLoadBalancerNodePorts": ("LoadBalancer",),
    "loadBalancerClass": ("LoadBalancer",),
    "healthCheckNodePort": ("LoadBalancer",),
}


class Addresses:
    """Gives addresses of `NETWORK` and node ports to new services, by what the stored ones have.

    What was given stays noted: a removed service's address comes back when the others are used up.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._next = _FIRST
        self._known: set[str] | None = None
        self._known_ports: set[int] | None = None
        self._next_port = NODE_PORTS.start

    def give(self, resource: Resource, service: Tree) -> None:
        """Complete a new service in place.

        Raises StatusError 422 for an address that is taken, 500 where none is left.
        """
        spec = service["spec"] = dict(service.get("spec") or {})
        if spec.get("type") == "ExternalName":
            return
        address = spec.get("clusterIP") or (spec.get("clusterIPs") or [""])[0]
        if not address:
            address = self._free()
        elif address != _NONE and address in self._taken():
            told = f'Invalid value: ["{address}"]: failed to allocate IP {address}: provided IP is already allocated'
            raise invalid(resource, service["metadata"]["name"], cause("spec.clusterIPs", told))
        if address != _NONE and self._known is not None:
            self._known.add(address)
        spec["clusterIP"], spec["clusterIPs"] = address, [address]
        # Without a selector the family of a headless service's endpoints is unknown.
        is_open = address == _NONE and not spec.get("selector")
        spec.setdefault("ipFamilies", ["IPv4", "IPv6"] if is_open else ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "RequireDualStack" if is_open else "SingleStack")
        self._give_ports(spec)

    def keep_ports(self, old: Tree, service: Tree) -> None:
        """Ports that a service had stay its own; new ones get theirs. In place."""
        spec = service["spec"] = dict(service.get("spec") or {})
        if spec.get("type") not in _WITH_PORTS:
            return
        before = {
            (port.get("port"), port.get("protocol")): port.get("nodePort")
            for port in (old.get("spec") or {}).get("ports") or ()
        }
        spec["ports"] = [
            {**port, "nodePort": before[key]}
            if not port.get("nodePort") and before.get(key := (port.get("port"), port.get("protocol")))
            else port
            for port in spec.get("ports") or ()
        ]
        if not spec["ports"]:
            del spec["ports"]
        self._give_ports(spec)

    def _give_ports(self, spec: Tree) -> None:
        if spec.get("type") not in _WITH_PORTS:
            return
        ports = []
        for port in spec.get("ports") or ():
            if not port.get("nodePort"):
                port = {**port, "nodePort": self._free_port()}
            ports.append(port)
        spec["ports"] = ports

    def _free(self) -> str:
        for _ in range(2):
            taken = self._taken()
            while self._next < NETWORK.num_addresses - 1:
                address = str(NETWORK[self._next])
                self._next += 1
                if address not in taken:
                    return address
            # All were given once: those of removed services are free again.
            self._next, self._known = _FIRST, None
        raise _full("serviceIP")

    def _taken(self) -> set[str]:
        if self._known is None:
            self._known = {str(spec.get("clusterIP")) for spec in self._specs()}
        return self._known

    def _free_port(self) -> int:
        for _ in range(2):
            if self._known_ports is None:
                self._known_ports = {
                    port.get("nodePort", 0) for spec in self._specs() for port in spec.get("ports") or ()
                }
                self._next_port = NODE_PORTS.start
            while self._next_port in NODE_PORTS:
                number = self._next_port
                self._next_port += 1
                if number not in self._known_ports:
                    return number
            self._known_ports = None
        raise _full("nodePort")

    def _specs(self) -> Iterator[Tree]:
        for record in self._store.table(SERVICES).records.values():
            yield record.decode().get("spec") or {}


def without_what_its_type_had(old: Tree, service: Tree) -> None:
    """A service of another type loses what only the former type had, unless that was set anew. In place."""
    before, spec = old.get("spec") or {}, dict(service.get("spec") or {})
    types = (before.get("type"), spec.get("type"))
    for name, fitting in _ONLY_FOR.items():
        if types[0] in fitting and types[1] not in fitting and spec.get(name) == before.get(name):
            spec.pop(name, None)
    if types[0] in _WITH_PORTS and types[1] not in _WITH_PORTS:
        ports, had = spec.get("ports") or [], before.get("ports") or []
        if [port.get("nodePort") for port in ports] == [port.get("nodePort") for port in had]:
            spec["ports"] = [{k: v for k, v in port.items() if k != "nodePort"} for port in ports]
    service["spec"] = spec
