"""Rules of pods, and of the templates that make them."""

from deltawire.apiserver.rules.affinity import affinity, spreading, tolerations
from deltawire.apiserver.rules.at import (
    at,
    below,
    between,
    choice,
    form,
    inside,
    labels,
    need,
    once,
    quantity,
)
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
    not_found,
    required,
    shown,
    unsupported,
)
from deltawire.apiserver.rules.containers import (
    CONTAINER_AFTER_MOUNTS,
    CONTAINER_BEFORE_MOUNTS,
    LIVELINESS,
    POD_SECURITY,
    PROBES,
    mounts,
)
from deltawire.apiserver.rules.forms import ip, label, label_key, subdomain
from deltawire.apiserver.rules.volumes import volumes

_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_CONTAINER_RESTARTS = ("Always", "Never", "OnFailure")
_DNS_POLICIES = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_NOT_EPHEMERAL = ("ports", "resources", "lifecycle", *PROBES)
_CHANGEABLE = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def pod_spec(holder: Tree, path: str = "spec") -> Causes:
    """``path`` leads from ``holder`` to the spec, which may be missing."""
    spec = look(holder, path) or {}
    for rule in _SPEC:
        for found in rule(spec):
            yield inside(path, found)


def pod(obj: Tree) -> Causes:
    """A pod by itself: what its templates need not have is wrong here."""
    yield from pod_spec(obj)
    for kind in ("containers", "initContainers"):
        for where, container in items(obj, f"spec.{kind}"):
            image = container.get("image") or ""
            if image != image.strip():
                yield invalid(f"{where}.image", image, "must not have leading or trailing whitespace")


def template(path: str, *policies: str, is_spec_checked: bool = True) -> Rule:
    """The template at ``path`` makes pods that restart as is possible here.

    ``is_spec_checked``: not that of a StatefulSet, whose claims are volumes, too: its pods are checked when made.
    """

    def rule(obj: Tree) -> Causes:
        for name in ("labels", "annotations"):
            marks = look(obj, f"{path}.metadata.{name}") or {}
            yield from labels(f"{path}.labels", marks) if name == "labels" else _keys(path, marks)
        if is_spec_checked:
            yield from pod_spec(obj, f"{path}.spec")
            if look(obj, f"{path}.spec.ephemeralContainers"):
                told = "ephemeral containers not allowed in pod template"
                yield forbidden(f"{path}.spec.ephemeralContainers", told)
        policy = look(obj, f"{path}.spec.restartPolicy")
        if policies and policy in _RESTART_POLICIES and policy not in policies:
            yield unsupported(f"{path}.spec.restartPolicy", policy, policies)

    return rule


def _keys(path: str, annotations: Tree) -> Causes:
    for key in annotations:
        for why in label_key(key.lower()):
            yield invalid(f"{path}.annotations", key, why)


def _containers(spec: Tree) -> Causes:
    """Volumes first, then containers of all kinds: their names are unique together."""
    wrong, good = volumes(spec)
    yield from wrong
    if not spec.get("containers"):
        yield required("containers")
    rules = (*CONTAINER_BEFORE_MOUNTS, mounts(good), *CONTAINER_AFTER_MOUNTS)
    names: set[str] = set()
    for kind in ("containers", "initContainers", "ephemeralContainers"):
        for where, container in items(spec, kind):
            yield from _container(where, kind, container, rules, names)
        if kind == "containers":
            yield from _host_ports(spec)
    own = {c.get("name") for kind in ("containers", "initContainers") for _, c in items(spec, kind)}
    for where, container in items(spec, "ephemeralContainers"):
        target = container.get("targetContainerName")
        if target and target not in own:
            yield not_found(f"{where}.targetContainerName", target)


