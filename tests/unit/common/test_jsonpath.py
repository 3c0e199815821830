"""kubectl's JSONPath, the part that config paths need."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deltawire.common.errors import ConfigError
from deltawire.common.meta.jsonpath import Every, Path

POD: dict[str, Any] = {
    "metadata": {
        "name": "web-1",
        "labels": {"app": "web", "app.kubernetes.io/name": "shop", "a'b": "quoted"},
        "managedFields": [{"manager": "kubectl"}],
        "deletionTimestamp": None,
    },
    "spec": {"containers": [{"name": "a", "image": "x:1"}, {"name": "b", "image": "y:2"}, {"name": "c"}]},
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (".metadata.labels.app", ["web"]),
        ("{.metadata.labels.app}", ["web"]),
        ("metadata.labels.app", ["web"]),
        ("$.metadata.labels.app", ["web"]),
        (" {.metadata.name} ", ["web-1"]),
        ("{.metadata.labels['app.kubernetes.io/name']}", ["shop"]),
        ('.metadata.labels["app.kubernetes.io/name"]', ["shop"]),
        ('.metadata.labels["a\'b"]', ["quoted"]),
        (r".metadata.labels.app\.kubernetes\.io/name", ["shop"]),
        (".spec.containers[*].image", ["x:1", "y:2"]),
        (".spec.containers.*.name", ["a", "b", "c"]),
        (".spec.containers[0].name", ["a"]),
        (".spec.containers[-1].name", ["c"]),
        (".metadata.labels[*]", ["web", "shop", "quoted"]),
        ("['metadata']['name']", ["web-1"]),
    ],
)
def test_a_path_finds_what_it_names(text: str, found: list[Any]) -> None:
    assert Path.parse(text).find(POD) == found


@pytest.mark.parametrize(
    "text",
    [
        ".metadata.annotations.x",
        ".spec.containers[7].name",
        ".spec.containers[-4]",
        ".spec.containers.name",
        ".metadata.name.first",
        ".metadata.name[*]",
        ".metadata[0]",
        ".spec.containers[*].ports[*].name",
    ],
)
def test_a_missing_field_finds_nothing(text: str) -> None:
    assert Path.parse(text).find(POD) == []


def test_a_null_that_is_there_is_found() -> None:
    assert Path.parse(".metadata.deletionTimestamp").find(POD) == [None]


def test_an_escaped_star_is_a_name_and_a_bare_one_is_every() -> None:
    assert Path.parse(r".a.\*").segments == ("a", "*")
    assert Path.parse(".a.*").segments == ("a", Every.EVERY)
    assert Path.parse(".a['*']").segments == ("a", "*")


@pytest.mark.parametrize(
    ("text", "head"),
    [
        (".metadata.managedFields", ("metadata", "managedFields")),
        (".spec.containers[*].image", ("spec", "containers")),
        ("[0].a", ()),
    ],
)
def test_the_head_is_the_plain_fields_at_the_start(text: str, head: tuple[str, ...]) -> None:
    assert Path.parse(text).head == head


@pytest.mark.parametrize(
    ("text", "removed", "left"),
    [
        (".a.b", 1, {"a": {"c": [1, 2]}}),
        (".a.c[0]", 1, {"a": {"b": 0, "c": [2]}}),
        (".a.c[-1]", 1, {"a": {"b": 0, "c": [1]}}),
        (".a.c[*]", 2, {"a": {"b": 0, "c": []}}),
        (".a[*]", 2, {"a": {}}),
        (".x.y", 0, {"a": {"b": 0, "c": [1, 2]}}),
        (".a.b.z", 0, {"a": {"b": 0, "c": [1, 2]}}),
        (".a.c[9]", 0, {"a": {"b": 0, "c": [1, 2]}}),
    ],
)
def test_remove_takes_out_in_place_and_counts(text: str, removed: int, left: Any) -> None:
    obj = {"a": {"b": 0, "c": [1, 2]}}
    assert Path.parse(text).remove(obj) == removed
    assert obj == left


def test_remove_reaches_into_every_element() -> None:
    pod = copy.deepcopy(POD)
    assert Path.parse(".spec.containers[*].image").remove(pod) == 2
    assert pod["spec"]["containers"] == [{"name": "a"}, {"name": "b"}, {"name": "c"}]


@pytest.mark.parametrize(
    ("text", "character", "what"),
    [
        ("", 1, "names no field"),
        ("{}", 2, "names no field"),
        ("{.a", 4, "not closed"),
        (".a..b", 4, "'..' is not supported"),
        ("..a", 2, "'..' is not supported"),
        (".a.", 4, "name is missing"),
        (".a[", 4, "not closed"),
        (".a[1", 4, "not closed"),
        (".a['b]", 4, "quote is not closed"),
        (".a['b'", 7, "expected ']'"),
        (".a['']", 4, "name is missing"),
        (".a[b]", 4, "neither '*' nor a number"),
        (".a[]", 4, "neither '*' nor a number"),
        (".a[0]b", 6, "expected '.' or '['"),
        (".a[?(@.b==1)]", 4, "filters are not supported"),
        (".a[0:2]", 4, "slices are not supported"),
        (".a['b','c']", 7, "expected ']'"),
        (".a[0,1]", 4, "unions are not supported"),
        (".a b", 3, "unexpected ' '"),
        (".a{.b}", 3, "expected '.' or '['"),
        (".a\\", 4, "nothing follows"),
    ],
)
def test_a_bad_path_says_where(text: str, character: int, what: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Path.parse(text, "informers[0].drop[1]")
    assert str(refused.value).startswith("informers[0].drop[1]: path ")
    assert f"character {character}: " in str(refused.value)
    assert what in str(refused.value)


@given(st.text(alphabet=".[]{}'\"*\\$?:,@ab01- ", max_size=12))
def test_any_text_is_a_path_or_a_config_error(text: str) -> None:
    try:
        path = Path.parse(text)
    except ConfigError:
        return
    assert path.segments
    path.find(POD)
    path.remove(copy.deepcopy(POD))


@given(
    st.lists(st.one_of(st.text(min_size=1).filter(lambda s: "'" not in s), st.integers(-9, 9)), min_size=1)
)
def test_a_path_written_with_brackets_parses_to_its_segments(segments: list[str | int]) -> None:
    text = "".join(f"['{s}']" if isinstance(s, str) else f"[{s}]" for s in segments)
    assert Path.parse(text).segments == tuple(segments)
