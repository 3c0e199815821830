"""Rules of claims, volumes and what belongs to storage."""

from typing import Any

from deltawire.apiserver.kinds.quantities import amount
from deltawire.apiserver.rules.affinity import node_selector
from deltawire.apiserver.rules.at import at, below, choice, form, inside, need, quantity, selector
from deltawire.apiserver.rules.causes import (
    Causes,
    ChangeRule,
    Rule,
    Tree,
    cause,
    forbidden,
    invalid,
    look,
    required,
    shown,
    unsupported,
)
from deltawire.apiserver.rules.forms import label_key, subdomain
from deltawire.apiserver.rules.volumes import persistent_source

_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_CHANGEABLE = "resources.requests and volumeAttributesClassName for bound claims"
_CLAIM_STAYS = f"spec is immutable after creation except {_CHANGEABLE}"
_VOLUME_MODES = ("Block", "Filesystem")
_NOT_SOURCES = (
    "capacity",
    "accessModes",
    "claimRef",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "mountOptions",
    "volumeMode",
    "nodeAffinity",
    "volumeAttributesClassName",
)


def _modes(why: str) -> Rule:
    def rule(spec: Tree) -> Causes:
        modes = spec.get("accessModes") or []
        if not modes:
            yield required("accessModes", why)
        for mode in modes:
            if mode not in _MODES:
                yield unsupported("accessModes", mode, _MODES)
        if "ReadWriteOncePod" in modes and len(modes) > 1:
            told = "may not use ReadWriteOncePod with other access modes"
            yield forbidden("accessModes", told)

    return rule


def _asked(spec: Tree) -> Causes:
    size = look(spec, "resources.requests.storage")
    if size is None:
        yield required("resources[storage]")
    elif amount(size) <= 0:
        yield invalid("resources[storage]", size, "must be greater than zero")


CLAIM_SPEC: tuple[Rule, ...] = (
    _modes("at least 1 access mode is required"),
    at("selector", selector),
    _asked,
    at("storageClassName", form(subdomain)),
    at("volumeMode", choice(*_VOLUME_MODES)),
    below("dataSource", need("name"), need("kind")),
    below("dataSourceRef", need("name"), need("kind")),
)
CLAIM: tuple[Rule, ...] = (
    lambda obj: (inside("spec", f) for rule in CLAIM_SPEC for f in rule(obj.get("spec") or {})),
)


def claim_change(old: Tree, new: Tree) -> Causes:
    """A claim stays, but for its size; a claim without a volume may get one."""
    before, after = dict(old.get("spec") or {}), dict(new.get("spec") or {})
    if not before.get("volumeName"):
        before["volumeName"] = after.get("volumeName")
    if before.get("storageClassName") is None:
        before["storageClassName"] = after.get("storageClassName")
    is_bound = look(old, "status.phase") == "Bound"
    sizes = [look(spec, "resources.requests.storage") for spec in (before, after)]
    kept = [_kept(spec, is_bound=is_bound) for spec in (before, after)]
    if kept[0] != kept[1]:
        yield forbidden("spec", f"{_CLAIM_STAYS}\n{_difference(kept[0], kept[1])}")
    if all(sizes) and amount(sizes[1]) < amount(sizes[0]):
        reached = look(old, "status.capacity.storage") or "0"
        if amount(sizes[1]) <= amount(reached):
            yield forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")


def _kept(spec: Tree, *, is_bound: bool) -> Tree:
    kept = {
        name: value
        for name, value in spec.items()
        if value is not None and name != "volumeAttributesClassName"
    }
    if is_bound and isinstance(kept.get("resources"), dict):
        requests = {k: v for k, v in (kept["resources"].get("requests") or {}).items() if k != "storage"}
        kept["resources"] = {**kept["resources"], "requests": requests}
    return kept


def _difference(before: Tree, after: Tree) -> str:
    """The fields that would change; real servers print a difference of their internal types here."""
    names = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return "\n".join(f"- {n}: {shown(before.get(n))}\n+ {n}: {shown(after.get(n))}" for n in names)


