"""Rules of what a cluster is run with: quotas, ranges, classes, leases, events, flow control, API services."""

from typing import Any

from deltawire.apiserver.kinds.quantities import amount
from deltawire.apiserver.rules.at import (
    above,
    at,
    at_least,
    form,
    labels,
    need,
    quantity,
)
from deltawire.apiserver.rules.causes import (
    NOT_NEGATIVE,
    Causes,
    Rule,
    Tree,
    cause,
    duplicate,
    forbidden,
    invalid,
    items,
    look,
    required,
    shown,
    unsupported,
)
from deltawire.apiserver.rules.forms import label, label_1035, label_key

PRIORITY_MAX = 1_000_000_000
PRECEDENCE_MAX = 10_000
_COUNTED = (
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
)
_QUOTA_NAMES = (
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    *_COUNTED,
)
_SCOPES = (
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
)


def quota(obj: Tree) -> Causes:
    for name, value in (look(obj, "spec.hard") or {}).items():
        field = f"spec.hard[{name}]"
        for why in label_key(name):
            yield invalid(field, name, why)
        prefixed = ("hugepages-", "requests.hugepages-", "limits.hugepages-")
        if "/" not in name and name not in _QUOTA_NAMES and not name.startswith(prefixed):
            yield invalid(field, name, "must be a standard resource for quota")
        yield from quantity(field, value)
        is_counted = name in _COUNTED or name.startswith("count/")
        if is_counted and amount(value) != amount(value).to_integral_value():
            yield invalid(field, value, "must be an integer")
    scopes = look(obj, "spec.scopes") or []
    for scope in scopes:
        if scope not in _SCOPES:
            yield invalid("spec.scopes", scopes, "unsupported scope")


def quota_change(old: Tree, new: Tree) -> Causes:
    before, after = look(old, "spec.scopes") or [], look(new, "spec.scopes") or []
    if sorted(before) != sorted(after):
        yield invalid("spec.scopes", after, "field is immutable")


def ranges(obj: Tree) -> Causes:
    kinds: set[str] = set()
    for where, known in items(obj, "spec.limits"):
        kind = known.get("type") or ""
        for why in label_key(kind):
            yield invalid(f"{where}.type", kind, why)
        if kind in kinds:
            yield duplicate(f"{where}.type", kind)
        kinds.add(kind)
        yield from _range(where, kind, known)


def _range(where: str, kind: str, known: Tree) -> Causes:
    low, high = known.get("min") or {}, known.get("max") or {}
    default, asked = known.get("default") or {}, known.get("defaultRequest") or {}
    if kind == "Pod":
        for name, values in (("default", default), ("defaultRequest", asked)):
            if values:
                yield forbidden(f"{where}.{name}", "may not be specified when `type` is 'Pod'")
    if kind == "PersistentVolumeClaim" and "storage" not in low and "storage" not in high:
        told = "either minimum or maximum storage value is required, but neither was provided"
        yield required(f"{where}.limits", told)
    pairs: tuple[tuple[str, Tree, str, Tree, str], ...] = (
        ("min", low, "min value {} is greater than max value {}", high, "min"),
        (
            "defaultRequest",
            low,
            "min value {} is greater than default request value {}",
            asked,
            "defaultRequest",
        ),
        (
            "defaultRequest",
            asked,
            "default request value {} is greater than max value {}",
            high,
            "defaultRequest",
        ),
        (
            "defaultRequest",
            asked,
            "default request value {} is greater than default limit value {}",
            default,
            "defaultRequest",
        ),
        ("default", low, "min value {} is greater than default value {}", default, "min"),
        ("default", default, "default value {} is greater than max value {}", high, "default"),
    )
    for field, smaller, told, larger, _ in pairs:
        for name, value in smaller.items():
            if name in larger and amount(value) > amount(larger[name]):
                wrong = value if field != "default" or smaller is default else larger[name]
                yield invalid(f"{where}.{field}[{name}]", wrong, told.format(value, larger[name]))


def priority(obj: Tree) -> Causes:
    name, value = obj["metadata"].get("name") or "", obj.get("value") or 0
    if name.startswith("system-"):
        told = "priority class names with 'system-' prefix are reserved for system use only"
        yield forbidden("metadata.name", f"{told}. error: {name} is not a known system priority class")
    elif value > PRIORITY_MAX:
        yield forbidden("value", f"maximum allowed value of a user defined priority is {PRIORITY_MAX}")
    policy = obj.get("preemptionPolicy")
    if policy not in ("PreemptLowerPriority", "Never", None):
        yield unsupported("preemptionPolicy", policy, ("PreemptLowerPriority", "Never"))


