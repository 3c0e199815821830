"""Strategic merge patch: a merge patch that knows by which key the items of some lists are told apart.

Built-in kinds only. Directives: ``$patch`` (delete, replace, merge), ``$setElementOrder/FIELD``,
``$deleteFromPrimitiveList/FIELD``, ``$retainKeys`` (fake API server §5.5).
"""

from typing import Any

from deltawire.common.errors import StatusError

Tree = dict[str, Any]

DIRECTIVE = "$patch"
RETAIN_KEYS = "$retainKeys"
ORDER = "$setElementOrder/"
DELETE_FROM = "$deleteFromPrimitiveList/"

_MERGE_KEYS = {
    **dict.fromkeys(
        (
            "containers",
            "initContainers",
            "ephemeralContainers",
            "env",
            "imagePullSecrets",
            "volumes",
            "resourceClaims",
            "schedulingGates",
            "secrets",
            "webhooks",
        ),
        "name",
    ),
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "hostAliases": "ip",
    "podIPs": "ip",
    "topologySpreadConstraints": "topologyKey",
    "conditions": "type",
    "addresses": "type",
    "ownerReferences": "uid",
}
# The ports of a container and those of a service have different keys; ports elsewhere are one value.
_PORT_KEYS = {
    "containers": "containerPort",
    "initContainers": "containerPort",
    "ephemeralContainers": "containerPort",
    "spec": "port",
}
_PRIMITIVE_SETS = ("finalizers", "podCIDRs")


def strategic_merge_patch(target: Any, patch: Any) -> Any:
    """``target`` after ``patch``; neither is changed. Raises StatusError 400 for a malformed patch."""
    if not isinstance(patch, dict):
        raise _bad("a strategic merge patch must be an object")
    return _merged_map(target if isinstance(target, dict) else {}, patch, "")


def _merged_map(target: Tree, patch: Tree, name: str) -> Tree:
    directive = patch.get(DIRECTIVE)
    if directive == "replace":
        replaced: Tree = _plain(patch)
        return replaced
    if directive == "delete":
        return {}
    if directive not in (None, "merge"):
        raise _bad(f"unknown value of {DIRECTIVE}: {directive!r}")
    merged = dict(target)
    retained = patch.get(RETAIN_KEYS)
    if retained is not None:
        if not isinstance(retained, list):
            raise _bad(f"{RETAIN_KEYS} must be a list")
        merged = {key: value for key, value in merged.items() if key in retained}
    for key, value in patch.items():
        if key in (DIRECTIVE, RETAIN_KEYS) or key.startswith(ORDER):
            continue
        if key.startswith(DELETE_FROM):
            field = key.removeprefix(DELETE_FROM)
            merged[field] = [item for item in _list(merged.get(field)) if item not in _list(value)]
        elif value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged_value(merged.get(key), value, key, name, patch.get(ORDER + key))
    for key, order in patch.items():
        if key.startswith(ORDER) and (field := key.removeprefix(ORDER)) not in patch and field in merged:
            merged[field] = _ordered(_list(merged[field]), _list(order), merge_key(field, name))
    return merged


def _merged_value(target: Any, value: Any, name: str, below: str, order: Any) -> Any:
    if isinstance(value, dict):
        return _merged_map(target if isinstance(target, dict) else {}, value, name)
    if not isinstance(value, list):
        return value
    key = merge_key(name, below)
    if key:
        merged = _merged_list(_list(target), value, key, name)
    elif name in _PRIMITIVE_SETS:
        old = _list(target)
        merged = old + [item for item in value if item not in old]
    else:
        return _plain(value)
    return _ordered(merged, _list(order), key) if order is not None else merged


def merge_key(name: str, below: str) -> str:
    """The field by which the items of list ``name`` (inside ``below``) merge; "" where the list is replaced."""
    return _PORT_KEYS.get(below, "") if name == "ports" else _MERGE_KEYS.get(name, "")


def _merged_list(target: list[Any], patch: list[Any], key: str, name: str) -> list[Any]:
    if any(not isinstance(item, dict) for item in patch):
        # Lists of plain values share some of these names (``secrets`` of an Ingress); they are replaced.
        return patch
    if any(item.get(DIRECTIVE) == "replace" for item in patch):
        return [_plain(item) for item in patch if item.get(DIRECTIVE) != "replace" or len(item) > 1]
    result = list(target)
    for item in patch:
        if key not in item:
            raise _bad(f"map: {sorted(item)} does not contain declared merge key: {key}")
        at = next(
            (i for i, old in enumerate(result) if isinstance(old, dict) and old.get(key) == item[key]), None
        )
        if item.get(DIRECTIVE) == "delete":
            if at is not None:
                del result[at]
        elif at is None:
            result.append(_merged_map({}, item, name))
        else:
            result[at] = _merged_map(result[at], item, name)
    return result


def _ordered(items: list[Any], order: list[Any], key: str) -> list[Any]:
    """``items`` in the asked order; those it does not name keep their place behind what precedes them."""
    wanted = [entry.get(key) if key and isinstance(entry, dict) else entry for entry in order]
    ranks: list[tuple[int, int, Any]] = []
    rank = -1
    for position, item in enumerate(items):
        own = item.get(key) if key and isinstance(item, dict) else item
        if own in wanted:
            rank = wanted.index(own)
        ranks.append((rank, position, item))
    return [item for _, _, item in sorted(ranks, key=lambda ranked: ranked[:2])]


def _plain(value: Any) -> Any:
    """``value`` without directives, as it is stored where nothing is there to merge with."""
    if isinstance(value, dict):
        return {
            key: _plain(child)
            for key, child in value.items()
            if child is not None
            and key not in (DIRECTIVE, RETAIN_KEYS)
            and not key.startswith((ORDER, DELETE_FROM))
        }
    return [_plain(child) for child in value] if isinstance(value, list) else value


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _bad(message: str) -> StatusError:
    return StatusError(400, "BadRequest", f"error decoding patch: {message}")