def _capacity(spec: Tree) -> Causes:
    capacity = spec.get("capacity") or {}
    if not capacity:
        yield required("capacity")
    elif set(capacity) != {"storage"}:
        yield unsupported("capacity", capacity, ("storage",))
    for name, value in capacity.items():
        if amount(value) <= 0:
            yield invalid(f"capacity[{name}]", value, "must be greater than zero")


VOLUME_SPEC: tuple[Rule, ...] = (
    _modes(""),
    _capacity,
    at("persistentVolumeReclaimPolicy", choice("Delete", "Recycle", "Retain")),
    below("nodeAffinity.required", *node_selector),
    persistent_source,
    at("storageClassName", form(subdomain)),
    at("volumeMode", choice(*_VOLUME_MODES)),
)
VOLUME: tuple[Rule, ...] = (
    lambda obj: (inside("spec", f) for rule in VOLUME_SPEC for f in rule(obj.get("spec") or {})),
)


def volume_change(old: Tree, new: Tree) -> Causes:
    before, after = _source(old), _source(new)
    if before != after:
        told = "spec.persistentvolumesource is immutable after creation"
        yield forbidden("spec.persistentvolumesource", f"{told}\n{_difference(before, after)}")


def _source(volume: Tree) -> Tree:
    return {k: v for k, v in (volume.get("spec") or {}).items() if k not in _NOT_SOURCES}


PARAMETERS_MAX, PARAMETERS_BYTES_MAX = 512, 256 << 10


def _parameters(obj: Tree) -> Causes:
    parameters = obj.get("parameters") or {}
    if len(parameters) > PARAMETERS_MAX:
        told = f"Too long: may not be more than {PARAMETERS_MAX} bytes"
        yield cause("parameters", told, "FieldValueTooLong")
        return
    if "" in parameters:
        yield invalid("parameters", "", "field can not be empty.")
    if sum(len(k) + len(v) for k, v in parameters.items()) > PARAMETERS_BYTES_MAX:
        told = f"Too long: may not be more than {PARAMETERS_BYTES_MAX} bytes"
        yield cause("parameters", told, "FieldValueTooLong")


CLASS: tuple[Rule, ...] = (
    need("provisioner"),
    at("provisioner", form(lambda value: label_key(value.lower()))),
    _parameters,
    at("reclaimPolicy", choice("Delete", "Retain")),
    at("volumeBindingMode", choice("Immediate", "WaitForFirstConsumer")),
)


def frozen(*names: str) -> ChangeRule:
    """Fields of which the API server says that updates are forbidden."""

    def rule(old: Tree, new: Tree) -> Causes:
        for name in names:
            if old.get(name) != new.get(name):
                yield forbidden(name, f"updates to {name} are forbidden.")

    return rule


def _one_volume(obj: Tree) -> Causes:
    source = look(obj, "spec.source") or {}
    count = sum(source.get(name) is not None for name in ("inlineVolumeSpec", "persistentVolumeName"))
    told = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
    if count == 0:
        yield required("spec.source", told)
    elif count > 1:
        yield forbidden("spec.source", told)


ATTACHMENT: tuple[Rule, ...] = (
    need("spec.attacher"),
    at("spec.attacher", form(lambda value: subdomain(value.lower()))),
    _one_volume,
    need("spec.nodeName"),
    at("spec.nodeName", form(subdomain)),
)
CSI_NODE: tuple[Rule, ...] = (
    below("spec.drivers[*]", need("name"), at("name", form(lambda v: subdomain(v.lower()))), need("nodeID")),
)
CSI_DRIVER: tuple[Rule, ...] = (
    at("spec.volumeLifecycleModes[*]", choice("Ephemeral", "Persistent")),
    at("spec.fsGroupPolicy", choice("File", "None", "ReadWriteOnceWithFSType")),
)
CAPACITY: tuple[Rule, ...] = (
    need("storageClassName"),
    at("storageClassName", form(subdomain)),
    at("capacity", quantity),
    at("maximumVolumeSize", quantity),
)


def driver_change(old: Tree, new: Tree) -> Causes:
    for name in ("attachRequired", "fsGroupPolicy", "volumeLifecycleModes"):
        before, after = look(old, f"spec.{name}"), look(new, f"spec.{name}")
        if before != after:
            yield invalid(f"spec.{name}", after, "field is immutable")


def whole(value: Any) -> bool:
    return amount(value) == amount(value).to_integral_value()
