"""The API over plain HTTP: what a request gets, good or bad, by a socket and without one."""

from typing import Any

import pytest
import requests
import yaml

from deltawire.apiserver.protobuf.decode import decode_object
from deltawire.apiserver.server import ApiServer
from tests.support.servers import WatchLines, ask, eventually

MAPS = "/api/v1/namespaces/default/configmaps"
ANYTHING = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


# Nine levels of nine aliases each: 400 million nodes in 400 bytes.
BOMB = "\n".join(
    ["a0: &a0 x"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
).encode()


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name}, "data": data}


@pytest.fixture
def api_server(api_server_both_ways: ApiServer) -> ApiServer:
    return api_server_both_ways


def post(server: ApiServer, path: str, body: Any) -> requests.Response:
    return ask(server, "POST", path, json=body)


def definition(*versions: str) -> dict[str, Any]:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.net"},
        "spec": {
            "group": "example.net",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wg"]},
            "versions": [
                {
                    "name": v,
                    "served": True,
                    "storage": v == versions[0],
                    "schema": {"openAPIV3Schema": ANYTHING},
                }
                for v in versions
            ],
        },
    }


def widget(name: str, version: str = "v1") -> dict[str, Any]:
    return {"apiVersion": f"example.net/{version}", "kind": "Widget", "metadata": {"name": name}}


