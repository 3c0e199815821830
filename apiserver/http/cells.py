"""What stands in the cells of tables: small functions from an object to a value."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from deltawire.apiserver.core.scale import selector_text

Tree = dict[str, Any]
# Gets the object and Unix seconds now.
Cell = Callable[[Tree, float], Any]

NONE = "<none>"
_UNSET = "<unset>"
_UNKNOWN = "<unknown>"
_ROLE_PREFIX = "node-role.kubernetes.io/"


def look(obj: Any, path: str) -> Any:
    """The value at a dotted path; None where there is none."""
    for step in path.split("."):
        obj = obj.get(step) if isinstance(obj, dict) else None
    return obj


def items(obj: Any, path: str) -> list[Tree]:
    """The objects in the list at a dotted path."""
    value = look(obj, path)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def at(path: str, missing: Any = NONE) -> Cell:
    """The value at a dotted path, ``missing`` where there is none."""

    def cell(obj: Tree, now_s: float) -> Any:
        value = look(obj, path)
        return missing if value is None or value == "" else value

    return cell


def aged(path: str = "metadata.creationTimestamp", missing: str = _UNKNOWN) -> Cell:
    """How long ago the time at ``path`` was."""

    def cell(obj: Tree, now_s: float) -> str:
        value = look(obj, path)
        return age(value, now_s) if isinstance(value, str) and value else missing

    return cell


def age(timestamp: str, now_s: float) -> str:
    """How long ago, as kubectl shortens it: 5s, 2m5s, 20m, 3h20m, 2d5h, 10d, 3y40d."""
    try:
        return duration(now_s - datetime.fromisoformat(timestamp).timestamp())
    except ValueError:
        return _UNKNOWN


def duration(seconds_s: float) -> str:
    """Two units while the larger one is small, then one (the tables' rule in apimachinery)."""
    seconds = max(int(seconds_s), 0)
    if seconds < 120:
        return f"{seconds}s"
    minutes = seconds // 60
    if minutes < 10:
        return _two(minutes, "m", seconds % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    hours = seconds // 3600
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    days = hours // 24
    if hours < 192:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    if days < 8 * 365:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def of_wanted(ready: str, wanted: str, default: int = 0) -> Cell:
    return lambda obj, now_s: f"{look(obj, ready) or 0}/{_or(look(obj, wanted), default)}"


def entries(*names: str) -> Cell:
    return lambda obj, now_s: sum(len(obj.get(name) or ()) for name in names)


def selector(path: str = "spec.selector") -> Cell:
    return lambda obj, now_s: selector_text(look(obj, path)) or NONE


def containers(field: str, path: str = "spec.template.spec.containers") -> Cell:
    """Names or images of the containers a template makes."""
    return lambda obj, now_s: ",".join(str(c.get(field, "")) for c in items(obj, path)) or NONE


def ready_containers(pod: Tree, now_s: float) -> str:
    statuses = items(pod, "status.containerStatuses")
    return f"{sum(bool(s.get('ready')) for s in statuses)}/{len(items(pod, 'spec.containers'))}"


def pod_status(pod: Tree, now_s: float) -> str:
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    for status in items(pod, "status.containerStatuses"):
        for state in ("waiting", "terminated"):
            reason = look(status, f"state.{state}.reason")
            if reason:
                return str(reason)
    return str(look(pod, "status.reason") or look(pod, "status.phase") or "Unknown")


def restarts(pod: Tree, now_s: float) -> str:
    counts = [status.get("restartCount") for status in items(pod, "status.containerStatuses")]
    return str(sum(count for count in counts if isinstance(count, int)))


def node_status(node: Tree, now_s: float) -> str:
    told = [c.get("status") for c in items(node, "status.conditions") if c.get("type") == "Ready"]
    ready = "Unknown" if not told else "Ready" if told[0] == "True" else "NotReady"
    return ready + (",SchedulingDisabled" if look(node, "spec.unschedulable") is True else "")


def node_roles(node: Tree, now_s: float) -> str:
    labels = node["metadata"].get("labels") or {}
    roles = sorted(label[len(_ROLE_PREFIX) :] for label in labels if label.startswith(_ROLE_PREFIX))
    return ",".join(roles) or NONE


def node_address(kind: str) -> Cell:
    def cell(node: Tree, now_s: float) -> str:
        found = [str(a.get("address")) for a in items(node, "status.addresses") if a.get("type") == kind]
        return found[0] if found else NONE

    return cell


def service_ports(service: Tree, now_s: float) -> str:
    def one(port: Tree) -> str:
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        return f"{port.get('port')}{node}/{port.get('protocol') or 'TCP'}"

    return ",".join(one(port) for port in items(service, "spec.ports")) or NONE


def external_address(service: Tree, now_s: float) -> str:
    kind = look(service, "spec.type")
    addresses = list(look(service, "spec.externalIPs") or ())
    if kind == "ExternalName":
        return str(look(service, "spec.externalName") or NONE)
    for ingress in items(service, "status.loadBalancer.ingress"):
        addresses.append(str(ingress.get("ip") or ingress.get("hostname") or ""))
    if addresses:
        return ",".join(addresses)
    return "<pending>" if kind == "LoadBalancer" else NONE


def endpoint_addresses(endpoints: Tree, now_s: float) -> str:
    found = [
        f"{address.get('ip')}:{port.get('port')}"
        for subset in items(endpoints, "subsets")
        for port in items(subset, "ports")
        for address in items(subset, "addresses")
    ]
    return _first(found, 3)


def cidrs(service_range: Tree, now_s: float) -> str:
    return ",".join(look(service_range, "spec.cidrs") or ())


def slice_ports(piece: Tree, now_s: float) -> str:
    return _first([str(_or(port.get("port"), _UNSET)) for port in items(piece, "ports")], 3, _UNSET)


def slice_endpoints(piece: Tree, now_s: float) -> str:
    found = [str(a) for endpoint in items(piece, "endpoints") for a in endpoint.get("addresses") or ()]
    return _first(found, 3, _UNSET)


def event_object(event: Tree, now_s: float) -> str:
    kind, name = look(event, "involvedObject.kind") or "", look(event, "involvedObject.name") or ""
    return f"{kind}/{name}".lower() if not name else f"{kind.lower()}/{name}"


def event_age(event: Tree, now_s: float) -> str:
    for path in ("series.lastObservedTime", "lastTimestamp", "eventTime", "metadata.creationTimestamp"):
        value = look(event, path)
        if value:
            return age(str(value), now_s)
    return _UNKNOWN


def job_status(job: Tree, now_s: float) -> str:
    told = {c.get("type") for c in items(job, "status.conditions") if c.get("status") == "True"}
    for condition, word in (
        ("Complete", "Complete"),
        ("Failed", "Failed"),
        ("Suspended", "Suspended"),
        ("FailureTarget", "FailureTarget"),
    ):
        if condition in told:
            return word
    return "Terminating" if job["metadata"].get("deletionTimestamp") else "Running"


def job_duration(job: Tree, now_s: float) -> str:
    start, end = look(job, "status.startTime"), look(job, "status.completionTime")
    if not start:
        return ""
    until = datetime.fromisoformat(end).timestamp() if end else now_s
    return duration(until - datetime.fromisoformat(start).timestamp())


def scale_target(autoscaler: Tree, now_s: float) -> str:
    return f"{look(autoscaler, 'spec.scaleTargetRef.kind')}/{look(autoscaler, 'spec.scaleTargetRef.name')}"


def scale_targets(autoscaler: Tree, now_s: float) -> str:
    wanted = [
        f"{metric['resource'].get('name')}: {_UNKNOWN}/{look(metric, 'resource.target.averageUtilization')}%"
        for metric in items(autoscaler, "spec.metrics")
        if look(metric, "resource.target.averageUtilization") is not None
    ]
    return _first(wanted, 2)


def ingress_hosts(ingress: Tree, now_s: float) -> str:
    hosts = [str(rule["host"]) for rule in items(ingress, "spec.rules") if rule.get("host")]
    return _first(hosts, 3, "*")


def ingress_address(ingress: Tree, now_s: float) -> str:
    found = [str(i.get("ip") or i.get("hostname")) for i in items(ingress, "status.loadBalancer.ingress")]
    return ",".join(found)


def ingress_ports(ingress: Tree, now_s: float) -> str:
    return "80, 443" if look(ingress, "spec.tls") else "80"


_MODES = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}


def access_modes(path: str) -> Cell:
    """Access modes as people write them: RWO, ROX."""
    return lambda obj, now_s: ",".join(_MODES.get(mode, str(mode)) for mode in look(obj, path) or ())


def claim(volume: Tree, now_s: float) -> str:
    reference = look(volume, "spec.claimRef") or {}
    return f"{reference.get('namespace')}/{reference.get('name')}" if reference else ""


def storage_class_name(storage_class: Tree, now_s: float) -> str:
    annotations = storage_class["metadata"].get("annotations") or {}
    is_default = annotations.get("storageclass.kubernetes.io/is-default-class") == "true"
    return f"{storage_class['metadata']['name']}{' (default)' if is_default else ''}"


def subjects(kind: str) -> Cell:
    """The names of a binding's users, groups or accounts."""

    def cell(binding: Tree, now_s: float) -> str:
        return ", ".join(
            f"{s.get('namespace')}/{s.get('name')}" if kind == "ServiceAccount" else str(s.get("name"))
            for s in items(binding, "subjects")
            if s.get("kind") == kind
        )

    return cell


def event_source(event: Tree, now_s: float) -> str:
    named = [look(event, "source.component") or event.get("reportingComponent"), look(event, "source.host")]
    return ", ".join(str(name) for name in named if name)


def event_first_seen(event: Tree, now_s: float) -> str:
    value = (
        event.get("firstTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp")
    )
    return age(str(value), now_s)


def event_count(event: Tree, now_s: float) -> int:
    return int(look(event, "series.count") or event.get("count") or 1)


def request_status(request: Tree, now_s: float) -> str:
    """What became of a certificate request."""
    told = {str(c.get("type")) for c in items(request, "status.conditions")}
    words: list[str] = [word for word in ("Approved", "Denied", "Failed") if word in told]
    if look(request, "status.certificate"):
        words.append("Issued")
    return ",".join(words) or "Pending"


def request_duration(request: Tree, now_s: float) -> str:
    wanted_s = look(request, "spec.expirationSeconds")
    return NONE if wanted_s is None else duration(float(wanted_s))


def role_reference(binding: Tree, now_s: float) -> str:
    return f"{look(binding, 'roleRef.kind')}/{look(binding, 'roleRef.name')}"


def quota_use(field: str) -> Cell:
    """Used and hard amounts of the resources whose name begins, or not, with ``limits.``."""

    def cell(quota: Tree, now_s: float) -> str:
        used = look(quota, "status.used") or {}
        hard = look(quota, "status.hard") or look(quota, "spec.hard") or {}
        chosen = sorted(name for name in hard if name.startswith("limits.") is (field == "limits"))
        return ", ".join(f"{name}: {used.get(name, 0)}/{hard[name]}" for name in chosen)

    return cell


def _first(found: list[str], count: int, missing: str = NONE) -> str:
    if len(found) > count:
        return f"{','.join(found[:count])} + {len(found) - count} more..."
    return ",".join(found) or missing


def _two(large: int, large_sign: str, small: int, small_sign: str) -> str:
    return f"{large}{large_sign}{small}{small_sign}" if small else f"{large}{large_sign}"


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value
