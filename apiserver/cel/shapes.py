"""Types as rules see them, made of a schema: what a rule may say of ``self`` is checked against them.

Objects become messages of protobuf's descriptors, which is how the library knows types with named fields.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deltawire.apiserver.cel.names import escaped

Schema = Mapping[str, Any]

_FORMATS = {"byte": "bytes", "duration": "duration", "date": "timestamp", "date-time": "timestamp"}
_PLAIN = {"boolean": "bool", "number": "double", "integer": "int"}
_TEXT: Schema = {"type": "string"}
# What rules at the root of an object may look at, whatever its schema says.
ROOT: Mapping[str, Schema] = {
    "kind": _TEXT,
    "apiVersion": _TEXT,
    "metadata": {"type": "object", "properties": {"name": _TEXT, "generateName": _TEXT}},
}


@dataclass(frozen=True, slots=True)
class Shape:
    """``kind`` is a plain type of CEL, list, map or object; ``of`` is what a list or a map holds."""

    kind: str
    of: "Shape | None" = None
    fields: "Mapping[str, Shape] | None" = None


def properties_of(schema: Schema, *, is_root: bool) -> dict[str, Schema]:
    """The named fields of an object; at the root of a resource those that all have, too."""
    given = schema.get("properties") or {}
    known: dict[str, Schema] = {name: child for name, child in given.items() if isinstance(child, dict)}
    return {**known, **ROOT} if is_root else known


def shape_of(schema: Any, *, is_root: bool = False) -> Shape | None:
    """None for what rules cannot see: nothing is said about its type."""
    if not isinstance(schema, Mapping):
        return None
    if schema.get("x-kubernetes-int-or-string"):
        return Shape("dyn")
    match schema.get("type"):
        case "array":
            items = schema.get("items")
            inner = shape_of(items, is_root=is_embedded(items))
            return Shape("list", inner) if inner is not None else None
        case "object":
            further = schema.get("additionalProperties")
            if isinstance(further, Mapping):
                inner = shape_of(further, is_root=is_embedded(further))
                return Shape("map", inner) if inner is not None else None
            return Shape("object", fields=_fields(schema, is_root=is_root))
        case "string":
            return Shape(_FORMATS.get(schema.get("format", ""), "string"))
        case other:
            plain = _PLAIN.get(str(other))
            return Shape(plain) if plain else None


def is_embedded(schema: Any) -> bool:
    """Whether a schema is that of a whole object inside another."""
    return isinstance(schema, Mapping) and bool(schema.get("x-kubernetes-embedded-resource"))


def _fields(schema: Schema, *, is_root: bool) -> dict[str, Shape]:
    fields = {}
    for name, child in properties_of(schema, is_root=is_root).items():
        shape, known = shape_of(child, is_root=is_embedded(child)), escaped(name)
        if shape is not None and known is not None:
            fields[known] = shape
    return fields


# Numbers of protobuf's field types.
_NUMBERS = {"double": 1, "int": 3, "bool": 8, "string": 9, "bytes": 12}
_MESSAGE, _OPTIONAL, _REPEATED = 11, 1, 3
_WELL_KNOWN = {
    "dyn": ".google.protobuf.Value",
    "list": ".google.protobuf.ListValue",
    "map": ".google.protobuf.Struct",
    "timestamp": ".google.protobuf.Timestamp",
    "duration": ".google.protobuf.Duration",
}
_IMPORTED = ("struct", "timestamp", "duration")


class Messages:
    """The messages of the objects in shapes, in a pool of their own."""

    def __init__(self) -> None:
        from google.protobuf import descriptor_pb2

        self._file = descriptor_pb2.FileDescriptorProto(name="self.proto", syntax="proto3")
        self._file.dependency.extend(f"google/protobuf/{name}.proto" for name in _IMPORTED)

    def pool(self) -> Any:
        """All messages that were added."""
        from google.protobuf import descriptor_pool, duration_pb2, struct_pb2, timestamp_pb2

        pool = descriptor_pool.DescriptorPool()
        for known in (struct_pb2, timestamp_pb2, duration_pb2):
            pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
        pool.AddSerializedFile(self._file.SerializeToString())
        return pool

    def add(self, shape: Shape) -> str:
        """The name of the message for an object."""
        message = self._file.message_type.add(name=f"object{len(self._file.message_type)}")
        for number, (name, field) in enumerate((shape.fields or {}).items(), 1):
            self._field(message, name, number, field)
        return str(message.name)

    def _field(self, message: Any, name: str, number: int, shape: Shape) -> None:
        if shape.kind == "map" and shape.of is not None:
            # The name is prescribed: a map is a list of such entries.
            held = f"{''.join(part[:1].upper() + part[1:] for part in name.split('_'))}Entry"
            entry = message.nested_type.add(name=held)
            entry.options.map_entry = True
            _add(entry, "key", 1, _NUMBERS["string"], "", _OPTIONAL)
            kind, named = self._type(shape.of)
            _add(entry, "value", 2, kind, named, _OPTIONAL)
            of, named, label = _MESSAGE, f".{message.name}.{held}", _REPEATED
        elif shape.kind == "list" and shape.of is not None:
            of, named = self._type(shape.of)
            label = _REPEATED
        else:
            of, named = self._type(shape)
            label = _OPTIONAL
        _add(message, name, number, of, named, label)

    def _type(self, shape: Shape) -> tuple[int, str]:
        if shape.kind == "object":
            return _MESSAGE, f".{self.add(shape)}"
        if shape.kind in _WELL_KNOWN:
            return _MESSAGE, _WELL_KNOWN[shape.kind]
        return _NUMBERS[shape.kind], ""


def _add(message: Any, name: str, number: int, kind: int, named: str, label: int) -> None:
    field = message.field.add(name=name, number=number, type=kind, label=label)
    if named:
        field.type_name = named
