"""Rules of one container, whichever list of a pod it stands in."""

from typing import Any

from deltawire.apiserver.kinds.quantities import amount
from deltawire.apiserver.rules.at import (
    above,
    at,
    below,
    between,
    choice,
    form,
    need,
    port_or_name,
    quantity,
)
from deltawire.apiserver.rules.causes import (
    Cause,
    Causes,
    Rule,
    Tree,
    duplicate,
    forbidden,
    invalid,
    items,
    look,
    not_found,
    port,
    required,
    unsupported,
)
from deltawire.apiserver.rules.forms import (
    config_key,
    header,
    label_key,
    local_path,
    port_name,
    subdomain,
    variable,
)

PROTOCOLS = ("SCTP", "TCP", "UDP")
PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
ID_MAX = 2**32 - 1
RESOURCES = ("cpu", "memory", "ephemeral-storage")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
_AMOUNTS = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef")
_ONE_OF = (
    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
)
_ONE_ONLY = "may not have more than one field specified at a time"


def _ports(container: Tree) -> Causes:
    names: set[str] = set()
    for where, known in items(container, "ports"):
        name, number = known.get("name") or "", known.get("containerPort")
        if wrong := port_name(name) if name else []:
            for why in wrong:
                yield invalid(f"{where}.name", name, why)
        elif name and name in names:
            yield duplicate(f"{where}.name", name)
        names.add(name)
        if not number:
            yield required(f"{where}.containerPort")
        else:
            yield from port(f"{where}.containerPort", number)
        if known.get("hostPort"):
            yield from port(f"{where}.hostPort", known["hostPort"])
        if known.get("protocol") not in (*PROTOCOLS, None):
            yield unsupported(f"{where}.protocol", known["protocol"], PROTOCOLS)


def field_of_pod(fields: tuple[str, ...] = _FIELDS) -> Rule:
    """A reference to a field of the pod itself, for variables and volumes."""

    def rule(reference: Tree) -> Causes:
        path = reference.get("fieldPath") or ""
        if not path:
            yield required("fieldPath")
            return
        name, bracket, key = path.partition("['")
        if bracket and key.endswith("']") and name in ("metadata.labels", "metadata.annotations"):
            for why in label_key(key[:-2]):
                yield invalid("", key[:-2], why)
        elif bracket:
            yield invalid("", name, "does not support subscript")
        elif path not in fields:
            if path.split(".")[0] in ("metadata", "spec", "status") and path in (*_FIELDS, *_LABELS):
                yield unsupported("fieldPath", path, fields)
            else:
                told = f"error converting fieldPath: field label not supported: {path}"
                yield invalid("fieldPath", path, told)

    return rule


_LABELS = ("metadata.labels", "metadata.annotations")


def amount_of_container(reference: Tree) -> Causes:
    """A reference to a request or limit."""
    name = reference.get("resource") or ""
    if not name:
        yield required("resource")
    elif name not in _AMOUNTS and not name.startswith(("limits.hugepages-", "requests.hugepages-")):
        yield unsupported("resource", name, _AMOUNTS)


_KEYED: tuple[Rule, ...] = (at("name", form(subdomain)), need("key"), at("key", form(config_key)))
_VARIABLE_SOURCES = (
    below("fieldRef", field_of_pod()),
    below("resourceFieldRef", amount_of_container),
    below("configMapKeyRef", *_KEYED),
    below("secretKeyRef", *_KEYED),
)


def _variable(known: Tree) -> Causes:
    source = known.get("valueFrom")
    if not isinstance(source, dict):
        return
    for rule in _VARIABLE_SOURCES:
        yield from ({**found, "field": f"valueFrom.{found['field']}".rstrip(".")} for found in rule(source))
    count = sum(source.get(name) is not None for name in (*_SOURCES, "fileKeyRef"))
    if count == 0:
        yield invalid("valueFrom", "", _ONE_OF)
    elif known.get("value"):
        yield invalid("valueFrom", "", "may not be specified when `value` is not empty")
    elif count > 1:
        yield invalid("valueFrom", "", _ONE_ONLY)


