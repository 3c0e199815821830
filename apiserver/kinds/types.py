"""Types of the built-in kinds, worked out from the files in ``data/`` when they are first asked for."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

_DATA = Path(__file__).parent / "data"
_SEQUENCES = {"[]": "list", "{}": "map"}


class Type:
    """``kind`` is list, map, struct or a plain type (``tests/vectors/kinds/main.go`` names them).

    ``of`` is the type of a list's items or a map's values; ``is_pointer`` tells nothing from an empty value.
    """

    __slots__ = ("_reference", "_struct", "is_pointer", "kind", "of")

    def __init__(self, text: str) -> None:
        self.is_pointer = text.startswith("*")
        text = text.lstrip("*")
        self.of: Type | None = None
        self._reference = ""
        self._struct: Struct | None = None
        self.kind = _SEQUENCES.get(text[:2], "")
        if self.kind:
            self.of = Type(text[2:])
        elif "." in text:
            self.kind, self._reference = "struct", text
        else:
            self.kind = text

    @property
    def struct(self) -> "Struct":
        if self._struct is None:
            module, _, name = self._reference.partition(".")
            self._struct = struct(module, name)
            if self._struct is None:
                raise LookupError(self._reference)
        return self._struct

    @property
    def go_name(self) -> str:
        """As Go's messages call it: ``int32``, ``v1.PodSpec``, ``[]string``."""
        if self.kind == "struct":
            module, _, name = self._reference.partition(".")
            return f"{module.rpartition('_')[2]}.{name}"
        if self.of is not None:
            return f"[]{self.of.go_name}" if self.kind == "list" else f"map[string]{self.of.go_name}"
        return _GO_NAMES.get(self.kind, self.kind)


_GO_NAMES = {
    "str": "string",
    "i32": "int32",
    "i64": "int64",
    "f64": "float64",
    "bytes": "[]uint8",
    "time": "v1.Time",
    "microtime": "v1.MicroTime",
    "duration": "v1.Duration",
    "quantity": "resource.Quantity",
    "intstr": "intstr.IntOrString",
}


class Field:
    """One field of a struct.

    ``is_left_out`` says whether an empty value is not written, ``is_left_out_zero`` the same of a struct in which
    everything is empty. ``keys`` tell the items of a list apart in server-side apply, with ``key_defaults``;
    ``is_set`` makes a list of plain values a set, ``is_atomic`` anything one value. ``patch_key`` is the key of
    strategic merge: None where the list is replaced, "" for plain values.
    """

    __slots__ = (
        "is_atomic",
        "is_left_out",
        "is_left_out_zero",
        "is_set",
        "key_defaults",
        "keys",
        "patch_key",
        "retains_keys",
        "type",
    )

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.type = Type(data["t"])
        left_out = data.get("o", 0)
        self.is_left_out, self.is_left_out_zero = bool(left_out & 1), bool(left_out & 2)
        self.keys: tuple[str, ...] = tuple(data.get("k", ()))
        self.key_defaults: Mapping[str, Any] = data.get("d", {})
        self.is_set = bool(data.get("s"))
        self.is_atomic = bool(data.get("a"))
        self.patch_key: str | None = data.get("p")
        self.retains_keys = bool(data.get("r"))


class Struct:
    """A type with named fields. ``is_atomic`` ones are owned as a whole in server-side apply."""

    __slots__ = ("always", "fields", "is_atomic", "name")

    def __init__(self, name: str, data: Mapping[str, Any]) -> None:
        self.name = name
        self.fields = {key: Field(about) for key, about in data["f"].items()}
        self.is_atomic = bool(data.get("a"))
        self.always = tuple(
            (key, field.type) for key, field in self.fields.items() if _is_always_written(field)
        )

    def zero(self) -> dict[str, Any]:
        """A new object of this type in which nothing is set, as Go writes it."""
        return {key: zero_of(type_) for key, type_ in self.always}


def _is_always_written(field: Field) -> bool:
    if field.is_left_out_zero:
        return False
    if not field.is_left_out:
        return True
    # A struct is never empty: "leave out where empty" does nothing to it.
    return not field.type.is_pointer and field.type.kind in ("struct", "time", "microtime")


def zero_of(type_: Type) -> Any:
    """What Go writes for a field of this type that is not set."""
    if type_.is_pointer:
        return None
    match type_.kind:
        case "str":
            return ""
        case "bool":
            return False
        case "i32" | "i64" | "f64" | "intstr":
            return 0
        case "quantity" | "duration":
            return "0" if type_.kind == "quantity" else "0s"
        case "struct":
            return type_.struct.zero()
    return None


@cache
def _module(name: str) -> dict[str, Any]:
    path = _DATA / f"{name}.json"
    if not path.is_file():
        return {}
    kinds: dict[str, Any] = msgspec.json.decode(path.read_bytes())
    return kinds


@cache
def struct(module: str, name: str) -> Struct | None:
    """The type called ``name`` in a module like ``apps_v1``; None for an unknown one."""
    data = _module(module).get(name)
    return Struct(name, data) if data is not None else None


def module_of(group: str, version: str) -> str:
    """The module of an API group's version: ``core_v1``, ``rbac_v1``."""
    return f"{group.partition('.')[0] or 'core'}_{version}"
