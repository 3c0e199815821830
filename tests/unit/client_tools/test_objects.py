"""Keys as client-go's MetaNamespaceKeyFunc and SplitMetaNamespaceKey have them, and our own beside them."""

from typing import Any

import pytest
from lightkube.models.core_v1 import Node, Pod
from lightkube.models.meta_v1 import ObjectMeta

from deltawire.client.tools.objects import key, split_key
from deltawire.common.meta import keys


@pytest.mark.parametrize(
    ("obj", "found", "parts"),
    [
        ({"metadata": {"namespace": "ns", "name": "a"}}, "ns/a", ("ns", "a")),
        ({"metadata": {"name": "a"}}, "a", ("", "a")),
        ({"metadata": {"name": "a", "namespace": None}}, "a", ("", "a")),
        (Pod(metadata=ObjectMeta(name="a", namespace="ns")), "ns/a", ("ns", "a")),
        (Node(metadata=ObjectMeta(name="a")), "a", ("", "a")),
    ],
)
def test_a_key_is_namespace_and_name_or_the_name_alone(obj: Any, found: str, parts: tuple[str, str]):
    assert key(obj) == found
    assert split_key(found) == parts
    assert keys.split_key(found) == parts


@pytest.mark.parametrize("wrong", ["a/b/c", "/a/b", "a//b"])
def test_a_key_of_more_parts_is_refused(wrong: str):
    with pytest.raises(ValueError, match="more parts"):
        split_key(wrong)


@pytest.mark.parametrize("parts", [("ns", "a"), ("", "a")])
def test_the_keys_of_caches_and_handlers_split_in_both_ways(parts: tuple[str, str]):
    written = keys.key_of(*parts)
    assert keys.split_key(written) == split_key(written) == split_key(keys.display_key(written)) == parts