def _all_variables_of(source: Tree) -> Causes:
    count = sum(source.get(name) is not None for name in ("configMapRef", "secretRef"))
    if count == 0:
        yield invalid("", "", "must specify one of: `configMapRef` or `secretRef`")
    elif count > 1:
        yield invalid("", "", _ONE_ONLY)


def mounts(volumes: list[str]) -> Rule:
    """The mounts of a container of a pod with these volumes."""

    def rule(container: Tree) -> Causes:
        places: set[str] = set()
        for where, mount in items(container, "volumeMounts"):
            name, place = mount.get("name") or "", mount.get("mountPath") or ""
            if not name:
                yield required(f"{where}.name")
            if name not in volumes:
                yield not_found(f"{where}.name", name)
            if not place:
                yield required(f"{where}.mountPath")
            if place in places:
                yield invalid(f"{where}.mountPath", place, "must be unique")
            places.add(place)
            # The path of these is that of the list.
            for part in ("subPath", "subPathExpr"):
                for why in local_path(mount.get(part) or ""):
                    yield invalid(f"volumeMounts.{part}", mount[part], why)
            if mount.get("subPath") and mount.get("subPathExpr"):
                told = "subPathExpr and subPath are mutually exclusive"
                yield invalid(f"{where}.subPathExpr", mount["subPathExpr"], told)
            if (spread := mount.get("mountPropagation")) is not None:
                yield from _propagation(spread, container)

    return rule


def _propagation(value: Any, container: Tree) -> Causes:
    supported = ("Bidirectional", "HostToContainer", "None")
    if value not in supported:
        yield unsupported("volumeMounts.mountPropagation", value, supported)
    elif value == "Bidirectional" and not look(container, "securityContext.privileged"):
        told = "Bidirectional mount propagation is available only to privileged containers"
        yield forbidden("volumeMounts.mountPropagation", told)


def resources(container: Tree) -> Causes:
    limits, requests = look(container, "resources.limits") or {}, look(container, "resources.requests") or {}
    for kind, amounts in (("limits", limits), ("requests", requests)):
        for name, value in amounts.items():
            field = f"resources.{kind}[{name}]"
            yield from resource_name(field, name, "containers")
            yield from quantity(field, value)
            if kind == "requests" and name in limits and amount(value) > amount(limits[name]):
                told = f"must be less than or equal to {name} limit of {limits[name]}"
                yield invalid("resources.requests", value, told)


def resource_name(field: str, name: str, of: str, known: tuple[str, ...] = RESOURCES) -> Causes:
    """A name that counts here, or one with a prefix of its own."""
    for why in label_key(name):
        yield invalid(field, name, why)
    if "/" not in name and name not in known and not name.startswith("hugepages-"):
        yield invalid(field, name, f"must be a standard resource for {of}")


def seccomp(profile: Tree) -> Causes:
    kind, supported = profile.get("type") or "", ("Localhost", "RuntimeDefault", "Unconfined")
    if kind == "Localhost":
        if not profile.get("localhostProfile"):
            yield required("localhostProfile", "must be set when seccomp type is Localhost")
    elif profile.get("localhostProfile") is not None:
        inner = {"Type": kind, "LocalhostProfile": profile["localhostProfile"]}
        yield invalid("localhostProfile", inner, "can only be set when seccomp type is Localhost")
    if not kind:
        yield required("type", "type is required when seccompProfile is set")
    elif kind not in supported:
        yield unsupported("type", kind, supported)


