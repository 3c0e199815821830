"""Writes classes for custom resources from their definitions: ``deltawire models crd.yaml > website.py``. Pure.

Not here: classes of built-in kinds (``models``), decoding (client/rest/decode).
"""

import keyword
import re
from collections.abc import Iterable, Mapping
from typing import Any

from deltawire.common.errors import ConfigError

_SCALARS = {"string": "str", "integer": "int", "number": "float", "boolean": "bool"}
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
LINE_CHARS_MAX = 110

Tree = Mapping[str, Any]


def module_of(definitions: Iterable[Tree], *, version: str = "") -> str:
    """A module with a class for each definition, by its ``version``, or the stored one. Raises ConfigError."""
    classes = _Classes()
    names = [classes.add_kind(definition, version) for definition in definitions]
    if not names:
        raise ConfigError(
            "there is no CustomResourceDefinition",
            hint="kind: CustomResourceDefinition, of apiextensions.k8s.io/v1",
        )
    words = sorted({"Any", "ClassVar"} | ({"Literal"} if "Literal[" in classes.text else set()))
    head = [
        f'"""Classes of {", ".join(names)}, written by `deltawire models`."""',
        "",
        f"from typing import {', '.join(words)}",
        "",
        "import msgspec",
        "from lightkube.models.meta_v1 import ObjectMeta",
        "",
        "",
        "",
    ]
    return "\n".join(head) + classes.text


class _Classes:
    """The classes so far, each after those that it needs."""

    def __init__(self) -> None:
        self._blocks: list[str] = []
        self._names: set[str] = set()

    @property
    def text(self) -> str:
        return "\n\n\n".join(self._blocks) + "\n"

    def add_kind(self, definition: Tree, version: str) -> str:
        spec = definition.get("spec") or {}
        names, group = spec.get("names") or {}, spec.get("group")
        kind, plural = names.get("kind"), names.get("plural")
        if not (group and kind and plural):
            raise ConfigError(
                "a CustomResourceDefinition needs spec.group, spec.names.kind and spec.names.plural"
            )
        versions = spec.get("versions") or []
        chosen = next(
            (v for v in versions if (v.get("name") == version if version else v.get("storage"))), None
        )
        if chosen is None:
            known = ", ".join(str(v.get("name")) for v in versions) or "none"
            raise ConfigError(
                f"{plural}.{group} has no version {version or 'that is stored'!r} (versions: {known})"
            )
        schema = (chosen.get("schema") or {}).get("openAPIV3Schema") or {}
        properties = {
            k: v
            for k, v in (schema.get("properties") or {}).items()
            if k not in ("apiVersion", "kind", "metadata")
        }
        required = set(schema.get("required") or ())
        fields = [
            f'    resource: ClassVar[str] = "{plural}.{group}"',
            f'    apiVersion: str = "{group}/{chosen["name"]}"  # noqa: N815',
            f'    kind: str = "{kind}"',
            "    metadata: ObjectMeta | None = None",
        ]
        # Status and what is optional may be missing; what must be there is the zero value where it is not.
        fields += self._fields(str(kind), properties, required)
        self._class(str(kind), str(schema.get("description") or f"A {kind} of {group}."), fields)
        return str(kind)

    def _fields(self, owner: str, properties: Tree, required: set[str]) -> list[str]:
        lines = []
        for name, schema in properties.items():
            kind = self._type(owner, name, schema)
            is_optional = name not in required
            if is_optional and kind != "Any":
                kind += " | None"
            attribute = name if _PLAIN.fullmatch(name) and not keyword.iskeyword(name) else _attribute(name)
            default = ""
            if attribute != name:
                default = f" = msgspec.field(name={name!r}{', default=None' if is_optional else ''})"
            elif is_optional:
                default = " = None"
            note = "  # noqa: N815" if attribute != attribute.lower() else ""
            lines.append(f"    {attribute}: {kind}{default}{note}")
        return lines

    def _type(self, owner: str, name: str, schema: Tree) -> str:
        """The annotation of a field. An object with properties becomes a class of its own."""
        kind, words = schema.get("type"), schema.get("enum")
        if schema.get("x-kubernetes-int-or-string"):
            return "int | str"
        if kind == "string" and words and all(isinstance(word, str) for word in words):
            text = f"Literal[{', '.join(repr(word) for word in words)}]"
            return text if len(text) < LINE_CHARS_MAX else "str"
        if kind in _SCALARS:
            return _SCALARS[str(kind)]
        if kind == "array":
            return f"list[{self._type(owner, name, schema.get('items') or {})}]"
        properties = schema.get("properties")
        if properties:
            own = self._unique(
                owner + "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", name))
            )
            lines = self._fields(own, properties, set(schema.get("required") or ()))
            self._class(own, str(schema.get("description") or ""), lines)
            return own
        more = schema.get("additionalProperties")
        if isinstance(more, Mapping) and more:
            return f"dict[str, {self._type(owner, name, more)}]"
        return "dict[str, Any]" if kind == "object" else "Any"

    def _unique(self, name: str) -> str:
        found, number = name, 2
        while found in self._names:
            found, number = f"{name}{number}", number + 1
        self._names.add(found)
        return found

    def _class(self, name: str, description: str, fields: list[str]) -> None:
        """``omit_defaults``: what is not set is not written; ``kw_only``: required fields may stand anywhere."""
        text = " ".join(description.split())
        if len(text) > LINE_CHARS_MAX:
            text = text[: LINE_CHARS_MAX - 1] + "…"
        lines = [f"class {name}(msgspec.Struct, kw_only=True, omit_defaults=True):"]
        if text:
            lines += [f"    {_docstring(text)}", ""]
        self._blocks.append("\n".join([*lines, *(fields or ["    pass"])]))


def _docstring(text: str) -> str:
    safe = text.replace("\\", "\\\\").replace('"', "'")
    return f'"""{safe}"""'


def _attribute(name: str) -> str:
    found = re.sub(r"[^A-Za-z0-9_]", "_", name)
    found = f"field_{found}" if not found or not found[0].isalpha() else found
    return f"{found}_" if keyword.iskeyword(found) else found
