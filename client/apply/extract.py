"""What one manager owns of an object, by the object's managedFields. Pure."""

from collections.abc import Mapping
from typing import Any

import msgspec

from deltawire.common.errors import ConfigError

_APPLY = "Apply"


def extract(obj: Any, field_manager: str, subresource: str = "") -> dict[str, Any]:
    """The fields that ``field_manager`` applied, with the object's identity: change them and apply them again.

    Without an entry of that manager it is the identity alone. Raises ConfigError for an object without kind, or
    with managedFields that cannot be read; one without managedFields (a transform dropped them) owns nothing.
    """
    plain = dict(obj) if isinstance(obj, Mapping) else msgspec.to_builtins(obj)
    metadata = plain.get("metadata") or {}
    if not plain.get("kind") or not plain.get("apiVersion") or not metadata.get("name"):
        raise ConfigError("only an object with apiVersion, kind and metadata.name can be extracted from")
    owned: dict[str, Any] = {}
    for entry in metadata.get("managedFields") or ():
        if (entry.get("manager"), entry.get("operation"), entry.get("subresource") or "") == (
            field_manager,
            _APPLY,
            subresource,
        ):
            owned = _taken(plain, _fields(entry.get("fieldsV1")))
    identity = {key: metadata[key] for key in ("name", "namespace") if metadata.get(key)}
    owned["metadata"] = {**owned.get("metadata", {}), **identity}
    return {**owned, "apiVersion": plain["apiVersion"], "kind": plain["kind"]}


def _taken(value: Any, fields: Mapping[str, Any]) -> Any:
    """The part of ``value`` that a set of fields names; a leaf is taken whole."""
    inner = {key: below for key, below in fields.items() if key != "."}
    if not inner:
        # Owned as such: a leaf whole; of a map or an item ("." alone) that it is there.
        return value if not fields or not isinstance(value, dict) else {}
    if isinstance(value, dict):
        return {
            key[2:]: _taken(value[key[2:]], _fields(below))
            for key, below in inner.items()
            if key.startswith("f:") and key[2:] in value
        }
    if isinstance(value, list):
        return [taken for item in value for taken in _taken_item(item, inner)]
    return value


def _taken_item(item: Any, fields: Mapping[str, Any]) -> list[Any]:
    """``item`` as far as ``fields`` name it by its keys (``k:{"name":"web"}``) or its value (``v:"a"``)."""
    for key, below in fields.items():
        kind, _, text = key.partition(":")
        if kind == "v" and _decoded(text) == item:
            return [item]
        if kind == "k" and isinstance(item, dict):
            keys = _fields(_decoded(text))
            if all(name in item and item[name] == wanted for name, wanted in keys.items()):
                return [{**_taken(item, _fields(below)), **keys}]
    return []


def _fields(found: Any) -> Mapping[str, Any]:
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise ConfigError("the object's managedFields cannot be read")
    return found


def _decoded(text: str) -> Any:
    try:
        return msgspec.json.decode(text.encode())
    except msgspec.DecodeError:
        raise ConfigError(f"the object's managedFields cannot be read: {text[:80]!r}") from None
