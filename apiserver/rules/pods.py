"""Rules of pods, and of the templates that make them."""

import re

from deltawire.apiserver.kinds.quantities import amount
from deltawire.apiserver.rules.causes import (
    Causes,
    Tree,
    cause,
    duplicate,
    forbidden,
    invalid,
    items,
    look,
    not_found,
    port,
    required,
    shown,
    unsupported,
)

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_TOLD = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_CHANGEABLE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def pod_spec(holder: Tree, path: str = "spec") -> Causes:
    """``path`` leads from ``holder`` to the spec."""
    containers = items(holder, f"{path}.containers")
    if not containers:
        yield required(f"{path}.containers")
    volumes = [str(volume.get("name", "")) for _, volume in items(holder, f"{path}.volumes")]
    yield from _names(items(holder, f"{path}.volumes"), set())
    names: set[str] = set()
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        found = items(holder, f"{path}.{kind}")
        yield from _names(found, names)
        for where, container in found:
            yield from _container(container, where, volumes)
    for name, supported in (("restartPolicy", _RESTART_POLICIES), ("dnsPolicy", _DNS_POLICIES)):
        value = look(holder, f"{path}.{name}")
        if value is not None and value not in supported:
            yield unsupported(f"{path}.{name}", value, supported)
    seconds = look(holder, f"{path}.activeDeadlineSeconds")
    if isinstance(seconds, int) and not 0 < seconds < 2**31:
        yield invalid(f"{path}.activeDeadlineSeconds", seconds, "must be between 1 and 2147483647, inclusive")


def _names(found: list[tuple[str, Tree]], seen: set[str]) -> Causes:
    for where, item in found:
        name = str(item.get("name") or "")
        if not name:
            yield required(f"{where}.name")
        elif not _LABEL.fullmatch(name):
            yield invalid(f"{where}.name", name, _LABEL_TOLD)
        elif name in seen:
            yield duplicate(f"{where}.name", name)
        seen.add(name)


def _container(container: Tree, where: str, volumes: list[str]) -> Causes:
    image = container.get("image") or ""
    if not image:
        yield required(f"{where}.image")
    elif image != image.strip():
        yield invalid(f"{where}.image", image, "must not have leading or trailing whitespace")
    policy = container.get("imagePullPolicy")
    if policy is not None and policy not in _PULL_POLICIES:
        yield unsupported(f"{where}.imagePullPolicy", policy, _PULL_POLICIES)
    for below, known in items(container, "ports"):
        number = known.get("containerPort")
        if not number:
            yield required(f"{where}.{below}.containerPort")
        else:
            yield from port(f"{where}.{below}.containerPort", number)
        if known.get("hostPort"):
            yield from port(f"{where}.{below}.hostPort", known["hostPort"])
        if known.get("protocol") not in (*_PROTOCOLS, None):
            yield unsupported(f"{where}.{below}.protocol", known["protocol"], _PROTOCOLS)
    for below, variable in items(container, "env"):
        if not variable.get("name"):
            yield required(f"{where}.{below}.name")
        if variable.get("value") and variable.get("valueFrom"):
            told = "may not be specified when `value` is not empty"
            yield invalid(f"{where}.{below}.valueFrom", "", told)
    mounted: set[str] = set()
    for below, mount in items(container, "volumeMounts"):
        name, place = mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            yield required(f"{where}.{below}.name")
        elif name not in volumes:
            yield not_found(f"{where}.{below}.name", name)
        if not place:
            yield required(f"{where}.{below}.mountPath")
        elif place in mounted:
            yield invalid(f"{where}.{below}.mountPath", place, "must be unique")
        mounted.add(place)
    yield from _resources(container, where)


def _resources(container: Tree, where: str) -> Causes:
    limits = look(container, "resources.limits") or {}
    for name, asked in (look(container, "resources.requests") or {}).items():
        if amount(asked) < 0:
            told = "must be greater than or equal to 0"
            yield invalid(f"{where}.resources.requests[{name}]", asked, told)
        elif name in limits and amount(asked) > amount(limits[name]):
            told = f"must be less than or equal to {name} limit of {limits[name]}"
            yield invalid(f"{where}.resources.requests", asked, told)


def pod_change(old: Tree, new: Tree) -> Causes:
    """A pod is what it was made as, but for a few fields."""
    before, after = _fixed(old.get("spec") or {}), _fixed(new.get("spec") or {})
    kept, wanted = _tolerations(old), _tolerations(new)
    if before != after or any(toleration not in wanted for toleration in kept):
        yield forbidden("spec", f"{_CHANGEABLE}\n{_difference(before, after)}")
        return
    for kind in ("containers", "initContainers"):
        if len(look(old, f"spec.{kind}") or ()) != len(look(new, f"spec.{kind}") or ()):
            yield forbidden("spec.containers", "pod updates may not add or remove containers")


def _tolerations(pod: Tree) -> list[Tree]:
    return look(pod, "spec.tolerations") or []


def _fixed(spec: Tree) -> Tree:
    """What of a spec may not change. Scheduling a pod sets the node's name through another door."""
    fixed = {
        name: value
        for name, value in spec.items()
        if name not in ("activeDeadlineSeconds", "tolerations", "containers", "initContainers")
    }
    for kind in ("containers", "initContainers"):
        fixed[kind] = [
            {name: value for name, value in container.items() if name != "image"}
            for container in spec.get(kind) or ()
        ]
    return fixed


def _difference(before: Tree, after: Tree) -> str:
    """The fields that would change; real servers print a difference of their internal types here."""
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return "\n".join(
        f"- {name}: {shown(before.get(name))}\n+ {name}: {shown(after.get(name))}" for name in names
    )


def quality_change(old: str, new: str) -> Causes:
    """Resizing a pod may not make it one of another class."""
    if old != new:
        told = f'Invalid value: "{old}": Pod QOS Class may not change as a result of resizing'
        yield cause("spec", told, "FieldValueInvalid")
