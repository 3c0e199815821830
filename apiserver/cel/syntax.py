"""Compiled expressions as trees: the messages of ``cel.expr`` that the library writes and reads.

Only what is looked at here is declared; protobuf keeps the rest of a message as it is.
"""

from functools import cache
from typing import Any, NamedTuple

# Message: its fields, as (name, number, type); types are those of protobuf, or messages; "*" marks lists.
_MESSAGES: dict[str, tuple[tuple[str, int, str], ...]] = {
    "Constant": (
        ("null_value", 1, "int64"),
        ("bool_value", 2, "bool"),
        ("int64_value", 3, "int64"),
        ("uint64_value", 4, "uint64"),
        ("double_value", 5, "double"),
        ("string_value", 6, "string"),
        ("bytes_value", 7, "bytes"),
    ),
    "Ident": (("name", 1, "string"),),
    "Select": (("operand", 1, "Expr"), ("field", 2, "string"), ("test_only", 3, "bool")),
    "Call": (("target", 1, "Expr"), ("function", 2, "string"), ("args", 3, "*Expr")),
    "CreateList": (("elements", 1, "*Expr"),),
    "Entry": (("map_key", 3, "Expr"), ("value", 4, "Expr")),
    "CreateStruct": (("message_name", 1, "string"), ("entries", 2, "*Entry")),
    "Comprehension": (
        ("iter_var", 1, "string"),
        ("iter_range", 2, "Expr"),
        ("accu_var", 3, "string"),
        ("accu_init", 4, "Expr"),
        ("loop_condition", 5, "Expr"),
        ("loop_step", 6, "Expr"),
        ("result", 7, "Expr"),
    ),
    "Expr": (
        ("id", 2, "int64"),
        ("const_expr", 3, "Constant"),
        ("ident_expr", 4, "Ident"),
        ("select_expr", 5, "Select"),
        ("call_expr", 6, "Call"),
        ("list_expr", 7, "CreateList"),
        ("struct_expr", 8, "CreateStruct"),
        ("comprehension_expr", 9, "Comprehension"),
    ),
    "ListType": (("elem_type", 1, "Type"),),
    "MapType": (("key_type", 1, "Type"), ("value_type", 2, "Type")),
    "AbstractType": (("name", 1, "string"), ("parameter_types", 2, "*Type")),
    "Nothing": (),
    "Type": (
        ("dyn", 1, "Nothing"),
        ("primitive", 3, "int64"),
        ("wrapper", 4, "int64"),
        ("well_known", 5, "int64"),
        ("list_type", 6, "ListType"),
        ("map_type", 7, "MapType"),
        ("message_type", 9, "string"),
        ("type_param", 10, "string"),
        ("abstract_type", 14, "AbstractType"),
    ),
    "Reference": (("name", 1, "string"), ("overload_id", 3, "*string")),
    "ReferenceEntry": (("key", 1, "int64"), ("value", 2, "Reference")),
    "TypeEntry": (("key", 1, "int64"), ("value", 2, "Type")),
    # A checked and a merely parsed expression have theirs at different numbers.
    "Checked": (
        ("references", 2, "*ReferenceEntry"),
        ("types", 3, "*TypeEntry"),
        ("expr", 4, "Expr"),
    ),
    "Parsed": (("expr", 2, "Expr"),),
    "Any": (("type_url", 1, "string"), ("value", 2, "bytes")),
}
_KINDS = {"double": 1, "int64": 3, "uint64": 4, "bool": 8, "string": 9, "bytes": 12}
_MESSAGE, _OPTIONAL, _REPEATED = 11, 1, 3
_PRIMITIVES = ("", "bool", "int", "uint", "double", "string", "bytes")
_WELL_KNOWN = ("", "any", "timestamp", "duration")


class Kind(NamedTuple):
    """A type: ``name`` is that of a plain type, ``list``, ``map``, ``message``, or an own one; "" for any."""

    name: str
    of: "tuple[Kind, ...]" = ()


ANY = Kind("")


class Tree:
    """One expression. ``overloads`` and ``kinds`` go by the id of a part; both are empty where nothing was checked."""

    def __init__(self, serialized: bytes) -> None:
        outer = message("Any").FromString(serialized)
        is_checked = outer.type_url.endswith("CheckedExpr")
        inner = message("Checked" if is_checked else "Parsed").FromString(outer.value)
        self.expr: Any = inner.expr
        self.kinds: dict[int, Kind] = {}
        self.overloads: dict[int, tuple[str, ...]] = {}
        if is_checked:
            self.kinds = {each.key: _kind(each.value) for each in inner.types}
            self.overloads = {each.key: tuple(each.value.overload_id) for each in inner.references}


def _kind(given: Any) -> Kind:
    if given.primitive:
        return Kind(_PRIMITIVES[given.primitive])
    if given.well_known:
        return Kind(_WELL_KNOWN[given.well_known])
    if given.HasField("list_type"):
        return Kind("list", (_kind(given.list_type.elem_type),))
    if given.HasField("map_type"):
        return Kind("map", (_kind(given.map_type.key_type), _kind(given.map_type.value_type)))
    if given.message_type:
        return Kind("message")
    if given.type_param:
        return Kind("parameter")
    if given.HasField("abstract_type"):
        held = tuple(_kind(each) for each in given.abstract_type.parameter_types)
        return Kind(given.abstract_type.name, held)
    return ANY


@cache
def message(name: str) -> Any:
    """The class of a message."""
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"deltawire.cel.{name}"))


@cache
def _pool() -> Any:
    from google.protobuf import descriptor_pb2, descriptor_pool

    file = descriptor_pb2.FileDescriptorProto(name="deltawire/cel.proto", package="deltawire.cel")
    for called, fields in _MESSAGES.items():
        declared = file.message_type.add(name=called)
        for name, number, kind in fields:
            plain = kind.lstrip("*")
            label = _REPEATED if kind.startswith("*") else _OPTIONAL
            field = declared.field.add(
                name=name, number=number, type=_KINDS.get(plain, _MESSAGE), label=label
            )
            if plain not in _KINDS:
                field.type_name = f".deltawire.cel.{plain}"
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool
