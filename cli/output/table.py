"""Tables as ``kubectl get`` prints them: the API server's own columns, three blanks between them."""

from collections.abc import Sequence
from typing import Any

from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.http.tables import table
from deltawire.common.meta.resources import ResourceType

Tree = dict[str, Any]
_GAP = 3


def table_lines(
    objects: Sequence[Tree],
    resource: ResourceType,
    *,
    is_wide: bool,
    show_namespace: bool,
    now_s: float,
    with_header: bool = True,
) -> list[str]:
    """Header and rows. ``show_namespace`` puts a NAMESPACE column in front, as -A does."""
    found = table(Resource(resource), list(objects), {}, now_s=now_s, include="None")
    shown = [i for i, c in enumerate(found["columnDefinitions"]) if is_wide or not c["priority"]]
    rows = [[found["columnDefinitions"][i]["name"].upper() for i in shown]]
    rows += [[str(row["cells"][i]) for i in shown] for row in found["rows"]]
    if show_namespace and resource.namespaced:
        spaces = ["NAMESPACE", *(obj["metadata"].get("namespace", "") for obj in objects)]
        rows = [[space, *row] for space, row in zip(spaces, rows, strict=True)]
    aligned = align(rows)
    return aligned if with_header else aligned[1:]


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells in columns as wide as their widest cell."""
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "".join(cell.ljust(width + _GAP) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
