"""Tables as ``kubectl get`` prints them: the API server's own columns, three blanks between them."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.http.tables import table
from deltawire.common.meta.resources import ResourceType

Tree = dict[str, Any]
_GAP = 3
PAGE_ROWS = 500


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
    rows = _cells(objects, resource, is_wide=is_wide, show_namespace=show_namespace, now_s=now_s)
    aligned = align(rows)
    return aligned if with_header else aligned[1:]


def table_pages(
    objects: Iterable[Tree], resource: ResourceType, *, is_wide: bool, show_namespace: bool, now_s: float
) -> Iterator[str]:
    """Header and rows of any number of objects, a page at a time; the first page says how wide the columns are."""
    left = iter(objects)
    widths: list[int] | None = None
    while page := list(islice(left, PAGE_ROWS)):
        rows = _cells(page, resource, is_wide=is_wide, show_namespace=show_namespace, now_s=now_s)
        if widths is None:
            widths = _widths(rows)
            yield from _aligned(rows, widths)
        else:
            yield from _aligned(rows[1:], widths)
        del page, rows


def align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells in columns as wide as their widest cell."""
    return _aligned(rows, _widths(rows)) if rows else []


def _cells(
    objects: Sequence[Tree], resource: ResourceType, *, is_wide: bool, show_namespace: bool, now_s: float
) -> list[list[str]]:
    found = table(Resource(resource), list(objects), {}, now_s=now_s, include="None")
    shown = [i for i, c in enumerate(found["columnDefinitions"]) if is_wide or not c["priority"]]
    rows = [[found["columnDefinitions"][i]["name"].upper() for i in shown]]
    rows += [[str(row["cells"][i]) for i in shown] for row in found["rows"]]
    if show_namespace and resource.namespaced:
        spaces = ["NAMESPACE", *(obj["metadata"].get("namespace", "") for obj in objects)]
        rows = [[space, *row] for space, row in zip(spaces, rows, strict=True)]
    return rows


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]


def _aligned(rows: Sequence[Sequence[str]], widths: Sequence[int]) -> list[str]:
    """A cell that is wider than its column pushes the others of its row to the right."""
    return [
        "".join(cell.ljust(width) + " " * _GAP for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
