"""Objects in one of kubectl's output formats, byte for byte where scripts depend on it."""

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

import yaml

from deltawire.cli.output.table import table_lines
from deltawire.common.errors import ConfigError
from deltawire.common.meta.jsonpath import Path
from deltawire.common.meta.resources import ResourceType

Tree = dict[str, Any]
FORMATS = ("table", "wide", "json", "yaml", "name", "jsonpath=TEMPLATE")
_EXPRESSION = re.compile(r"\{(?P<path>[^{}]*)\}")


def parse_format(text: str) -> tuple[str, str]:
    """(format, template) of ``-o``; the template is JSONPath's. Raises ConfigError for an unknown format."""
    name, _, template = text.partition("=")
    if name == "jsonpath" and template:
        return name, template
    if name in ("table", "wide", "json", "yaml", "name") and not template:
        return name, ""
    raise ConfigError(f"{text!r} is not an output format", path="-o", hint=", ".join(FORMATS))


def with_type(obj: Tree, resource: ResourceType) -> Tree:
    """The object with apiVersion and kind in front: items of a list come without them."""
    if not resource.kind:
        return obj
    return {"apiVersion": resource.api_version, "kind": resource.kind} | obj


def lines(
    objects: Sequence[Tree],
    resource: ResourceType,
    output: tuple[str, str],
    *,
    is_one: bool,
    show_namespace: bool,
    now_s: float,
) -> list[str]:
    """What to print. ``is_one``: one object was asked for by name, so that it stands alone, not in a List."""
    name, template = output
    if name in ("table", "wide"):
        return table_lines(
            objects, resource, is_wide=name == "wide", show_namespace=show_namespace, now_s=now_s
        )
    if name == "name":
        return [f"{reference(resource)}/{obj['metadata']['name']}" for obj in objects]
    whole: Tree = (
        objects[0]
        if is_one
        else {"apiVersion": "v1", "items": list(objects), "kind": "List", "metadata": {"resourceVersion": ""}}
    )
    if name == "json":
        return [json.dumps(whole, indent=4, ensure_ascii=False, sort_keys=True)]
    if name == "yaml":
        return [yaml.safe_dump(whole, sort_keys=True, default_flow_style=False, allow_unicode=True).rstrip()]
    return [fill(template, whole)]


def reference(resource: ResourceType) -> str:
    """``pod``, ``deployment.apps``: how `-o name` calls the type."""
    singular = resource.singular or resource.kind.lower()
    return f"{singular}.{resource.group}" if resource.group else singular


def fill(template: str, root: Tree) -> str:
    """kubectl's JSONPath template: text with ``{.paths}``; several values are joined by blanks. Raises ConfigError."""

    def value(match: re.Match[str]) -> str:
        inner = match["path"].strip()
        if inner.startswith(("range", "end")):
            raise ConfigError("range is not supported", path="-o jsonpath", hint="use -o json with jq")
        if len(inner) >= 2 and inner[0] == inner[-1] and inner[0] in "\"'":
            return inner[1:-1].encode().decode("unicode_escape")
        found = Path.parse(inner, "-o jsonpath").find(root)
        return " ".join(_plain(each) for each in found)

    return _EXPRESSION.sub(value, template)


def _plain(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def field_getter(paths: Sequence[str]) -> Callable[[Tree], dict[str, str]]:
    """Reads dotted paths (``spec.nodeName``) of an object as texts, for a field selector."""
    parsed = {path: Path.parse(f".{path}", "--field-selector") for path in paths}

    def read(obj: Tree) -> dict[str, str]:
        fields = {}
        for path, parsed_path in parsed.items():
            found = parsed_path.find(obj)
            if found and found[0] is not None:
                fields[path] = found[0] if isinstance(found[0], str) else _plain(found[0])
        return fields

    return read