@pytest.mark.parametrize(
    "path", ["/version", "/version/", "/api", "/api/", "/apis", "/apis/", "/api/v1", "/"]
)
def test_discovery_answers_with_and_without_a_slash(api_server: ApiServer, path: str) -> None:
    answer = ask(api_server, "GET", path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")


@pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
def test_health_is_ok(api_server: ApiServer, path: str) -> None:
    assert ask(api_server, "GET", path).text == "ok"


def test_resources_are_discovered_with_their_subresources(api_server: ApiServer) -> None:
    rows = {r["name"]: r for r in ask(api_server, "GET", "/api/v1").json()["resources"]}
    assert rows["pods"]["shortNames"] == ["po"]
    assert rows["pods"]["namespaced"] is True
    assert "shortNames" not in rows["pods/status"]
    groups = ask(api_server, "GET", "/apis").json()["groups"]
    assert {"apps", "batch", "coordination.k8s.io"} <= {group["name"] for group in groups}
    assert ask(api_server, "GET", "/apis/apps").json()["preferredVersion"]["version"] == "v1"


@pytest.mark.parametrize(
    "path",
    [
        "/apis/none",
        "/nothing",
    ],
)
def test_what_is_no_api_is_404_in_plain_text(api_server: ApiServer, path: str) -> None:
    answer = ask(api_server, "GET", path)
    assert (answer.status_code, answer.text) == (404, "404 page not found\n")


@pytest.mark.parametrize(
    "path",
    [
        "/apis/apps/v2",
        "/api/v2",
        "/api/v1/widgets",
        "/apis/apps/v1/pods",
        "/api/v1/a/b/c/d/e/f",
        "/api/v1//configmaps",
    ],
)
def test_what_no_api_serves_is_404_as_a_status(api_server: ApiServer, path: str) -> None:
    answer = ask(api_server, "GET", path)
    told = "the server could not find the requested resource"
    assert (answer.status_code, answer.json()["message"], answer.json()["details"]) == (404, told, {})


def test_openapi_is_a_stub_in_v2_and_has_a_document_for_each_group_version_in_v3(
    api_server: ApiServer,
) -> None:
    assert b"Kubernetes" in ask(api_server, "GET", "/openapi/v2").content
    paths = ask(api_server, "GET", "/openapi/v3").json()["paths"]
    document = ask(api_server, "GET", paths["apis/batch/v1"]["serverRelativeURL"])
    assert document.headers["Content-Encoding"] == "gzip"
    assert document.json()["openapi"] == "3.0.0"
    assert ask(api_server, "GET", "/openapi/v3/apis/batch/v9").status_code == 404
    assert ask(api_server, "GET", "/openapi/v3/some/where/else").status_code == 404


def test_an_object_is_created_read_changed_and_deleted(api_server: ApiServer) -> None:
    created = post(api_server, MAPS, config_map("a", x="1"))
    assert created.status_code == 201
    assert ask(api_server, "GET", f"{MAPS}/a").json() == created.json()
    changed = ask(api_server, "PUT", f"{MAPS}/a", json=created.json() | {"data": {"x": "2"}})
    assert changed.json()["data"] == {"x": "2"}
    stale = ask(api_server, "PUT", f"{MAPS}/a", json=created.json() | {"data": {"x": "3"}})
    assert (stale.status_code, stale.json()["reason"]) == (409, "Conflict")
    gone = ask(api_server, "DELETE", f"{MAPS}/a")
    assert gone.json()["details"]["uid"] == created.json()["metadata"]["uid"]
    missing = ask(api_server, "GET", f"{MAPS}/a")
    assert missing.json() == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'configmaps "a" not found',
        "reason": "NotFound",
        "details": {"name": "a", "kind": "configmaps"},
        "code": 404,
    }


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (None, b'{"metadata":{"name":"a"}}'),
        ("application/json; charset=utf-8", b'{"metadata":{"name":"a"}}'),
        ("application/yaml", b"metadata:\n  name: a\n"),
    ],
)
def test_bodies_are_json_by_default_or_yaml(
    api_server: ApiServer, content_type: str | None, body: bytes
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    answer = ask(api_server, "POST", MAPS, data=body, headers=headers)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(
    ("content_type", "body", "code"),
    [
        ("application/json", b"{", 400),
        ("application/json", b"[]", 400),
        ("application/json", b"", 400),
        ("application/json", b"\xff", 400),
        ("application/json", b'{"metadata":' * 5000, 400),
        ("application/yaml", b"a: [", 400),
        ("application/yaml", b"!!python/object/apply:os.getcwd []", 400),
        ("application/yaml", b"? [a]\n: b\n", 400),
        ("application/yaml", b"a: &a [*a]\n", 413),
        ("application/yaml", BOMB, 413),
        ("text/csv", b"a,b", 415),
        ("application/vnd.kubernetes.protobuf", b"k8s\x00", 415),
        ("application/json", b" " * (3 << 20) + b"{}", 413),
    ],
)
def test_a_bad_body_is_a_status(api_server: ApiServer, content_type: str, body: bytes, code: int) -> None:
    answer = ask(api_server, "POST", MAPS, data=body, headers={"Content-Type": content_type})
    assert (answer.status_code, answer.json()["kind"], answer.json()["code"]) == (code, "Status", code)


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("POST", "/api/v1/configmaps", 405),
        ("DELETE", "/api/v1/configmaps", 405),
        ("POST", f"{MAPS}/a", 405),
        ("PUT", MAPS, 405),
        ("PATCH", MAPS, 405),
        ("POST", "/version", 405),
        ("GET", f"{MAPS}?limit=x", 400),
        ("GET", f"{MAPS}?limit=x", 400),
        ("GET", f"{MAPS}?limit={'9' * 40}", 400),
        ("GET", f"{MAPS}?labelSelector=a%20b", 400),
        ("GET", f"{MAPS}?fieldSelector=spec.x=1", 400),
        ("GET", f"{MAPS}?resourceVersion=abc", 400),
        ("GET", f"{MAPS}?watch=1&resourceVersion=abc", 500),
        ("GET", f"{MAPS}?watch=1&timeoutSeconds=soon", 400),
        ("GET", f"{MAPS}?watch=1&sendInitialEvents=true", 422),
        ("GET", f"{MAPS}?sendInitialEvents=true", 422),
        ("GET", f"{MAPS}?resourceVersion=99999999", 504),
        ("GET", f"{MAPS}/none", 404),
        ("DELETE", f"{MAPS}/none", 404),
    ],
)
def test_a_bad_request_is_a_status(api_server: ApiServer, method: str, path: str, code: int) -> None:
    answer = ask(api_server, method, path)
    assert (answer.status_code, answer.json()["status"]) == (code, "Failure")


