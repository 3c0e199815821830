"""Structured merge and strategic merge as Kubernetes' own libraries do them (``tests/vectors/merge``)."""

import json
from pathlib import Path
from typing import Any

from deltawire.apiserver.kinds.types import struct
from deltawire.apiserver.managed.apply import apply
from deltawire.apiserver.managed.fields import compare, to_fields_v1, told
from deltawire.apiserver.managed.managers import (
    APPLY,
    UPDATE,
    Manager,
    after_update,
    entries_of,
    ownable,
    write_entries,
)
from deltawire.apiserver.managed.structure import SchemaStructure
from deltawire.apiserver.patch.strategic import strategic_merge_patch
from deltawire.common.errors import StatusError

Tree = dict[str, Any]
CASES = json.loads((Path(__file__).parents[2] / "vectors" / "merge" / "cases.json").read_text())

TEXT: Tree = {"type": "string"}
TEXTS: Tree = {"type": "object", "additionalProperties": TEXT}
INNER: Tree = {"type": "object", "properties": {"x": TEXT, "y": TEXT, "n": {}}}
INNER["properties"]["n"] = INNER
ITEM: Tree = {"type": "object", "properties": {"k": TEXT, "v": TEXT, "m": TEXTS}}
PORT: Tree = {
    "type": "object",
    "properties": {"port": {"type": "integer"}, "protocol": {**TEXT, "default": "TCP"}, "name": TEXT},
}
SCHEMA = SchemaStructure(
    {
        "type": "object",
        "properties": {
            "a": TEXT,
            "b": {"type": "number"},
            "m": TEXTS,
            "am": {**TEXTS, "x-kubernetes-map-type": "atomic"},
            "s": {"type": "array", "items": TEXT, "x-kubernetes-list-type": "set"},
            "al": {"type": "array", "items": TEXT, "x-kubernetes-list-type": "atomic"},
            "l": {
                "type": "array",
                "items": ITEM,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["k"],
            },
            "p": {
                "type": "array",
                "items": PORT,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["port", "protocol"],
            },
            "st": INNER,
        },
    }
)


def played(live: Tree, step: Tree) -> tuple[Tree, list[str]]:
    """``live`` after one step, and the conflicts that kept it from happening."""
    if step["op"] == "apply":
        manager = Manager(step["manager"], APPLY)
        applied = apply(
            live, {**step["object"], "metadata": {}}, manager, SCHEMA, now="t", force=bool(step.get("force"))
        )
        if applied.conflicts:
            return live, sorted(f"{c.owner.name} {told(c.path)}" for c in applied.conflicts)
        new, entries = {**applied.obj, "metadata": {}}, applied.entries
    else:
        new = {**step["object"], "metadata": {}}
        difference = compare(ownable(live), ownable(new), SCHEMA)
        entries = after_update(entries_of(live), Manager(step["manager"], UPDATE), difference, "t")
    write_entries(new, entries)
    return new, []


def test_objects_owners_and_conflicts_are_those_of_structured_merge() -> None:
    wrong = []
    for number, steps in enumerate(CASES["structured"]):
        live: Tree = {"metadata": {}}
        for position, step in enumerate(steps):
            live, conflicts = played(live, step)
            if conflicts or step.get("conflicts"):
                if conflicts != step.get("conflicts", []):
                    wrong.append((number, position, "conflicts", conflicts, step.get("conflicts")))
                    break
                continue
            owners = {e.manager.name: to_fields_v1(e.paths) for e in entries_of(live)}
            obj = {name: value for name, value in live.items() if name != "metadata"}
            if (obj, owners) != (step.get("result", {}), step.get("owners", {})):
                wrong.append((number, position, obj, step["result"], owners, step["owners"]))
                break
    assert len(CASES["structured"]) == 500
    assert not wrong, f"{len(wrong)} of 500: {wrong[:3]}"


def test_a_strategic_merge_patch_makes_what_the_library_of_kubernetes_makes() -> None:
    wrong = []
    known = struct("core_v1", "Pod")
    for case in CASES["strategic"]:
        try:
            made = strategic_merge_patch(case["target"], case["patch"], known)
        except StatusError as error:
            made = error.message
        if made != case.get("result", case.get("error")):
            wrong.append((case["target"], case["patch"], made, case.get("result"), case.get("error")))
    assert len(CASES["strategic"]) == 300
    assert not wrong, f"{len(wrong)} of 300: {wrong[:2]}"
