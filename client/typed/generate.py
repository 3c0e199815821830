"""Writes `table.py`'s rows and `groups.pyi` from the installed lightkube-models: run it after an update.

``python -m deltawire.client.typed.generate`` in a checkout. The resource modules of the models are read as
text, never imported. A test compares what it would write with what is there.
"""

import ast
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deltawire.client.typed.table import accessor, class_name, method_name
from deltawire.common.errors import ConfigError

FOLDER = Path(__file__).resolve().parent
_BEGIN, _END = 'ROWS = """\\\n', '"""\n'

# What single resources can do beyond the verbs; everything else is a ObjectClient.
_CLIENTS = {
    "core/v1 Pod": "PodClient",
    "core/v1 Service": "ServiceClient",
    "core/v1 Event": "EventClient",
    "core/v1 Namespace": "NamespaceClient",
    "core/v1 ServiceAccount": "ServiceAccountClient",
}


@dataclass
class Found:
    """One resource as the models describe it."""

    group: str
    version: str
    kind: str
    plural: str
    module: str
    namespaced: bool
    verbs: frozenset[str]
    subresources: set[str] = field(default_factory=set)

    @property
    def is_create_only(self) -> bool:
        return "get" not in self.verbs and "list" not in self.verbs

    @property
    def client(self) -> str:
        if self.is_create_only:
            return "CreateClient"
        if "scale" in self.subresources:
            return "ScalableClient"
        return _CLIENTS.get(f"{self.group or 'core'}/{self.version} {self.kind}", "ObjectClient")


def found_resources() -> list[Found]:
    """All resources of the installed models, by group and version. Raises ConfigError without them."""
    spec = importlib.util.find_spec("lightkube")
    locations = list(spec.submodule_search_locations or ()) if spec is not None else []
    modules = sorted(path for root in locations for path in Path(root).glob("resources/*_v*.py"))
    if not modules:
        raise ConfigError("the models cannot be found", hint="pip install lightkube lightkube-models")
    found: dict[tuple[str, str, str], Found] = {}
    for path in modules:
        classes = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]
        subresources = []
        for node in classes:
            info = _api_info(node)
            if "action" in info:
                subresources.append(info)
                continue
            group, version, kind = info["resource"]
            bases = [ast.unparse(base) for base in node.bases]
            module = next(base.split(".")[0].removeprefix("m_") for base in bases if base.startswith("m_"))
            found[group, version, kind] = Found(
                group, version, kind, info["plural"], module,
                any("Namespaced" in base for base in bases), frozenset(info["verbs"]),
            )  # fmt: skip
        for info in subresources:
            group, version, kind = info["parent"]
            found[group, version, kind].subresources.add(info["action"])
    return sorted(found.values(), key=lambda f: (f.group != "", f.group, f.version, f.plural))


def table_rows(resources: Iterable[Found]) -> str:
    """The text between the marks of `table.py`."""
    lines: list[str] = []
    last = ("", "")
    for one in resources:
        if (one.group, one.version) != last:
            last = (one.group, one.version)
            lines.append(f"{one.group or 'core'}/{one.version} {one.module}")
        scope = "namespaced" if one.namespaced else "cluster"
        subresources = ",".join(sorted(one.subresources)) or "-"
        lines.append(f"  {one.plural} {one.kind} {scope} {one.client} {subresources}")
    return "\n".join(lines) + "\n"


def stub(resources: Iterable[Found], *, is_async: bool = False) -> str:
    """The text of `groups.pyi`, here or in client/aio: what editors complete and mypy checks."""
    by_group: dict[tuple[str, str], list[Found]] = {}
    for one in resources:
        by_group.setdefault((one.group, one.version), []).append(one)
    modules = sorted({one.module for one in resources})
    mark, package = ("Async", "aio") if is_async else ("", "typed")
    home = "aio.object_client" if is_async else "object_client"
    rest = f"{'aio.rest' if is_async else 'rest.client'} import {mark}RESTClient"
    imports = [
        *(f"{home} import {mark}{name} as {mark}{name}" for name in ("CreateClient", "ObjectClient")),
        rest,
        *(
            f"{package}.expansions import {mark}{name} as {mark}{name}"
            for name in sorted({"ScalableClient", *_CLIENTS.values()})
        ),
    ]
    out = [
        "# Written by generate.py from lightkube-models: do not edit.",
        "# fmt: off",
        "# ruff: noqa: E501 - a signature that cannot be shorter",
    ]
    out += ["from typing import Any", ""]
    out += [f"from lightkube.models import {module} as {module}" for module in modules]
    out += ["", *(f"from deltawire.client.{line}" for line in sorted(imports, key=_as_isort))]
    out += [
        "",
        f"class {mark}GroupVersion:",
        "    group_version: str",
        f"    def __init__(self, rest: {mark}RESTClient, group_version: str) -> None: ...",
        f'    def resource(self, plural: str, namespace: str = "") -> {mark}ObjectClient[Any, Any]: ...',
    ]
    for (group, version), members in by_group.items():
        out += ["", f"class {class_name(group, version)}({mark}GroupVersion):"]
        for one in members:
            kind = f"{one.module}.{one.kind}"
            types = {
                "CreateClient": f"[{kind}]",
                "ObjectClient": f"[{kind}, {kind}List]",
                "ScalableClient": f"[{kind}, {kind}List]",
            }.get(one.client, "")
            namespace = ', namespace: str = ""' if one.namespaced else ""
            method = method_name(one.kind, one.plural)
            out.append(f"    def {method}(self{namespace}) -> {mark}{one.client}{types}: ...")
    out += ["", f"class {mark}Groups:", f"    def __init__(self, rest: {mark}RESTClient) -> None: ..."]
    for group, version in by_group:
        out.append(f"    def {accessor(group, version)}(self) -> {class_name(group, version)}: ...")
    return "\n".join(out) + "\n"


def _as_isort(line: str) -> tuple[str, str]:
    module, _, name = line.partition(" import ")
    return module, name


def _api_info(node: ast.ClassDef) -> dict[str, Any]:
    """The literals of a class' ``_api_info = res.ApiInfo(…)``; a ``res.ResourceDef(…)`` as a list."""
    for statement in node.body:
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
            return {keyword.arg or "": _literal(keyword.value) for keyword in statement.value.keywords}
    raise ConfigError(f"the models' {node.name} has another form than known", hint="mend generate.py")


def _literal(node: ast.expr) -> Any:
    return [_literal(arg) for arg in node.args] if isinstance(node, ast.Call) else ast.literal_eval(node)


def rewritten_table(text: str, resources: Iterable[Found]) -> str:
    """`table.py`'s text with other rows."""
    head, _, rest = text.partition(_BEGIN)
    _, _, tail = rest.partition(_END)
    return head + _BEGIN + table_rows(resources) + _END + tail


def main() -> None:
    resources = found_resources()
    table = FOLDER / "table.py"
    table.write_text(rewritten_table(table.read_text(), resources))
    (FOLDER / "groups.pyi").write_text(stub(resources))
    (FOLDER.parent / "aio" / "groups.pyi").write_text(stub(resources, is_async=True))


if __name__ == "__main__":
    main()