def test_an_answer_nobody_can_make_is_406(api_server: ApiServer) -> None:
    answer = ask(api_server, "GET", MAPS, headers={"Accept": "application/cbor"})
    assert (answer.status_code, answer.json()["reason"]) == (406, "NotAcceptable")
    both = "application/cbor,application/json"
    assert ask(api_server, "GET", MAPS, headers={"Accept": both}).status_code == 200


def test_protobuf_is_spoken_to_whoever_takes_nothing_else(api_server: ApiServer) -> None:
    only = {"Accept": "application/vnd.kubernetes.protobuf"}
    ask(api_server, "POST", MAPS, json=config_map("a"))
    for path, kind in ((f"{MAPS}/a", "ConfigMap"), (MAPS, "ConfigMapList")):
        answer = ask(api_server, "GET", path, headers=only)
        assert answer.headers["Content-Type"] == only["Accept"]
        assert decode_object(answer.content)["kind"] == kind
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    assert ask(api_server, "GET", definitions, headers=only).status_code == 406


def test_a_write_that_cannot_be_answered_is_not_done(api_server: ApiServer) -> None:
    answer = ask(api_server, "POST", MAPS, json=config_map("a"), headers={"Accept": "text/csv"})
    assert answer.status_code == 406
    assert ask(api_server, "GET", f"{MAPS}/a").status_code == 404


def test_people_get_indented_answers(api_server: ApiServer) -> None:
    path = "/api/v1/namespaces/default"
    assert ask(api_server, "GET", path).content.count(b"\n") == 1
    assert ask(api_server, "GET", f"{path}?pretty=true").content.count(b"\n") > 5
    curl = {"User-Agent": "curl/8.0"}
    assert ask(api_server, "GET", path, headers=curl).content.count(b"\n") > 5
    assert ask(api_server, "GET", f"{path}?pretty=false", headers=curl).content.count(b"\n") == 1


def test_patches_merge_or_follow_operations(api_server: ApiServer) -> None:
    post(api_server, MAPS, config_map("a", x="1", y="2"))

    def patch(kind: str, body: Any) -> requests.Response:
        headers = {"Content-Type": f"application/{kind}+json"}
        return ask(api_server, "PATCH", f"{MAPS}/a", json=body, headers=headers)

    assert patch("merge-patch", {"data": {"x": None, "z": "3"}}).json()["data"] == {"y": "2", "z": "3"}
    assert patch("merge-patch", {"metadata": {"resourceVersion": "1"}}).status_code == 409
    assert patch("merge-patch", {"metadata": {"name": "b"}}).status_code == 400
    assert patch("merge-patch", []).status_code == 400
    moved = [
        {"op": "test", "path": "/data/y", "value": "2"},
        {"op": "move", "from": "/data/y", "path": "/data/w"},
    ]
    assert patch("json-patch", moved).json()["data"] == {"z": "3", "w": "2"}
    assert patch("json-patch", moved).status_code == 422
    assert patch("json-patch", [{"op": "remove", "path": "/data/none"}]).status_code == 422
    assert patch("json-patch", [{"op": "fly"}]).status_code == 422
    assert patch("json-patch", {"op": "add"}).status_code == 400
    assert patch("json-patch", [{"op": "add", "path": "/x", "value": 1}] * 10_001).status_code == 413
    assert patch("other", {}).status_code == 415


def test_delete_options_in_the_body_count(api_server: ApiServer) -> None:
    post(api_server, MAPS, config_map("a"))
    ask(api_server, "DELETE", f"{MAPS}/a", json={"dryRun": ["All"]})
    assert ask(api_server, "GET", f"{MAPS}/a").status_code == 200
    wrong = ask(api_server, "DELETE", f"{MAPS}/a", json={"preconditions": {"uid": "x"}})
    assert wrong.status_code == 409
    for bad in ([], {"preconditions": 5}):
        assert ask(api_server, "DELETE", f"{MAPS}/a", json=bad).status_code == 400, bad
    assert ask(api_server, "DELETE", f"{MAPS}/a", json={}).status_code == 200


