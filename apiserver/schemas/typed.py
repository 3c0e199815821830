"""Built-in objects held to the types of their fields, as a decoder with Go types reads them.

Unknown fields and nulls are dropped. What cannot be read is refused in the words of Go's JSON decoder, which
people know how to read. Where the models are not installed (`deltawire.apiserver.openapi.models`), nothing is
held to anything.
"""

import re
from base64 import b64decode
from typing import Any

from deltawire.apiserver.openapi.models import FieldType, field_types, has_model

# Fields whose values are texts by key, wherever they occur: a model says only that they are maps.
_TEXT_MAPS = frozenset(
    ("labels", "annotations", "matchLabels", "nodeSelector", "stringData", "parameters", "volumeAttributes")
)
_QUANTITY_MAPS = frozenset(("limits", "requests", "hard", "used", "capacity", "allocatable", "overhead"))
_TEXT_MAPS_OF = frozenset(
    (("ConfigMap", "data"), ("ServiceSpec", "selector"), ("ReplicationControllerSpec", "selector"))
)
_BYTES_MAPS_OF = frozenset((("Secret", "data"), ("ConfigMap", "binaryData")))
_INT64 = frozenset(
    (
        "generation",
        "observedGeneration",
        "deletionGracePeriodSeconds",
        "terminationGracePeriodSeconds",
        "activeDeadlineSeconds",
        "startingDeadlineSeconds",
        "tolerationSeconds",
        "runAsUser",
        "runAsGroup",
        "fsGroup",
        "revision",
    )
)
_QUANTITY = re.compile(r"[+-]?[0-9.]+([eEinumkKMGTP]*[-+]?[0-9]*)")
_BAD_QUANTITY = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)


class NotReadable(ValueError):
    """A value of the wrong type, in the words of Go's decoder."""


def typed(module: str, kind: str, obj: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """A copy of ``obj`` with known fields only, and the paths of the others. Raises NotReadable.

    ``module`` is that of the model, like ``apps_v1``.
    """
    if not has_model(module, kind):
        return obj, []
    unknown: list[str] = []
    return _Reader(unknown).struct((module, kind), obj, "", ""), unknown


class _Reader:
    """``path`` counts list items (``spec.list[0].x``), ``plain`` does not: Go's messages leave them out."""

    def __init__(self, unknown: list[str]) -> None:
        self._unknown = unknown

    def struct(self, model: tuple[str, str], tree: dict[str, Any], path: str, plain: str) -> dict[str, Any]:
        types = field_types(*model)
        read: dict[str, Any] = {}
        for name, value in tree.items():
            below = f"{path}.{name}" if path else name
            if name not in types:
                self._unknown.append(below)
            elif value is not None:
                read[name] = self._field(model[1], name, types[name], value, (below, _joined(plain, name)))
        return read

    def _field(self, owner: str, name: str, of: FieldType, value: Any, paths: tuple[str, str]) -> Any:
        path, plain = paths
        where = f"{owner}.{plain}"
        if not of.is_list:
            return self._value(where, (owner, name), of, value, paths)
        if not isinstance(value, list):
            raise _wrong(value, where, f"[]{_go_type(name, of)}")
        return [
            self._value(where, (owner, name), of, item, (f"{path}[{position}]", plain))
            for position, item in enumerate(value)
        ]

    def _value(
        self, where: str, field: tuple[str, str], of: FieldType, value: Any, paths: tuple[str, str]
    ) -> Any:
        if of.model is not None:
            if not isinstance(value, dict):
                raise _wrong(value, where, _go_type(field[1], of))
            return self.struct(of.model, value, *paths)
        match of.name.rpartition(".")[2]:
            case "str" | "Time" | "MicroTime":
                fits = isinstance(value, str)
            case "bool":
                fits = isinstance(value, bool)
            case "int":
                fits = isinstance(value, int) and not isinstance(value, bool)
            case "float":
                fits = isinstance(value, int | float) and not isinstance(value, bool)
            case "IntOrString":
                fits = isinstance(value, int | str) and not isinstance(value, bool)
            case "Quantity":
                _check_quantity(value)
                fits = True
            case "dict":
                _check_map(where, field, value)
                fits = True
            case _:
                fits = True
        if not fits:
            raise _wrong(value, where, _go_type(field[1], of))
        return value


def _check_map(where: str, field: tuple[str, str], value: Any) -> None:
    name = field[1]
    if not isinstance(value, dict):
        raise _wrong(value, where, "map[string]string")
    if name in _TEXT_MAPS or field in _TEXT_MAPS_OF:
        for entry in value.values():
            if not isinstance(entry, str):
                raise _wrong(entry, where, "string")
    elif field in _BYTES_MAPS_OF:
        for entry in value.values():
            _check_bytes(where, entry)
    elif name in _QUANTITY_MAPS:
        for entry in value.values():
            _check_quantity(entry)


def _check_bytes(where: str, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, str):
        raise _wrong(value, where, "[]uint8")
    try:
        b64decode(value.replace("\n", "").replace("\r", ""), validate=True)
    except ValueError:
        raise NotReadable("illegal base64 data at input byte 0") from None


def _check_quantity(value: Any) -> None:
    if isinstance(value, bool) or not (
        isinstance(value, int | float) or (isinstance(value, str) and _QUANTITY.fullmatch(value))
    ):
        raise NotReadable(_BAD_QUANTITY)


def _joined(plain: str, name: str) -> str:
    return f"{plain}.{name}" if plain else name


def _go_type(name: str, of: FieldType) -> str:
    if of.model is not None:
        return f"{of.model[0].rpartition('_')[2]}.{of.model[1]}"
    if of.name == "int":
        return "int64" if name in _INT64 else "int32"
    return {"str": "string", "float": "float64"}.get(of.name, of.name.rpartition(".")[2])


def _wrong(value: Any, where: str, go_type: str) -> NotReadable:
    match value:
        case None:
            told = "null"
        case bool():
            told = "bool"
        case int():
            told = "number"
        case float():
            told = f"number {value}"
        case str():
            told = "string"
        case list():
            told = "array"
        case _:
            told = "object"
    return NotReadable(f"json: cannot unmarshal {told} into Go struct field {where} of type {go_type}")
