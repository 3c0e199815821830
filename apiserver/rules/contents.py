"""Rules of config maps and secrets."""

import json

from deltawire.apiserver.rules.causes import (
    Causes,
    ChangeRule,
    Tree,
    cause,
    forbidden,
    invalid,
    required,
)
from deltawire.apiserver.rules.forms import config_key

BYTES_MAX = 1 << 20
_KEYS_OF_TYPE = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}
_ACCOUNT = "kubernetes.io/service-account.name"
_HIDDEN = '"<secret contents redacted>"'
_JSON_TYPES = ("kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg")


def _keys(obj: Tree, name: str) -> Causes:
    for key in obj.get(name) or ():
        for why in config_key(key):
            yield invalid(f"{name}[{key}]", key, why)


def config_map(obj: Tree) -> Causes:
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    yield from _keys(obj, "data")
    for key in data:
        if key in binary:
            yield invalid(f"data[{key}]", key, "duplicate of key present in binaryData")
    yield from _keys(obj, "binaryData")
    size = sum(len(value.encode()) for value in data.values()) + _decoded(binary)
    if size > BYTES_MAX:
        yield cause("[]", f"Too long: may not be more than {BYTES_MAX} bytes", "FieldValueTooLong")


def secret(obj: Tree) -> Causes:
    data = obj.get("data") or {}
    yield from _keys(obj, "data")
    if _decoded(data) > BYTES_MAX:
        yield cause("data", f"Too long: may not be more than {BYTES_MAX} bytes", "FieldValueTooLong")
    kind = obj.get("type") or ""
    if kind == "kubernetes.io/basic-auth" and not data.keys() & {"username", "password"}:
        yield required("data[username]")
        yield required("data[password]")
    account = (obj["metadata"].get("annotations") or {}).get(_ACCOUNT)
    if kind == "kubernetes.io/service-account-token" and not account:
        yield required(f"metadata.annotations[{_ACCOUNT}]")
    for key in _KEYS_OF_TYPE.get(kind, ()):
        if key not in data:
            yield required(f"data[{key}]")
        elif kind in _JSON_TYPES and (why := _json_problem(data[key])):
            yield cause(f"data[{key}]", f"Invalid value: {_HIDDEN}: {why}", "FieldValueInvalid")


def _json_problem(encoded: str) -> str:
    """What Go's decoder says of a text that is not JSON; "" if it is."""
    from base64 import b64decode

    text = b64decode(encoded).decode("utf-8", "replace")
    try:
        json.loads(text)
    except ValueError as error:
        at = getattr(error, "pos", 0)
        if at >= len(text):
            return "unexpected end of JSON input"
        return f"invalid character {text[at]!r} looking for beginning of value"
    return ""


def _decoded(values: Tree) -> int:
    return sum(len(value) * 3 // 4 - value[-2:].count("=") for value in values.values())


def kept_if_immutable(*parts: str) -> ChangeRule:
    """What is marked immutable keeps these parts, and the mark."""

    def rule(old: Tree, new: Tree) -> Causes:
        if not old.get("immutable"):
            return
        told = "field is immutable when `immutable` is set"
        for name in ("immutable", *parts):
            if old.get(name) != new.get(name):
                yield forbidden(name, told)

    return rule
