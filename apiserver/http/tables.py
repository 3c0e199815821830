"""Tables for people: what ``kubectl get`` asks for, and objects cut down to their metadata."""

from typing import Any

from deltawire.apiserver.core.resource import Resource
from deltawire.apiserver.http.columns import Column, columns_of
from deltawire.apiserver.http.negotiate import META_GROUP

Tree = dict[str, Any]


def table(
    resource: Resource,
    objects: list[Tree],
    metadata: Tree,
    *,
    now_s: float,
    include: str = "",
    version: str = "v1",
) -> Tree:
    """A Table of meta.k8s.io in that version. ``include`` is includeObject: None, Metadata (the default) or Object."""
    columns = columns_of(resource)
    return {
        "kind": "Table",
        "apiVersion": f"{META_GROUP}/{version}",
        "metadata": metadata,
        "columnDefinitions": [
            {
                "name": column.name,
                "type": column.type,
                "format": "name" if column.name == "Name" else "",
                "description": column.description,
                "priority": column.priority,
            }
            for column in columns
        ],
        "rows": [_row(columns, obj, now_s, include, version) for obj in objects],
    }


def metadata_only(obj: Tree, version: str = "v1") -> Tree:
    return {
        "kind": "PartialObjectMetadata",
        "apiVersion": f"{META_GROUP}/{version}",
        "metadata": obj["metadata"],
    }


def _row(columns: list[Column], obj: Tree, now_s: float, include: str, version: str) -> Tree:
    row: Tree = {"cells": [column.cell(obj, now_s) for column in columns]}
    if include == "Object":
        row["object"] = obj
    else:
        row["object"] = None if include == "None" else metadata_only(obj, version)
    return row
