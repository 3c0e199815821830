"""Built-in objects held to the types of their fields, as a decoder with Go types reads them and writes them again.

Unknown fields and nulls are dropped, so is what Go leaves out where it is empty; what it always writes is there.
Quantities and times get their canonical form. What cannot be read is refused in the words of Go's JSON decoder,
which people know how to read.
"""

from base64 import b64decode
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from deltawire.apiserver.kinds.quantities import BAD, canonical
from deltawire.apiserver.kinds.types import Struct, Type, struct, zero_of

_INT32_MAX, _INT64_MAX = 2**31, 2**63
_LAYOUTS = {"time": "2006-01-02T15:04:05Z07:00", "microtime": "2006-01-02T15:04:05.000000Z07:00"}
_EMPTY: tuple[Any, ...] = ("", 0, False, [], {})
# (the path before, a field's name, a list item's position or a map's key in a tuple of its own)
_Path = tuple[Any, ...]
_METADATA = ("meta_v1", "ObjectMeta")


class NotReadable(ValueError):
    """A value of the wrong type, in the words of Go's decoder."""


def typed(module: str, kind: str, obj: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """``obj`` as Go writes what it read of it, and the paths of the fields it does not know. Raises NotReadable.

    ``module`` is that of the kind, like ``apps_v1``. Objects of unknown kinds come back as they are.
    """
    known = struct(module, kind)
    if known is None:
        return obj, []
    unknown: list[str] = []
    read = _Reader(unknown).struct(known, obj, ())
    metadata = obj.get("metadata")
    if isinstance(metadata, dict) and metadata.get("managedFields") == []:
        read["metadata"]["managedFields"] = []  # says something: owners start afresh
    return read, unknown


def checked(module: str, kind: str, obj: dict[str, Any]) -> list[str]:
    """The paths of unknown fields. Raises NotReadable. ``obj`` is only looked at."""
    return typed(module, kind, obj)[1]


def typed_metadata(metadata: dict[str, Any]) -> None:
    """Raises NotReadable for metadata of a custom object that cannot be decoded."""
    known = struct(*_METADATA)
    if known is not None:
        _Reader([]).struct(known, metadata, ())


class _Reader:
    """A path is a chain of pairs, the last step last: texts are made of it only for a report."""

    def __init__(self, unknown: list[str]) -> None:
        self._unknown = unknown

    def struct(self, known: Struct, tree: dict[str, Any], path: _Path) -> dict[str, Any]:
        read: dict[str, Any] = {}
        fields = known.fields
        for name, value in tree.items():
            field = fields.get(name)
            if field is None:
                self._unknown.append(_full((path, name)))
                continue
            if value is None:
                continue
            type_ = field.type
            kept = self._value(known.name, type_, value, (path, name))
            if field.is_left_out and not type_.is_pointer:
                if kept in _EMPTY and type_.kind != "struct":
                    continue
                if field.is_left_out_zero and (kept is None or kept == zero_of(type_)):
                    continue
            read[name] = kept
        for name, type_ in known.always:
            if name not in read:
                read[name] = zero_of(type_)
        return read

    def _value(self, owner: str, type_: Type, value: Any, path: _Path) -> Any:
        kind = type_.kind
        if kind == "str":
            if isinstance(value, str):
                return value
        elif kind == "struct":
            if isinstance(value, dict):
                return self.struct(type_.struct, value, path)
        elif kind == "bool":
            if isinstance(value, bool):
                return value
        elif kind in ("i32", "i64"):
            if isinstance(value, int) and not isinstance(value, bool):
                bound = _INT32_MAX if kind == "i32" else _INT64_MAX
                if -bound <= value < bound:
                    return value
                raise _wrong(value, f"number {value}", _plain(owner, path), type_)
        elif type_.of is not None:
            return self._many(owner, type_, value, path)
        else:
            return _scalar(owner, type_, value, path)
        raise _wrong(value, "", _plain(owner, path), type_)

    def _many(self, owner: str, type_: Type, value: Any, path: _Path) -> Any:
        inner = type_.of
        if inner is None or not isinstance(value, list if type_.kind == "list" else dict):
            raise _wrong(value, "", _plain(owner, path), type_)
        if isinstance(value, list):
            return [
                zero_of(inner) if item is None else self._value(owner, inner, item, (path, position))
                for position, item in enumerate(value)
            ]
        return {
            key: zero_of(inner) if item is None else self._value(owner, inner, item, (path, (key,)))
            for key, item in value.items()
        }


def _full(path: _Path) -> str:
    """With the positions of list items: ``spec.list[0].x``."""
    told = ""
    while path:
        path, step = path
        shown = f"[{step}]" if isinstance(step, int) else f".{step if isinstance(step, str) else step[0]}"
        told = shown + told
    return told.removeprefix(".")


def _plain(owner: str, path: _Path) -> str:
    """As Go's messages have it, without list items and the keys of maps: ``PodSpec.spec.containers``."""
    steps = []
    while path:
        path, step = path
        if isinstance(step, str):
            steps.append(step)
    return ".".join([owner, *reversed(steps)])


def _scalar(owner: str, type_: Type, value: Any, path: _Path) -> Any:
    match type_.kind:
        case "f64" if isinstance(value, int | float) and not isinstance(value, bool):
            return value
        case "intstr":
            if isinstance(value, int | str) and not isinstance(value, bool):
                return value
            raise _wrong(value, "", _plain(owner, path), Type("str" if isinstance(value, bool) else "i32"))
        case "quantity":
            if isinstance(value, bool) or not isinstance(value, int | float | str):
                raise NotReadable(BAD)
            try:
                return canonical(value)
            except ValueError as error:
                raise NotReadable(str(error)) from None
        case "time" | "microtime" if isinstance(value, str):
            return _time(type_.kind, value)
        case "bytes" if isinstance(value, str):
            return _checked_bytes(value)
        case "duration" if isinstance(value, str):
            return value
        case "any":
            return value
    raise _wrong(value, "", _plain(owner, path), type_)


@lru_cache(maxsize=4096)
def _time(kind: str, value: str) -> Any:
    """A time in UTC; a microtime with six places."""
    try:
        if "T" not in value:
            raise ValueError
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueError
    except ValueError:
        layout = _LAYOUTS[kind]
        told = f'parsing time "{value}" as "{layout}": cannot parse "{value}" as "2006"'
        raise NotReadable(told) from None
    moment = moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ" if kind == "microtime" else "%Y-%m-%dT%H:%M:%SZ")


def _checked_bytes(value: str) -> str:
    try:
        b64decode(value.replace("\n", "").replace("\r", ""), validate=True)
    except ValueError:
        raise NotReadable("illegal base64 data at input byte 0") from None
    return value


def _wrong(value: Any, told: str, where: str, type_: Type) -> NotReadable:
    match value:
        case bool():
            told = told or "bool"
        case int():
            told = told or "number"
        case float():
            told = told or f"number {value}"
        case str():
            told = "string"
        case list():
            told = "array"
        case _:
            told = told or "object"
    return NotReadable(f"json: cannot unmarshal {told} into Go struct field {where} of type {type_.go_name}")
