import json
from typing import Any

import pytest

from deltawire.client.discovery import aggregated, legacy
from deltawire.client.discovery.model import ApiGroup, ApiResource, Discovered
from deltawire.common.errors import TransportError
from deltawire.common.meta.resources import ResourceType

CONTENT_TYPE = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def resource(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {
        "resource": name,
        "responseKind": {"kind": kind, "group": "", "version": ""},
        "scope": "Namespaced",
        "singularResource": kind.lower(),
        "verbs": ["list", "watch"],
        **more,
    }


def answer(**groups: list[dict[str, Any]]) -> bytes:
    items = [{"metadata": {"name": name}, "versions": versions} for name, versions in groups.items()]
    return json.dumps({"kind": "APIGroupDiscoveryList", "items": items}).encode()


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        (CONTENT_TYPE, True),
        ("application/json; as=APIGroupDiscoveryList; v=v2; g=apidiscovery.k8s.io; charset=utf-8", True),
        ("application/json", False),
        (CONTENT_TYPE.replace("v=v2", "v=v2beta1"), False),
        ("", False),
    ],
)
def test_the_answers_content_type_says_whether_it_is_aggregated(content_type: str, expected: bool):
    assert aggregated.is_aggregated(content_type) is expected


def test_an_aggregated_answer_holds_everything():
    core = answer(
        **{
            "": [
                {
                    "version": "v1",
                    "resources": [resource("nodes", "Node", scope="Cluster", shortNames=["no"])],
                }
            ]
        }
    )
    rest = answer(
        ex=[
            {
                "version": "v1",
                "resources": [
                    resource(
                        "widgets",
                        "Widget",
                        categories=["all"],
                        subresources=[{"subresource": "status", "verbs": ["get"]}],
                    )
                ],
            },
            {"version": "v1beta1", "resources": []},
        ]
    )
    found = aggregated.parse(core, rest)
    assert found.groups == (ApiGroup("", ("v1",), "v1"), ApiGroup("ex", ("v1", "v1beta1"), "v1"))
    node, widget = found.resources
    assert node.type == ResourceType("", "v1", "nodes", "Node", False, "node", ("no",))
    assert node.is_watchable
    assert widget.subresources == ("status",)
    assert widget.categories == ("all",)
    assert found.failures == {}


def test_a_stale_version_is_a_failure_and_not_listed():
    found = aggregated.parse(
        answer(
            ex=[{"version": "v2", "freshness": "Stale"}, {"version": "v1"}],
            dead=[{"version": "v1", "freshness": "Stale"}],
        )
    )
    assert found.groups == (ApiGroup("ex", ("v1",), "v1"),)
    assert set(found.failures) == {"ex/v2", "dead/v1"}


def test_a_resource_without_a_kind_is_only_a_parent():
    found = aggregated.parse(answer(ex=[{"version": "v1", "resources": [{"resource": "widgets"}]}]))
    assert found.resources == ()


@pytest.mark.parametrize("body", [b"", b"{", b'{"items":5}', b"\xff"])
@pytest.mark.parametrize("parse", [aggregated.parse, legacy.parse_core, legacy.parse_groups])
def test_garbage_is_said_to_be_garbage(parse: Any, body: bytes):
    if parse is not aggregated.parse:
        body = body.replace(b"items", b"groups" if parse is legacy.parse_groups else b"versions")
    with pytest.raises(TransportError) as found:
        parse(body)
    assert found.value.reason == "garbage"


def test_the_legacy_answers_are_put_together():
    assert legacy.parse_core(b'{"versions":["v1"]}') == (ApiGroup("", ("v1",), "v1"),)
    assert legacy.parse_core(b"{}") == ()
    groups = legacy.parse_groups(
        b'{"groups":[{"name":"ex","versions":[{"version":"v2"},{"version":"v1"}],'
        b'"preferredVersion":{"version":"v1"}},{"name":"empty","versions":[]}]}'
    )
    assert groups == (ApiGroup("ex", ("v2", "v1"), "v1"),)
    [widget] = legacy.parse_resources(
        "ex",
        "v1",
        b'{"resources":[{"name":"widgets/status","kind":"Widget"},{"name":"widgets","kind":"Widget",'
        b'"namespaced":true,"shortNames":["wg"],"verbs":["get"]}]}',
    )
    assert widget.type == ResourceType("ex", "v1", "widgets", "Widget", True, "widget", ("wg",))
    assert widget.subresources == ("status",)
    assert not widget.is_watchable


def test_core_comes_first_and_preferred_versions_before_others():
    def one(group: str, version: str) -> ApiResource:
        return ApiResource(ResourceType(group, version, "things", "Thing", True))

    found = Discovered(
        (ApiGroup("b", ("v1", "v2"), "v2"), ApiGroup("a", ("v1",), "v1"), ApiGroup("", ("v1",), "v1")),
        (one("b", "v1"), one("b", "v2"), one("a", "v1"), one("", "v1")),
    )
    assert [(t.group, t.version) for t in found.types] == [("", "v1"), ("b", "v2"), ("a", "v1"), ("b", "v1")]
