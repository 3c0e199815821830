"""Writes `groups.pyi` from the typed clients' table: run it after an update of lightkube-models.

``python -m deltawire.local.generate`` in a checkout, after ``deltawire.client.typed.generate``. A test compares what
it would write with what is there.
"""

from pathlib import Path

from deltawire.client.typed.table import class_name
from deltawire.local.groups import watchable

STUB = Path(__file__).resolve().parent / "groups.pyi"


def stub() -> str:
    """The text of `groups.pyi`: what editors complete and mypy checks."""
    versions = [
        (group, version, list(members.values()))
        for group, by_version in watchable().items()
        for version, members in by_version.items()
    ]
    modules = sorted({rows[0].module for _, _, rows in versions})
    out = [
        "# Written by generate.py from the typed clients' table: do not edit.",
        "# fmt: off",
        "# ruff: noqa: E501 - a signature that cannot be shorter",
        "from collections.abc import Mapping",
        "from typing import Any, Generic, Protocol, TypeVar",
        "",
        *(f"from lightkube.models import {module} as {module}" for module in modules),
        "",
        "from deltawire.client.typed.table import Row",
        "from deltawire.local.informer import SharedIndexInformer",
        "from deltawire.local.listers import Lister, NamespaceLister",
        "",
        'T = TypeVar("T")',
        'L = TypeVar("L")',
        "",
        "class Informers(Protocol):",
        "    def __call__(self, row: Row) -> SharedIndexInformer[Any]: ...",
        "",
        "class ResourceInformer(Generic[T, L]):",
        "    def __init__(self, informers: Informers, row: Row) -> None: ...",
        "    def informer(self) -> SharedIndexInformer[T]: ...",
        "    def lister(self) -> L: ...",
        "",
        "def watchable() -> Mapping[str, Mapping[str, Mapping[str, Row]]]: ...",
    ]
    for group, version, rows in versions:
        prefix = class_name(group, version)
        methods = []
        for row in rows:
            kind = f"{row.module}.{row.resource.kind}"
            lister = f"Lister[{kind}]"
            if row.resource.namespaced:
                lister = f"{prefix}{row.resource.kind}Lister"
                out += [
                    "",
                    f"class {lister}(Lister[{kind}]):",
                    f"    def {row.method}(self, namespace: str) -> NamespaceLister[{kind}]: ...",
                ]
            methods.append(f"    def {row.method}(self) -> ResourceInformer[{kind}, {lister}]: ...")
        out += ["", f"class {prefix}Informers:", *methods]
    groups = watchable()
    for group, by_version in groups.items():
        out += ["", f"class {_title(group)}Informers:"]
        out += [f"    def {name}(self) -> {class_name(group, name)}Informers: ..." for name in by_version]
    out += ["", "class InformerGroups:", "    def __init__(self, informers: Informers) -> None: ..."]
    out += [f"    def {group}(self) -> {_title(group)}Informers: ..." for group in groups]
    return "\n".join(out) + "\n"


def _title(group: str) -> str:
    return "".join(part.capitalize() for part in group.split("_"))


def main() -> None:
    STUB.write_text(stub())


if __name__ == "__main__":
    main()
