"""Trims objects before they leave the reflector: drops fields, keeps metadata only, hides Secrets' values.

Decodes and encodes only where the config asks for something. Idempotent: trimming a trimmed object gives
the same bytes (client-go runs transformers twice on streamed lists), unless a path
names an element by its number.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from deltawire.common.meta.jsonpath import Path

Secrets = Literal["keep", "hash", "drop"]

# A Secret's values: stringData is never sent by servers, but costs nothing to cover.
_VALUES = ("data", "stringData")
# kubectl apply keeps the whole manifest here, values in clear.
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_HASH_PREFIX = "sha256:"
_HASH_HEX_CHARS = 16

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def trimmer(
    *, drop: Sequence[str] = (), metadata_only: bool = False, secrets: Secrets = "keep"
) -> Callable[[bytes], bytes] | None:
    """The trimming that a config asks for, or None where it asks for nothing.

    ``drop`` are paths (kubectl's JSONPath subset, checked again here: raises ConfigError). The function
    raises msgspec.DecodeError for bytes that are no JSON, ValueError for an object that is none.
    """
    steps: list[Callable[[dict[str, Any]], None]] = []
    if metadata_only:
        steps.append(_keep_metadata)
    if secrets == "hash":
        steps.append(_hash_values)
    elif secrets == "drop":
        steps.append(_drop_values)
    steps += [_drop(Path.parse(path)) for path in drop]
    if not steps:
        return None

    def trim(obj: bytes) -> bytes:
        fields = _decode(obj)
        if not isinstance(fields, dict):
            raise ValueError("not an object")
        for step in steps:
            step(fields)
        return _encode(fields)

    return trim


def _drop(path: Path) -> Callable[[dict[str, Any]], None]:
    def step(fields: dict[str, Any]) -> None:
        path.remove(fields)

    return step


def _keep_metadata(fields: dict[str, Any]) -> None:
    for name in fields.keys() - {"kind", "apiVersion", "metadata"}:
        del fields[name]


def _drop_values(fields: dict[str, Any]) -> None:
    for name in _VALUES:
        fields.pop(name, None)
    _forget_last_applied(fields)


def _hash_values(fields: dict[str, Any]) -> None:
    # Salted with the uid: two Secrets with one password must not show that they share it. A change shows.
    salt = str(fields.get("metadata", {}).get("uid", "")).encode()
    for name in _VALUES:
        values = fields.get(name)
        if isinstance(values, dict):
            fields[name] = {key: _hashed(value, salt) for key, value in values.items()}
        else:
            fields.pop(name, None)
    _forget_last_applied(fields)


def _hashed(value: object, salt: bytes) -> str:
    text = value if isinstance(value, str) else _encode(value).decode()
    # A colon is no base64 character, so that a hash cannot be taken for a value of data.
    if text.startswith(_HASH_PREFIX) and len(text) == len(_HASH_PREFIX) + _HASH_HEX_CHARS:
        return text
    return _HASH_PREFIX + hashlib.sha256(salt + b"\0" + text.encode()).hexdigest()[:_HASH_HEX_CHARS]


def _forget_last_applied(fields: dict[str, Any]) -> None:
    annotations = fields.get("metadata", {}).get("annotations")
    if isinstance(annotations, dict):
        annotations.pop(_LAST_APPLIED, None)
