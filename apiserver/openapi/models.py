"""Schemas of built-in kinds, read from the source of lightkube's model classes.

Where lightkube-models is not installed there are none, and built-in kinds have no fields to explain.

The modules are parsed, never imported: one of them takes a second to import, and nothing of them is needed at
run time. A module's schemas are worked out when they are first asked for, and kept.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

Schema = dict[str, Any]

_PREFIX = "#/components/schemas/"
_PLAIN: dict[str, Schema] = {
    "str": {"type": "string"},
    "int": {"type": "integer", "format": "int64"},
    "float": {"type": "number", "format": "double"},
    "bool": {"type": "boolean"},
    "dict": {"type": "object"},
    "Any": {},
    "meta_v1.Time": {"type": "string", "format": "date-time"},
    "meta_v1.MicroTime": {"type": "string", "format": "date-time"},
    "resource.Quantity": {"type": "string"},
    "util_intstr.IntOrString": {"type": "string", "format": "int-or-string"},
    "runtime.RawExtension": {"type": "object"},
}
_PARAMETER = re.compile(r"^ *\* \*\*(?P<name>\w+)\*\* ``[^`]*`` - ?(?P<text>.*)$")
_JSON_NAME = "json"


def component_name(module: str, name: str) -> str:
    """The name of a model in ``components.schemas``: ``io.k8s.api.core.v1.Pod``."""
    package, _, version = module.rpartition("_")
    if package == "meta":
        return f"io.k8s.apimachinery.pkg.apis.meta.{version}.{name}"
    return f"io.k8s.api.{package}.{version}.{name}"


def has_model(module: str, name: str) -> bool:
    return name in _schemas(module)


def components(module: str, names: list[str]) -> dict[str, Schema]:
    """The schemas of these models and of all they refer to, by component name. Unknown names are left out."""
    found: dict[str, Schema] = {}
    waiting = [(module, name) for name in names]
    while waiting:
        of, name = waiting.pop()
        key = component_name(of, name)
        schema = _schemas(of).get(name)
        if key in found or schema is None:
            continue
        found[key] = schema
        waiting += _references(of, name)
    return found


class FieldType(NamedTuple):
    """``is_list`` of what is named: ``str``, ``meta_v1.Time``, or a model, whose module and name ``model`` is."""

    is_list: bool
    name: str
    model: tuple[str, str] | None


@cache
def field_types(module: str, name: str) -> dict[str, FieldType]:
    """The types of a model's fields by their JSON names; empty for an unknown model."""
    types = {}
    for field, annotation in _annotations(module).get(name, {}).items():
        container, inner = _inner(annotation)
        types[field] = FieldType(container == "List", inner, _target(module, inner))
    return types


def _references(module: str, name: str) -> Iterator[tuple[str, str]]:
    for annotation in _annotations(module)[name].values():
        inner = _inner(annotation)[1]
        target = _target(module, inner)
        if target is not None:
            yield target


@cache
def _schemas(module: str) -> dict[str, Schema]:
    return {name: _schema(module, node) for name, node in _classes(module).items()}


@cache
def _annotations(module: str) -> dict[str, dict[str, str]]:
    return {name: dict(_fields(node)) for name, node in _classes(module).items()}


@cache
def _classes(module: str) -> dict[str, ast.ClassDef]:
    folder = _folder()
    path = folder / f"{module}.py" if folder is not None else None
    if path is None or not path.is_file():
        return {}
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


@cache
def _folder() -> Path | None:
    spec = find_spec("lightkube")
    for location in (spec.submodule_search_locations or ()) if spec else ():
        models = Path(location) / "models"
        if models.is_dir():
            return models
    return None


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """(JSON name, annotation) of each field."""
    for statement in node.body:
        if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
            annotation = ast.literal_eval(statement.annotation)
            yield _json_name(statement) or statement.target.id, annotation


def _json_name(statement: ast.AnnAssign) -> str:
    """A field whose name is no identifier carries it in its metadata."""
    for node in ast.walk(statement.value) if statement.value is not None else ():
        if isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                if (
                    isinstance(key, ast.Constant)
                    and key.value == _JSON_NAME
                    and isinstance(value, ast.Constant)
                ):
                    return str(value.value)
    return ""


def _schema(module: str, node: ast.ClassDef) -> Schema:
    about, told = _described(ast.get_docstring(node) or "")
    schema: Schema = {"type": "object"}
    if about:
        schema["description"] = about
    properties: dict[str, Schema] = {}
    required = []
    for name, annotation in _fields(node):
        schema_of_field = _field_schema(module, annotation)
        if told.get(name):
            schema_of_field["description"] = told[name]
        properties[name] = schema_of_field
        if not annotation.startswith("Optional["):
            required.append(name)
    if properties:
        schema["properties"] = properties
    if required:
        schema["required"] = required
    return schema


def _field_schema(module: str, annotation: str) -> Schema:
    container, inner = _inner(annotation)
    if inner in _PLAIN:
        schema = dict(_PLAIN[inner])
    else:
        target = _target(module, inner)
        # explain follows a reference only where it stands alone in allOf beside a description.
        schema = {"allOf": [{"$ref": _PREFIX + component_name(*target)}]} if target else {"type": "object"}
    return {"type": "array", "items": schema} if container == "List" else schema


def _inner(annotation: str) -> tuple[str, str]:
    """``Optional[List[X]]`` as ("List", "X")."""
    container = ""
    while annotation.endswith("]"):
        container, _, annotation = annotation[:-1].partition("[")
    return container, annotation


def _target(module: str, name: str) -> tuple[str, str] | None:
    """Where a model is defined; None for what is no model."""
    of, _, bare = name.rpartition(".")
    of = of or module
    return (of, bare) if name not in _PLAIN and bare in _classes(of) else None


def _described(docstring: str) -> tuple[str, dict[str, str]]:
    """The description of a model, and those of its fields."""
    head, _, parameters = docstring.partition("**parameters**")
    told: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in parameters.splitlines():
        found = _PARAMETER.match(line)
        if found:
            lines = told.setdefault(found["name"], [])
            lines.append(found["text"])
        else:
            lines.append(line.strip())
    return _joined(head.splitlines()), {name: _joined(words) for name, words in told.items()}


def _joined(lines: list[str]) -> str:
    return " ".join(line.strip() for line in lines if line.strip())
