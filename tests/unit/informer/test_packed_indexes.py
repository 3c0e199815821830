"""The short way to an object's index entries gives what the long way gives, whatever the object looks like."""

from typing import Any

import msgspec
import pytest

from deltawire.common.store.layout import pack_indexed
from deltawire.informer.store.index_functions import IndexFunctions

INDEXES = {"by-node": ".spec.nodeName", "by-app": ".metadata.labels.app"}


@pytest.mark.parametrize(
    "obj",
    [
        {"spec": {"nodeName": "n1"}, "metadata": {"labels": {"app": "y"}}},
        {"metadata": {"labels": {"app": "n1"}}, "spec": {"nodeName": "y"}},
        {"spec": {"nodeName": "n1"}},
        {"spec": {"nodeName": ""}, "metadata": {"labels": {"app": ""}}},
        {"spec": {"nodeName": ["a", "b"]}, "metadata": {"labels": {"app": 7}}},
        {"spec": {"nodeName": True}, "metadata": {"labels": {"app": None}}},
        {"spec": "no map", "metadata": {"labels": {"app": "y"}}},
        [],
    ],
)
def test_packed_entries_are_the_entries(obj: Any) -> None:
    data = msgspec.json.encode(obj)
    once = IndexFunctions(INDEXES)
    for _ in range(2):
        assert once.packed("a/k", data) == pack_indexed(IndexFunctions(INDEXES).entries("a/k", data))


def test_no_json_is_counted_as_an_error_once() -> None:
    functions = IndexFunctions(INDEXES)
    assert functions.packed("a/k", b"{") == b""
    assert functions.errors == 1