def test_a_collection_is_deleted_and_listed(api_server: ApiServer) -> None:
    for name in "abc":
        body = config_map(name)
        body["metadata"]["labels"] = {"odd": str(name != "b")}
        post(api_server, MAPS, body)
    deleted = ask(api_server, "DELETE", f"{MAPS}?labelSelector=odd%3DTrue").json()
    assert [item["metadata"]["name"] for item in deleted["items"]] == ["a", "c"]
    assert [item["metadata"]["name"] for item in ask(api_server, "GET", MAPS).json()["items"]] == ["b"]


def test_items_of_built_in_lists_lack_their_kind_and_custom_ones_have_it(api_server: ApiServer) -> None:
    post(api_server, MAPS, config_map("a"))
    post(api_server, DEFINITIONS, definition("v1"))
    post(api_server, "/apis/example.net/v1/namespaces/default/widgets", widget("w"))
    maps = ask(api_server, "GET", MAPS).json()
    assert (maps["kind"], "kind" in maps["items"][0]) == ("ConfigMapList", False)
    widgets = ask(api_server, "GET", "/apis/example.net/v1/widgets").json()
    assert (widgets["kind"], widgets["items"][0]["kind"]) == ("WidgetList", "Widget")


def test_every_version_of_a_custom_resource_shows_the_same_objects(api_server: ApiServer) -> None:
    assert post(api_server, DEFINITIONS, definition("v1", "v1beta1")).status_code == 201
    path = "/apis/example.net/{}/namespaces/default/widgets"
    assert post(api_server, path.format("v1beta1"), widget("w", "v1beta1")).status_code == 201
    for version in ("v1", "v1beta1"):
        (item,) = ask(api_server, "GET", path.format(version)).json()["items"]
        assert item["apiVersion"] == f"example.net/{version}"
        with WatchLines(api_server, path.format(version)) as watch:
            assert watch.next()["object"]["apiVersion"] == f"example.net/{version}"
    group = ask(api_server, "GET", "/apis/example.net").json()
    assert [version["version"] for version in group["versions"]] == ["v1", "v1beta1"]
    ask(api_server, "DELETE", f"{DEFINITIONS}/widgets.example.net")
    assert ask(api_server, "GET", "/apis/example.net").status_code == 404
    assert ask(api_server, "GET", path.format("v1")).status_code == 404


def test_a_custom_object_says_what_it_is(api_server: ApiServer) -> None:
    post(api_server, DEFINITIONS, definition("v1"))
    path = "/apis/example.net/v1/namespaces/default/widgets"
    bodies = ({"metadata": {"name": "w"}}, widget("w") | {"kind": "Gadget"}, widget("w", "v2"))
    assert [post(api_server, path, body).status_code for body in bodies] == [400, 422, 400]


def test_status_is_a_subresource(api_server: ApiServer) -> None:
    path = "/apis/apps/v1/namespaces/default/deployments"
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    post(api_server, path, {"metadata": {"name": "d"}, "spec": spec})
    headers = {"Content-Type": "application/merge-patch+json"}
    body = {"status": {"replicas": 1}, "spec": {"replicas": 7}}
    ask(api_server, "PATCH", f"{path}/d/status", json=body, headers=headers)
    stored = ask(api_server, "GET", f"{path}/d/status").json()
    assert (stored["spec"]["replicas"], stored["status"]) == (1, {"replicas": 1})
    assert ask(api_server, "GET", f"{MAPS}/a/status").status_code == 404


def test_a_table_is_for_people(api_server: ApiServer) -> None:
    post(api_server, MAPS, config_map("a", x="1"))
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
    table = ask(api_server, "GET", MAPS, headers=accept).json()
    assert table["kind"] == "Table"
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Data", "Age"]
    (row,) = table["rows"]
    assert row["cells"][:2] == ["a", 1]
    assert row["object"]["kind"] == "PartialObjectMetadata"
    full = ask(api_server, "GET", f"{MAPS}/a?includeObject=Object", headers=accept).json()
    assert full["rows"][0]["object"]["data"] == {"x": "1"}


