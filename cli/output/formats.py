"""Objects in one of kubectl's output formats, byte for byte where scripts depend on it."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from deltawire.cli.output import documents
from deltawire.cli.output.table import table_pages
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
    objects: Iterable[Tree],
    resource: ResourceType,
    output: tuple[str, str],
    *,
    is_one: bool,
    show_namespace: bool,
    now_s: float,
) -> Iterator[str]:
    """What to print, while ``objects`` are read: no more than a page of them is held.

    ``is_one``: one object was asked for by name, so that it stands alone, not in a List.
    """
    name, template = output
    if name in ("table", "wide"):
        is_wide = name == "wide"
        yield from table_pages(objects, resource, is_wide=is_wide, show_namespace=show_namespace, now_s=now_s)
    elif name == "name":
        prefix = reference(resource)
        yield from (f"{prefix}/{obj['metadata']['name']}" for obj in objects)
    elif name == "json":
        yield from documents.json_lines(objects, is_one=is_one)
    elif name == "yaml":
        yield from documents.yaml_lines(objects, is_one=is_one)
    elif is_one:
        yield fill(template, next(iter(objects)))
    else:
        yield fill_list(template, objects)


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
        if _is_text(inner):
            return inner[1:-1].encode().decode("unicode_escape")
        found = Path.parse(inner, "-o jsonpath").find(root)
        return " ".join(_plain(each) for each in found)

    return _EXPRESSION.sub(value, template)


def fill_list(template: str, objects: Iterable[Tree]) -> str:
    """As `fill`, of a List of ``objects``: where the template has one path and that goes through all items, each is
    forgotten when it was read."""
    paths = [match for match in _EXPRESSION.finditer(template) if not _is_text(match["path"].strip())]
    inner = paths[0]["path"].strip() if len(paths) == 1 else ""
    of_item = inner.removeprefix(".items[*]")
    if of_item == inner or not of_item.startswith("."):
        return fill(template, documents.list_of(objects))
    path = Path.parse(of_item, "-o jsonpath")
    found = " ".join(_plain(each) for obj in objects for each in path.find(obj))
    start, end = paths[0].span()
    return fill(template[:start], {}) + found + fill(template[end:], {})


def _is_text(inner: str) -> bool:
    return len(inner) >= 2 and inner[0] == inner[-1] and inner[0] in "\"'"


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
