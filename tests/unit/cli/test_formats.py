"""Objects are printed as kubectl prints them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from deltawire.cli.changes import field_diffs
from deltawire.cli.output import formats
from deltawire.cli.output.table import PAGE_ROWS, align, table_lines
from deltawire.common.errors import ConfigError
from deltawire.common.meta.resources import ResourceType, find
from deltawire.common.meta.yaml_words import quoting

PODS = find("pods")
DEPLOYMENTS = find("deploy")
assert PODS is not None and DEPLOYMENTS is not None


def pod(name: str, phase: str = "Running") -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": {"app": "web"},
            "creationTimestamp": "2024-01-01T00:00:00Z",
        },
        "spec": {"nodeName": "node-1", "containers": [{"name": "c"}]},
        "status": {"phase": phase},
    }


NOW_S = 1704067265.0  # 65 s after the creation above


def lines(
    objects: list[dict[str, Any]], output: str, *, is_one: bool = False, resource: ResourceType | None = None
) -> list[str]:
    resource = resource or PODS
    assert resource is not None
    typed = [formats.with_type(obj, resource) for obj in objects]
    shape = formats.parse_format(output)
    return list(formats.lines(typed, resource, shape, is_one=is_one, show_namespace=False, now_s=NOW_S))


def test_a_table_has_the_api_servers_columns() -> None:
    assert lines([pod("a"), pod("longer-name")], "table") == [
        "NAME          READY   STATUS    RESTARTS   AGE",
        "a             0/1     Running   0          65s",
        "longer-name   0/1     Running   0          65s",
    ]


def test_wide_shows_more_columns() -> None:
    # kubectl's own columns: IP, NODE, NOMINATED NODE, READINESS GATES.
    assert lines([pod("a")], "wide")[0].split()[5:7] == ["IP", "NODE"]


def test_all_namespaces_put_the_namespace_first() -> None:
    assert PODS is not None
    found = table_lines([pod("a")], PODS, is_wide=False, show_namespace=True, now_s=NOW_S)
    assert [line.split()[0] for line in found] == ["NAMESPACE", "default"]


@pytest.mark.parametrize(("type_", "printed"), [("pods", "pod/a"), ("deploy", "deployment.apps/a")])
def test_names_carry_the_singular_and_the_group(type_: str, printed: str) -> None:
    assert lines([pod("a")], "name", resource=find(type_)) == [printed]


def test_one_object_by_name_stands_alone() -> None:
    found = json.loads("\n".join(lines([pod("a")], "json", is_one=True)))
    assert (found["apiVersion"], found["kind"], found["metadata"]["name"]) == ("v1", "Pod", "a")


def test_several_objects_stand_in_a_list() -> None:
    found = json.loads("\n".join(lines([pod("a"), pod("b")], "json")))
    assert (found["kind"], [item["kind"] for item in found["items"]]) == ("List", ["Pod", "Pod"])


def test_yaml_says_what_json_says() -> None:
    objects = [pod("a"), pod("b")]
    as_yaml = yaml.safe_load("\n".join(lines(objects, "yaml")))
    assert as_yaml == json.loads("\n".join(lines(objects, "json")))


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("{.items[*].metadata.name}", "a b"),
        ("first: {.items[0].metadata.name}", "first: a"),
        ('{.items[0].metadata.name}{"\\n"}', "a\n"),
        ("{.items[0].metadata.labels}", '{"app":"web"}'),
        ("{.nothing}", ""),
    ],
)
def test_jsonpath_templates_are_filled(template: str, filled: str) -> None:
    assert lines([pod("a"), pod("b")], f"jsonpath={template}") == [filled]


def test_a_range_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match="range is not supported"):
        lines([pod("a")], "jsonpath={range .items[*]}{end}")


@pytest.mark.parametrize("text", ["", "tabel", "jsonpath", "json=x"])
def test_an_unknown_format_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="not an output format"):
        formats.parse_format(text)


def test_fields_are_read_as_texts() -> None:
    read = formats.field_getter(["spec.nodeName", "metadata.name", "spec.none"])
    assert read(pod("a")) == {"spec.nodeName": "node-1", "metadata.name": "a"}


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert align([["A", "B"], ["long", "x"]]) == ["A      B", "long   x"]


def test_a_diff_names_the_fields_that_differ() -> None:
    old, new = pod("a", "Pending"), pod("a", "Running")
    new["metadata"]["resourceVersion"] = "9"
    new["spec"]["nodeName"] = None
    assert field_diffs(old, new) == ["spec.nodeName: node-1 → null", "status.phase: Pending → Running"]


def test_a_long_diff_is_cut_and_says_so() -> None:
    found = field_diffs({}, {"data": {f"k{i:02d}": i for i in range(20)}})
    assert len(found) == 13
    assert found[-1] == "… and 8 more fields"


def odd(number: int) -> dict[str, Any]:
    texts = ["", "a: b", "é€😀", "x\ny\n", "[]", " ", "1.0", "y" * 200, '"q"', "#", "\u2028\x85"]
    data = {text: texts[number % len(texts)] for text in texts} | {"n": [number, -1.5, True, None, {}, []]}
    return pod(f"p{number}") | {"data": data, "big": 10**30}


@pytest.mark.parametrize("count", [0, 1, 2, 25])
def test_a_list_that_is_written_item_by_item_is_the_text_of_the_whole(count: int) -> None:
    objects = [formats.with_type(odd(number), PODS) for number in range(count)]
    whole = {"apiVersion": "v1", "items": objects, "kind": "List", "metadata": {"resourceVersion": ""}}
    found = "\n".join(lines(objects, "json"))
    assert found == json.dumps(whole, indent=4, ensure_ascii=False, sort_keys=True)
    text = "\n".join(lines(objects, "yaml"))
    dumper = quoting(getattr(yaml, "CSafeDumper", yaml.SafeDumper))
    assert text.rstrip() == yaml.dump(whole, Dumper=dumper, sort_keys=True, allow_unicode=True).rstrip()
    assert yaml.safe_load(text) == whole


@pytest.mark.parametrize("output", ["table", "wide", "name", "json", "yaml"])
def test_objects_leave_as_they_are_read(output: str) -> None:
    """No more than a page of them is held at any time, however many there are."""
    read = printed = most = 0

    def objects() -> Iterator[dict[str, Any]]:
        nonlocal read
        for read in range(1, 3 * PAGE_ROWS + 1):
            yield pod(f"pod-{read}")

    shape = formats.parse_format(output)
    for line in formats.lines(objects(), PODS, shape, is_one=False, show_namespace=False, now_s=NOW_S):
        printed += line.count("pod-")
        most = max(most, read - printed)
    assert printed == 3 * PAGE_ROWS
    assert most <= PAGE_ROWS


def test_the_first_page_says_how_wide_the_columns_of_a_table_are() -> None:
    found = lines([pod(f"p{number}") for number in range(PAGE_ROWS)] + [pod("x" * 40)], "table")
    assert found[0] == "NAME   READY   STATUS    RESTARTS   AGE"
    assert found[-1] == "x" * 40 + "   0/1     Running   0          65s"
    assert len(found) == PAGE_ROWS + 2