def test_metadata_alone_can_be_asked_for(api_server: ApiServer) -> None:
    post(api_server, MAPS, config_map("a", x="1"))
    accept = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"}
    listed = ask(api_server, "GET", MAPS, headers=accept).json()
    assert (listed["kind"], sorted(listed["items"][0])) == (
        "PartialObjectMetadataList",
        ["apiVersion", "kind", "metadata"],
    )


def test_yaml_can_be_asked_for(api_server: ApiServer) -> None:
    answer = ask(api_server, "GET", "/api/v1/namespaces/default", headers={"Accept": "application/yaml"})
    assert answer.headers["Content-Type"] == "application/yaml"
    assert answer.text.startswith("apiVersion: v1\nkind: Namespace\n")


def test_two_servers_are_two_clusters(api_server_factory: Any) -> None:
    uids = {
        ask(api_server_factory(), "GET", "/api/v1/namespaces/kube-system").json()["metadata"]["uid"]
        for _ in range(2)
    }
    assert len(uids) == 2


def test_lists_and_watches_are_counted(api_server: ApiServer) -> None:
    ask(api_server, "GET", f"{MAPS}?limit=5", headers={"User-Agent": "me/1"})
    ask(api_server, "GET", f"{MAPS}/none")
    with WatchLines(api_server, "/api/v1/pods"):
        eventually(lambda: api_server.requests.count("watch", "pods") == 1, "the watch is logged")
    assert api_server.requests.count("list", "configmaps") == 1
    report = ask(api_server, "GET", "/_deltawire/requests").json()
    assert report["totals"] == {"get": {"configmaps": 1}, "list": {"configmaps": 1}, "watch": {"pods": 1}}
    entry = report["requests"][0]
    assert entry | {"time": 0} == {
        "time": 0,
        "verb": "list",
        "resource": "configmaps",
        "namespace": "default",
        "path": MAPS,
        "query": {"limit": "5"},
        "user_agent": "me/1",
    }
    ask(api_server, "POST", "/_deltawire/clear")
    assert ask(api_server, "GET", "/_deltawire/requests").json() == {"totals": {}, "requests": []}


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("POST", "churn?rate=fast", 400),
        ("POST", "churn?rate=-1", 400),
        ("POST", "churn?rate=inf", 400),
        ("POST", "churn?rate=nan", 400),
        ("POST", "compact?resource=none", 404),
        ("GET", "compact", 405),
        ("GET", "none", 404),
    ],
)
def test_a_bad_admin_request_is_refused(api_server: ApiServer, method: str, path: str, code: int) -> None:
    assert ask(api_server, method, f"/_deltawire/{path}").status_code == code


def test_however_deep_a_body_is_it_is_taken_or_refused(api_server: ApiServer) -> None:
    """Around the interpreter's limit of recursion each step of reading a body has its own bound."""
    for depth in (*range(900, 1000), 100_000):
        deep = '{"a":' * depth + "1" + "}" * depth
        # Named twice: the paths of such fields are worked out, too.
        body = f'{{"metadata":{{"name":"d{depth}"}},"zz":1,"zz":{deep}}}'
        answer = ask(api_server, "POST", MAPS, data=body)
        assert answer.status_code in (201, 400), (depth, answer.text[:200])


def test_a_refusal_comes_in_the_form_that_was_asked_for(api_server: ApiServer) -> None:
    protobuf = "application/vnd.kubernetes.protobuf"
    wanted = {
        f"{protobuf},application/json": protobuf,
        f"application/json,{protobuf}": "application/json",
        "application/yaml": "application/yaml",
        "application/cbor,application/json": "application/json",
        "application/vnd.nothing": "application/json",
    }
    for accept, content_type in wanted.items():
        answer = ask(api_server, "GET", f"{MAPS}/nope", headers={"Accept": accept})
        assert answer.headers["Content-Type"] == content_type, accept
        if content_type == protobuf:
            status = decode_object(answer.content)
        else:
            status = yaml.safe_load(answer.content)
        assert (status["kind"], status["code"]) == ("Status", answer.status_code)
    assert answer.status_code == 406
