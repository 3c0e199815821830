"""Rules of services, slices, budgets, autoscalers and claims."""

import re

from deltawire.apiserver.rules.causes import (
    Causes,
    Tree,
    cause,
    duplicate,
    invalid,
    items,
    look,
    port,
    required,
    shown,
)

_PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]([-a-z0-9]{0,13}[a-z0-9])?")


def service_ports(service: Tree) -> Causes:
    spec = service.get("spec") or {}
    ports = items(service, "spec.ports")
    if not ports and spec.get("type") != "ExternalName" and spec.get("clusterIP") != "None":
        yield required("spec.ports")
    names: set[str] = set()
    for where, known in ports:
        name = known.get("name") or ""
        if not name and len(ports) > 1:
            yield required(f"{where}.name")
        elif name in names:
            yield duplicate(f"{where}.name", name)
        names.add(name)
        yield from port(f"{where}.port", known.get("port"))
        target = known.get("targetPort")
        if isinstance(target, str) and not _PORT_NAME.fullmatch(target):
            told = "must contain at least one letter (a-z)"
            yield invalid(f"{where}.targetPort", target, told)
        yield from port(f"{where}.targetPort", target)


def address_stays(old: Tree, new: Tree) -> Causes:
    """A service keeps the address it has, unless it comes to stand for a name outside."""
    before, after = look(old, "spec.clusterIPs") or [], look(new, "spec.clusterIPs") or []
    kinds = (look(old, "spec.type"), look(new, "spec.type"))
    if before and "ExternalName" not in kinds and after[:1] != before[:1]:
        yield invalid("spec.clusterIPs[0]", after, "may not change once set")


def external_name(service: Tree) -> Causes:
    if look(service, "spec.type") == "ExternalName" and not look(service, "spec.externalName"):
        yield required("spec.externalName")


def autoscaler(obj: Tree) -> Causes:
    low, high = look(obj, "spec.minReplicas"), look(obj, "spec.maxReplicas")
    if not isinstance(high, int) or high < 1:
        yield invalid("spec.maxReplicas", high or 0, "must be greater than 0")
    elif isinstance(low, int) and high < low:
        yield invalid("spec.maxReplicas", high, "must be greater than or equal to `minReplicas`")
    for name in ("kind", "name"):
        if not look(obj, f"spec.scaleTargetRef.{name}"):
            yield required(f"spec.scaleTargetRef.{name}")


def budget(obj: Tree) -> Causes:
    spec = obj.get("spec") or {}
    if spec.get("minAvailable") is None or spec.get("maxUnavailable") is None:
        return
    # As Go writes its internal type.
    inside = {
        "MinAvailable": spec["minAvailable"],
        "Selector": spec.get("selector"),
        "MaxUnavailable": spec["maxUnavailable"],
        "UnhealthyPodEvictionPolicy": spec.get("unhealthyPodEvictionPolicy"),
    }
    yield invalid("spec", inside, "minAvailable and maxUnavailable cannot be both set")


def claim(obj: Tree) -> Causes:
    if not look(obj, "spec.accessModes"):
        yield required("spec.accessModes", "at least 1 access mode is required")
    if "storage" not in (look(obj, "spec.resources.requests") or {}):
        yield required("spec.resources[storage]")


def role(obj: Tree) -> Causes:
    for where, rule in items(obj, "rules"):
        if not rule.get("verbs"):
            yield required(f"{where}.verbs", "verbs must contain at least one value")


def role_reference_stays(old: Tree, new: Tree) -> Causes:
    after = new.get("roleRef") or {}
    if (old.get("roleRef") or {}) != after:
        inside = {name: after.get(key, "") for name, key in _ROLE_REFERENCE.items()}
        yield invalid("roleRef", inside, "cannot change roleRef")


_ROLE_REFERENCE = {"APIGroup": "apiGroup", "Kind": "kind", "Name": "name"}


def event_time(event: Tree) -> Causes:
    if not event.get("eventTime"):
        yield required("eventTime")


def beside_its_object(event: Tree) -> Causes:
    """An event lives beside what it is about; events of cluster-wide objects name no namespace."""
    namespace = look(event, "involvedObject.namespace")
    if namespace and namespace != event["metadata"].get("namespace"):
        told = f"Invalid value: {shown(namespace)}: does not match event.namespace"
        yield cause("involvedObject.namespace", told, "FieldValueInvalid")
