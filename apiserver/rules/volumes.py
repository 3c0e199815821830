"""Rules of the volumes of pods and of persistent volumes: which source, and what it must say."""

from deltawire.apiserver.kinds.quantities import amount
from deltawire.apiserver.rules.at import at, below, between, choice, form, inside, need
from deltawire.apiserver.rules.causes import (
    Cause,
    Causes,
    Rule,
    Tree,
    duplicate,
    forbidden,
    invalid,
    items,
    required,
    unsupported,
)
from deltawire.apiserver.rules.containers import amount_of_container, field_of_pod
from deltawire.apiserver.rules.forms import absolute_path, label, local_path, no_backsteps

_MODE = between(0, 0o777, "must be a number between 0 and 0777 (octal), both inclusive")
_HOST_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
_ONE_TYPE = "may not specify more than 1 volume type"
_FILES = below("items[*]", need("key"), need("path"), at("path", form(local_path)), at("mode", _MODE))
_OF_POD = below(
    "items[*]",
    need("path"),
    at("path", form(local_path)),
    below(
        "fieldRef",
        field_of_pod(
            ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
        ),
    ),
    below("resourceFieldRef", need("containerName"), amount_of_container),
    at("mode", _MODE),
)


def _size(source: Tree) -> Causes:
    if (size := source.get("sizeLimit")) is not None and amount(size) < 0:
        yield forbidden("sizeLimit", "SizeLimit field must be a valid resource quantity")


def _host_type(source: Tree) -> Causes:
    if (kind := source.get("type")) is not None and kind not in _HOST_TYPES:
        yield unsupported("type", kind, _HOST_TYPES)


def _sources(projected: Tree) -> Causes:
    for where, source in items(projected, "sources"):
        for name, rules in _PROJECTED.items():
            part = source.get(name)
            if not isinstance(part, dict):
                continue
            for rule in rules:
                yield from (inside(f"{where}.{name}", found) for found in rule(part))


_HOST_PATH: tuple[Rule, ...] = (need("path"), at("path", form(no_backsteps)), _host_type)
_NFS = (need("server"), need("path"), at("path", form(absolute_path)))
_PROJECTED: dict[str, tuple[Rule, ...]] = {
    "secret": (need("name"), _FILES),
    "configMap": (need("name"), _FILES),
    "downwardAPI": (_OF_POD,),
    "serviceAccountToken": (
        at("expirationSeconds", between(600, 2**32, "may not specify a duration less than 10 minutes")),
        need("path"),
        at("path", form(local_path)),
    ),
}
# Those that are named here are checked; others only count as the one source.
_RULES: dict[str, tuple[Rule, ...]] = {
    "emptyDir": (_size,),
    "hostPath": _HOST_PATH,
    "gitRepo": (need("repository"),),
    "gcePersistentDisk": (need("pdName"),),
    "awsElasticBlockStore": (need("volumeID"),),
    "secret": (need("secretName"), at("defaultMode", _MODE), _FILES),
    "nfs": _NFS,
    "iscsi": (need("targetPortal"), need("iqn"), at("lun", between(0, 255))),
    "glusterfs": (need("endpoints"), need("path")),
    "flocker": (),
    "persistentVolumeClaim": (need("claimName"),),
    "rbd": (need("monitors"), need("image")),
    "cinder": (need("volumeID"),),
    "cephfs": (need("monitors"),),
    "quobyte": (need("registry"), need("volume")),
    "downwardAPI": (at("defaultMode", _MODE), _OF_POD),
    "fc": (),
    "flexVolume": (need("driver"),),
    "configMap": (need("name"), at("defaultMode", _MODE), _FILES),
    "azureFile": (need("secretName"), need("shareName")),
    "vsphereVolume": (need("volumePath"),),
    "photonPersistentDisk": (need("pdID"),),
    "portworxVolume": (need("volumeID"),),
    "azureDisk": (need("diskName"), need("diskURI")),
    "storageos": (),
    "projected": (at("defaultMode", _MODE), _sources),
    "scaleIO": (need("gateway"), need("system")),
    "csi": (need("driver"),),
    "ephemeral": (need("volumeClaimTemplate"),),
    "image": (need("reference"), at("pullPolicy", choice("Always", "IfNotPresent", "Never"))),
}
_PERSISTENT: dict[str, tuple[Rule, ...]] = _RULES | {
    "local": (need("path"), at("path", form(no_backsteps))),
    "csi": (need("driver"), need("volumeHandle")),
}


def one_source(holder: Tree, rules: dict[str, tuple[Rule, ...]]) -> Causes:
    """Exactly one source, well formed."""
    given = [name for name in rules if holder.get(name) is not None]
    for name in given[:1]:
        for rule in rules[name]:
            yield from (inside(name, found) for found in rule(holder[name]))
    for name in given[1:]:
        yield forbidden(name, _ONE_TYPE)
    if not given:
        yield required("", "must specify a volume type")


def volumes(spec: Tree) -> tuple[list[Cause], list[str]]:
    """What is wrong with a pod's volumes, and the names of the good ones."""
    wrong: list[Cause] = []
    good: list[str] = []
    for where, volume in items(spec, "volumes"):
        found = [inside(where, one) for one in one_source(volume, _RULES)]
        name = str(volume.get("name") or "")
        if not name:
            found.append(required(f"{where}.name"))
        else:
            found += [invalid(f"{where}.name", name, why) for why in label(name)]
        if name and name in good:
            found.append(duplicate(f"{where}.name", name))
        if found:
            wrong += found
        else:
            good.append(name)
    return wrong, good


def persistent_source(spec: Tree) -> Causes:
    yield from one_source(spec, _PERSISTENT)
    if spec.get("local") is not None and not spec.get("nodeAffinity"):
        yield required("nodeAffinity", "Local volume requires node affinity")
