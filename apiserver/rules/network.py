"""Rules of ingresses, their classes and network policies."""

from ipaddress import ip_network
from typing import Any

from deltawire.apiserver.rules.at import at, below, form, need, port_or_name, selector
from deltawire.apiserver.rules.causes import (
    Causes,
    Rule,
    Tree,
    forbidden,
    invalid,
    look,
    port,
    required,
    unsupported,
)
from deltawire.apiserver.rules.forms import (
    cidr,
    is_ip,
    label_1035,
    port_name,
    prefixed_path,
    segment,
    subdomain,
    wildcard,
)

_SEQUENCES, _ENDS = ("//", "/./", "/../", "%2f", "%2F"), ("/..", "/.")
_REFERENCE: tuple[Rule, ...] = (
    at("apiGroup", form(subdomain)),
    need("kind"),
    at("kind", form(segment)),
    need("name"),
    at("name", form(segment)),
)


def _host(value: str) -> list[str]:
    wrong = ["must be a DNS name, not an IP address"] if is_ip(value) else []
    return wrong + (wildcard(value) if "*" in value else subdomain(value))


def _backend(backend: Tree) -> Causes:
    service, resource = backend.get("service"), backend.get("resource")
    if service is not None and resource is not None:
        yield invalid("", "", "cannot set both resource and service backends")
    elif resource is not None:
        for rule in _REFERENCE:
            yield from ({**found, "field": f"resource.{found['field']}"} for found in rule(resource))
    elif service is None:
        yield invalid("", "", "resource or service backend is required")
    else:
        name, number = service.get("name") or "", look(service, "port.number") or 0
        if not name:
            yield required("service.name")
        for why in label_1035(name) if name else ():
            yield invalid("service.name", name, why)
        named = look(service, "port.name") or ""
        if named and number:
            yield invalid("", "", "cannot set both port name & port number")
        elif named:
            for why in port_name(named):
                yield invalid("service.port.name", named, why)
        elif number:
            yield from port("service.port.number", number)
            if number < 0:
                yield invalid("service.port.number", number, "must be between 1 and 65535, inclusive")
        else:
            yield required("", "port name or number is required")


def _path(path: Tree) -> Causes:
    kind, value = path.get("pathType"), path.get("path") or ""
    if kind is None:
        yield required("pathType", "pathType must be specified")
        return
    if kind in ("Exact", "Prefix"):
        if not value.startswith("/"):
            yield invalid("path", value, "must be an absolute path")
        for part in _SEQUENCES:
            if part in value:
                yield invalid("path", value, f"must not contain '{part}'")
        for end in _ENDS:
            if value.endswith(end):
                yield invalid("path", value, f"cannot end with '{end}'")
    elif kind != "ImplementationSpecific":
        yield unsupported("pathType", kind, ("Exact", "ImplementationSpecific", "Prefix"))
    elif value and not value.startswith("/"):
        yield invalid("path", value, "must be an absolute path")
    yield from (
        {**f, "field": f"backend.{f['field']}".rstrip(".")} for f in _backend(path.get("backend") or {})
    )


def _some_rule(obj: Tree) -> Causes:
    if not look(obj, "spec.rules") and look(obj, "spec.defaultBackend") is None:
        yield invalid("spec", look(obj, "spec.rules"), "either `defaultBackend` or `rules` must be specified")


def _one_class(obj: Tree) -> Causes:
    noted = (obj["metadata"].get("annotations") or {}).get("kubernetes.io/ingress.class")
    named = look(obj, "spec.ingressClassName")
    if noted is not None and named is not None and noted != named:
        told = "must match `ingressClassName` when both are specified"
        yield invalid("annotations.kubernetes.io/ingress.class", noted, told)


INGRESS: tuple[Rule, ...] = (
    _some_rule,
    below("spec.defaultBackend", _backend),
    below("spec.rules[*]", at("host", form(_host)), below("http", need("paths"), below("paths[*]", _path))),
    at("spec.tls[*].hosts[*]", form(lambda value: wildcard(value) if "*" in value else subdomain(value))),
    at("spec.tls[*].secretName", form(subdomain)),
    at("spec.ingressClassName", form(subdomain)),
    _one_class,
)