_IDENTITY = (
    at("runAsUser", between(0, ID_MAX)),
    at("runAsGroup", between(0, ID_MAX)),
    below("seccompProfile", seccomp),
)
_SECURITY = (
    *_IDENTITY,
    at("procMount", choice("Default", "Unmasked")),
)
_HTTP = (
    need("path"),
    at("port", port_or_name),
    at("scheme", choice("HTTP", "HTTPS")),
    at("httpHeaders[*].name", form(header)),
)
_HANDLER_RULES: dict[str, tuple[Rule, ...]] = {
    "exec": (need("command"),),
    "httpGet": _HTTP,
    "tcpSocket": (at("port", port_or_name),),
    "grpc": (at("port", port_or_name),),
    "sleep": (),
}


def handler(part: Tree) -> Causes:
    """What a probe or a hook does: one thing."""
    given = [name for name in _HANDLERS if part.get(name) is not None]
    for name in given[:1]:
        for rule in _HANDLER_RULES[name]:
            yield from ({**found, "field": f"{name}.{_where(found)}"} for found in rule(part[name]))
    for name in given[1:]:
        yield forbidden(name, "may not specify more than 1 handler type")
    if not given:
        yield required("", "must specify a handler type")


def _where(found: Cause) -> str:
    """The API server tells of a header by its list."""
    return "httpHeaders" if found["field"].startswith("httpHeaders[") else found["field"]


_TIMES = tuple(
    at(name, between(0, 2**31 - 1, "must be greater than or equal to 0"))
    for name in (
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    )
)


def _once(probe: Tree) -> Causes:
    if probe.get("successThreshold") not in (None, 1):
        yield invalid("successThreshold", probe["successThreshold"], "must be 1")


def _no_grace(probe: Tree) -> Causes:
    if (seconds := probe.get("terminationGracePeriodSeconds")) is not None:
        yield invalid("terminationGracePeriodSeconds", seconds, "must not be set for readinessProbes")


_PROBE = (handler, *_TIMES, at("terminationGracePeriodSeconds", above(0)))
LIVELINESS: tuple[Rule, ...] = (
    below("lifecycle.postStart", handler),
    below("lifecycle.preStop", handler),
    below("livenessProbe", *_PROBE, _once),
    below("readinessProbe", *_PROBE, _no_grace),
    below("startupProbe", *_PROBE, _once),
)


def _security(container: Tree) -> Causes:
    context = container.get("securityContext") or {}
    if context.get("privileged") and context.get("allowPrivilegeEscalation") is False:
        told = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
        yield invalid("securityContext", _inner(context), told)


def _inner(context: Tree) -> Tree:
    """As Go writes its internal type."""
    names = (
        "capabilities",
        "privileged",
        "seLinuxOptions",
        "windowsOptions",
        "runAsUser",
        "runAsGroup",
        "runAsNonRoot",
        "readOnlyRootFilesystem",
        "allowPrivilegeEscalation",
        "procMount",
        "seccompProfile",
        "appArmorProfile",
    )
    return {
        name.replace("seL", "SEL")[:1].upper() + name.replace("seL", "SEL")[1:]: context.get(name)
        for name in names
    }


CONTAINER_BEFORE_MOUNTS: tuple[Rule, ...] = (
    need("image"),
    at("terminationMessagePolicy", choice("File", "FallbackToLogsOnError")),
    _ports,
    below("env[*]", need("name"), at("name", form(variable)), _variable),
    below(
        "envFrom[*]",
        at("prefix", form(variable)),
        below("configMapRef", need("name"), at("name", form(subdomain))),
        below("secretRef", need("name"), at("name", form(subdomain))),
        _all_variables_of,
    ),
)
CONTAINER_AFTER_MOUNTS: tuple[Rule, ...] = (
    at("imagePullPolicy", choice("Always", "IfNotPresent", "Never")),
    resources,
    below("securityContext", *_SECURITY),
    _security,
)
POD_SECURITY: tuple[Rule, ...] = (
    *_IDENTITY,
    at("fsGroup", between(0, ID_MAX)),
    at("supplementalGroups[*]", between(0, ID_MAX)),
    at("fsGroupChangePolicy", choice("Always", "OnRootMismatch")),
    below("sysctls[*]", need("name")),
)