def priority_change(old: Tree, new: Tree) -> Causes:
    if (old.get("value") or 0) != (new.get("value") or 0):
        yield forbidden("value", "may not be changed in an update.")
    if old.get("preemptionPolicy") != new.get("preemptionPolicy"):
        yield invalid("preemptionPolicy", new.get("preemptionPolicy"), "field is immutable")


LEASE: tuple[Rule, ...] = (
    at("spec.leaseDurationSeconds", above(0)),
    at("spec.leaseTransitions", at_least(0, NOT_NEGATIVE)),
)
RUNTIME_CLASS: tuple[Rule, ...] = (
    need("handler"),
    at("handler", form(label)),
    at("overhead.podFixed{*}", quantity),
    at("scheduling.nodeSelector", labels),
)


def revision(obj: Tree) -> Causes:
    if obj.get("data") is None:
        yield required("data", "data is mandatory")
    if (obj.get("revision") or 0) < 0:
        yield invalid("revision", obj["revision"], NOT_NEGATIVE)


_SAID = (
    ("reportingComponent", "reportingController"),
    ("reportingInstance", "reportingInstance"),
    ("action", "action"),
    ("reason", "reason"),
)


def new_event(event: Tree) -> Causes:
    """What an event that comes through the newer group must say. It is looked at as it is stored."""
    if not event.get("eventTime"):
        yield required("eventTime")
        return
    for name, field in _SAID:
        if not event.get(name):
            yield required(field)
    kind = str(event.get("type") or "")
    if kind not in ("Normal", "Warning"):
        yield invalid("type", "", f"has invalid value: {kind}")


def beside_its_object(event: Tree) -> Causes:
    """An event lives beside what it is about; events of cluster-wide objects name no namespace."""
    namespace = look(event, "involvedObject.namespace")
    if namespace and namespace != event["metadata"].get("namespace"):
        told = f"Invalid value: {shown(namespace)}: does not match event.namespace"
        yield cause("involvedObject.namespace", told, "FieldValueInvalid")


def flow_schema(obj: Tree) -> Causes:
    spec = obj.get("spec") or {}
    rank = spec.get("matchingPrecedence") or 0
    if rank <= 0:
        yield invalid("spec.matchingPrecedence", rank, "must be a positive value")
    if rank > PRECEDENCE_MAX:
        yield invalid("spec.matchingPrecedence", rank, f"must not be greater than {PRECEDENCE_MAX}")
    if rank == 1 and obj["metadata"].get("name") != "exempt":
        told = "only the schema named 'exempt' may have matchingPrecedence 1"
        yield invalid("spec.matchingPrecedence", rank, told)
    method = look(spec, "distinguisherMethod.type")
    if method is not None and method not in ("ByNamespace", "ByUser"):
        yield unsupported("spec.distinguisherMethod", method, ("ByNamespace", "ByUser"))
    if not look(spec, "priorityLevelConfiguration.name"):
        yield required("spec.priorityLevelConfiguration.name", "must reference a priority level")


def priority_level(obj: Tree) -> Causes:
    kind, limited = look(obj, "spec.type") or "", look(obj, "spec.limited")
    if kind not in ("Exempt", "Limited"):
        yield unsupported("spec.type", kind, ("Exempt", "Limited"))
    elif kind == "Exempt" and limited is not None:
        yield forbidden("spec.limited", "must be nil if the type is not Limited")
    elif kind == "Limited" and limited is None:
        yield required("spec.limited", "must not be empty when type is Limited")


def api_service(obj: Tree) -> Causes:
    spec, name = obj.get("spec") or {}, obj["metadata"].get("name") or ""
    version, group = spec.get("version") or "", spec.get("group") or ""
    if name != f"{version}.{group}":
        told = f'must be `spec.version+"."+spec.group`: "{version}.{group}"'
        yield invalid("metadata.name", name, told)
    if not version:
        yield required("spec.version")
    else:
        for why in label_1035(version):
            yield invalid("spec.version", version, why)
    for field, most in (("groupPriorityMinimum", 20_000), ("versionPriority", 1000)):
        rank: Any = spec.get(field) or 0
        if not 0 < rank <= most:
            yield invalid(f"spec.{field}", rank, f"must be positive and less than {most}")
    service = spec.get("service")
    if service is None:
        if spec.get("insecureSkipTLSVerify"):
            told = "local APIServices may not have insecureSkipTLSVerify"
            yield invalid("spec.insecureSkipTLSVerify", True, told)
        return
    for field in ("namespace", "name"):
        if not service.get(field):
            yield required(f"spec.service.{field}")
    if spec.get("insecureSkipTLSVerify") and spec.get("caBundle"):
        yield invalid("spec.insecureSkipTLSVerify", True, "may not be true if caBundle is present")