def _scope(parameters: Tree) -> Causes:
    scope, namespace = parameters.get("scope"), parameters.get("namespace")
    if scope is None:
        yield required("scope")
    elif scope not in ("Cluster", "Namespace"):
        yield unsupported("scope", scope, ("Cluster", "Namespace"))
    elif scope == "Namespace" and namespace is None:
        yield required("namespace", "`parameters.scope` is set to 'Namespace'")
    elif scope == "Cluster" and namespace is not None:
        yield forbidden("namespace", "`parameters.scope` is set to 'Cluster'")


def _cidrs(obj: Tree) -> Causes:
    blocks = look(obj, "spec.cidrs") or []
    if not blocks:
        yield required("spec.cidrs", "at least one CIDR required")
    if len(blocks) > 2:
        yield invalid("spec", obj.get("spec"), "may only hold up to 2 values")
    for position, block in enumerate(blocks):
        for why in cidr(block):
            yield invalid(f"spec.cidrs[{position}]", block, why)


def _own_name(obj: Tree) -> Causes:
    name = obj["metadata"].get("name") or ""
    if not is_ip(name):
        yield invalid("metadata.name", name, "must be a valid IP address")


SERVICE_CIDR: tuple[Rule, ...] = (_cidrs,)
IP_ADDRESS: tuple[Rule, ...] = (
    _own_name,
    need("spec.parentRef"),
    below("spec.parentRef", need("resource"), need("name")),
)
INGRESS_CLASS: tuple[Rule, ...] = (
    need("spec.controller"),
    at("spec.controller", form(prefixed_path)),
    below("spec.parameters", *_REFERENCE, _scope),
)


def _policy_port(known: Tree) -> Causes:
    number, end = known.get("port"), known.get("endPort")
    if known.get("protocol") not in ("TCP", "UDP", "SCTP", None):
        yield unsupported("protocol", known["protocol"], ("TCP", "UDP", "SCTP"))
    if number is None:
        if end is not None:
            yield invalid("endPort", end, "may not be specified when `port` is not specified")
        return
    if isinstance(number, str) and end is not None:
        yield invalid("endPort", end, "may not be specified when `port` is non-numeric")
    yield from port_or_name("port", number)
    if isinstance(number, int) and end is not None:
        if end < number:
            yield invalid("endPort", end, "must be greater than or equal to `port`")
        yield from port_or_name("endPort", end)


def _peer(peer: Tree) -> Causes:
    for name in ("podSelector", "namespaceSelector"):
        if peer.get(name) is not None:
            yield from selector(name, peer[name])
    block = peer.get("ipBlock")
    if block is not None:
        yield from ({**found, "field": f"ipBlock.{found['field']}"} for found in _block(block))
    count = sum(peer.get(name) is not None for name in ("podSelector", "namespaceSelector", "ipBlock"))
    if count == 0:
        yield required("", "must specify a peer")
    elif count > 1 and block is not None:
        yield forbidden("", "may not specify both ipBlock and another peer")


def _block(block: Tree) -> Causes:
    whole: Any = block.get("cidr") or ""
    if not whole:
        yield required("cidr")
        return
    if wrong := cidr(whole):
        yield invalid("cidr", whole, wrong[0])
        return
    outer = ip_network(whole, strict=False)
    for position, text in enumerate(block.get("except") or ()):
        if wrong := cidr(text):
            yield invalid(f"except[{position}]", text, wrong[0])
            continue
        inner = ip_network(text, strict=False)
        is_within = inner.version == outer.version and inner.network_address in outer
        if not is_within or inner.prefixlen <= outer.prefixlen:
            yield invalid(f"except[{position}]", text, "must be a strict subset of `cidr`")


def _policy_types(obj: Tree) -> Causes:
    types = look(obj, "spec.policyTypes") or []
    if len(types) > 2:
        yield invalid("spec.policyTypes", types, "may not specify more than two policyTypes")
        return
    for position, kind in enumerate(types):
        if kind not in ("Ingress", "Egress"):
            yield unsupported(f"spec.policyTypes[{position}]", kind, ("Ingress", "Egress"))


POLICY: tuple[Rule, ...] = (
    at("spec.podSelector", selector),
    below("spec.ingress[*]", below("ports[*]", _policy_port), below("from[*]", _peer)),
    below("spec.egress[*]", below("ports[*]", _policy_port), below("to[*]", _peer)),
    _policy_types,
)