def _container(where: str, kind: str, container: Tree, rules: tuple[Rule, ...], names: set[str]) -> Causes:
    name = str(container.get("name") or "")
    if not name:
        yield required(f"{where}.name")
    else:
        for why in label(name):
            yield invalid(f"{where}.name", name, why)
    is_lasting = kind == "containers" or container.get("restartPolicy") == "Always"
    for rule in (*rules, *(LIVELINESS if kind != "ephemeralContainers" and is_lasting else ())):
        for found in rule(container):
            yield inside(where, found)
    if name and name in names:
        yield duplicate(f"{where}.name", name)
    names.add(name)
    if kind == "initContainers" and not is_lasting:
        for part in ("lifecycle", *PROBES):
            if container.get(part) is not None:
                told = "may not be set for init containers without restartPolicy=Always"
                yield forbidden(f"{where}.{part}", told)
    if kind == "ephemeralContainers":
        for part in _NOT_EPHEMERAL:
            if container.get(part):
                yield forbidden(f"{where}.{part}", "cannot be set for an Ephemeral Container")
    else:
        policy = container.get("restartPolicy")
        if policy is not None and policy not in _CONTAINER_RESTARTS:
            yield unsupported(f"{where}.restartPolicy", policy, _CONTAINER_RESTARTS)


def _host_ports(spec: Tree) -> Causes:
    taken: set[str] = set()
    for where, container in items(spec, "containers"):
        for below_it, known in items(container, "ports"):
            number = known.get("hostPort")
            if not number:
                continue
            told = f"{known.get('protocol')}/{known.get('hostIP', '')}/{number}"
            if told in taken:
                yield duplicate(f"{where}.{below_it}.hostPort", told)
            taken.add(told)
            if spec.get("hostNetwork") and number != known.get("containerPort"):
                why = "must match `containerPort` when `hostNetwork` is true"
                yield invalid(f"{where}.{below_it}.hostPort", number, why)


def _names(spec: Tree) -> Causes:
    config, policy = spec.get("dnsConfig"), spec.get("dnsPolicy")
    if policy == "None":
        if config is None:
            yield required("dnsConfig", "must provide `dnsConfig` when `dnsPolicy` is None")
        elif not config.get("nameservers"):
            told = "must provide at least one DNS nameserver when `dnsPolicy` is None"
            yield required("dnsConfig.nameservers", told)
    if len(servers := look(spec, "dnsConfig.nameservers") or ()) > 3:
        yield invalid("dnsConfig.nameservers", servers, "must not have more than 3 nameservers")


def _gates(spec: Tree) -> Causes:
    for where, gate in items(spec, "schedulingGates"):
        for why in label_key(gate.get("name") or ""):
            yield invalid(where, gate.get("name") or "", why)
    names = [gate.get("name") for _, gate in items(spec, "schedulingGates")]
    for position, name in enumerate(names):
        if name in names[:position]:
            yield duplicate(f"schedulingGates[{position}]", name)


_SPEC: tuple[Rule, ...] = (
    _containers,
    at("restartPolicy", choice(*_RESTART_POLICIES)),
    at("dnsPolicy", choice(*_DNS_POLICIES)),
    at("nodeSelector", labels),
    below("securityContext", *POD_SECURITY),
    below("affinity", *affinity),
    _names,
    at("dnsConfig.nameservers[*]", form(ip)),
    below("readinessGates[*]", at("conditionType", form(label_key))),
    _gates,
    *spreading,
    at("serviceAccountName", form(subdomain)),
    at("nodeName", form(subdomain)),
    at("activeDeadlineSeconds", between(1, 2**31 - 1)),
    at("hostname", form(label)),
    at("subdomain", form(label)),
    *tolerations,
    at("hostAliases[*].ip", form(ip)),
    at("hostAliases[*].hostnames[*]", form(subdomain)),
    at("priorityClassName", form(subdomain)),
    at("runtimeClassName", form(subdomain)),
    at("preemptionPolicy", choice("PreemptLowerPriority", "Never")),
    at("overhead{*}", quantity),
    below("os", need("name", "cannot be empty"), at("name", choice("linux", "windows"))),
    at("resourceClaims", once("name")),
)


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
