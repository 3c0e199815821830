"""Custom objects in several versions between which a webhook converts."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from copy import deepcopy
from typing import Any

import pytest
import requests

from deltawire.apiserver.options import ApiServerOptions
from deltawire.apiserver.server import ApiServer
from tests.support.webhooks import Answer, Webhook, webhook

Tree = dict[str, Any]
_DEFINITIONS = "apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_V1, _V2 = (f"apis/example.com/{version}/namespaces/default/widgets" for version in ("v1", "v2"))


def _schema(name: str, kind: str) -> Tree:
    spec = {"type": "object", "properties": {name: {"type": kind}}}
    return {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}


def definition(client_config: Tree) -> Tree:
    """v1, which is stored, has a number; v2 has it as a text under another name."""
    return {
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": _schema("size", "integer")},
                {"name": "v2", "served": True, "storage": False, "schema": _schema("text", "string")},
            ],
            "conversion": {
                "strategy": "Webhook",
                "webhook": {"clientConfig": client_config, "conversionReviewVersions": ["v1"]},
            },
        },
    }


def convert(request: Tree) -> Tree:
    objects = []
    for given in request["objects"]:
        made = deepcopy(given)
        made["apiVersion"] = request["desiredAPIVersion"]
        if made["apiVersion"].endswith("v2"):
            made["spec"] = {"text": str(given["spec"]["size"])}
        else:
            made["spec"] = {"size": int(given["spec"]["text"])}
        objects.append(made)
    return {"result": {"status": "Success"}, "convertedObjects": objects}


class Cluster:
    def __init__(self, server: ApiServer, hook: Webhook) -> None:
        self._url = server.url
        self.hook = hook

    def ask(self, method: str, path: str, body: Tree | None = None, **more: Any) -> requests.Response:
        return requests.request(method, f"{self._url}/{path}", json=body, timeout=30, **more)

    def create(self, version: str, name: str, **spec: Any) -> requests.Response:
        body = {
            "apiVersion": f"example.com/{version}",
            "kind": "Widget",
            "metadata": {"name": name},
            "spec": spec,
        }
        return self.ask("POST", f"apis/example.com/{version}/namespaces/default/widgets", body)


@pytest.fixture
def answer() -> Answer:
    return convert


@pytest.fixture
def cluster(answer: Answer) -> Iterator[Cluster]:
    with ExitStack() as stack:
        hook = stack.enter_context(webhook(answer))
        made = Cluster(stack.enter_context(ApiServer(ApiServerOptions())), hook)
        assert made.ask("POST", _DEFINITIONS, definition(hook.client_config)).status_code == 201
        yield made


def test_what_is_written_in_one_version_is_read_in_the_other(cluster: Cluster) -> None:
    created = cluster.create("v2", "a", text="7")
    assert (created.status_code, created.json()["spec"]) == (201, {"text": "7"}), created.text
    stored = cluster.ask("GET", f"{_V1}/a").json()
    assert (stored["apiVersion"], stored["spec"]) == ("example.com/v1", {"size": 7})
    assert stored["metadata"]["uid"] == created.json()["metadata"]["uid"]
    read = cluster.ask("GET", f"{_V2}/a").json()
    assert (read["apiVersion"], read["spec"]) == ("example.com/v2", {"text": "7"})


def test_updates_and_patches_in_the_other_version(cluster: Cluster) -> None:
    cluster.create("v1", "a", size=1)
    other = cluster.ask("GET", f"{_V2}/a").json()
    other["spec"]["text"] = "2"
    updated = cluster.ask("PUT", f"{_V2}/a", other)
    assert (updated.status_code, updated.json()["spec"]) == (200, {"text": "2"}), updated.text
    headers = {"Content-Type": "application/merge-patch+json"}
    patched = cluster.ask("PATCH", f"{_V2}/a", {"spec": {"text": "3"}}, headers=headers)
    assert patched.json()["spec"] == {"text": "3"}, patched.text
    assert cluster.ask("GET", f"{_V1}/a").json()["spec"] == {"size": 3}
    assert cluster.ask("DELETE", f"{_V2}/a").status_code == 200


def test_a_page_is_converted_with_one_call(cluster: Cluster) -> None:
    for number in range(5):
        cluster.create("v1", f"w{number}", size=number)
    cluster.hook.requests.clear()
    page = cluster.ask("GET", _V2).json()
    assert [item["spec"] for item in page["items"]] == [{"text": str(number)} for number in range(5)]
    assert [len(request["objects"]) for request in cluster.hook.requests] == [5]
    cluster.ask("GET", _V2)
    assert len(cluster.hook.requests) == 1  # what is known is not asked for again


def test_a_watch_in_the_other_version_shows_converted_objects(cluster: Cluster) -> None:
    cluster.create("v1", "a", size=1)
    url = f"{_V2}?watch=1&resourceVersion=0&timeoutSeconds=20&allowWatchBookmarks=true"
    with cluster.ask("GET", url, stream=True) as watch:
        lines = watch.iter_lines(chunk_size=None)
        first = json.loads(next(lines))
        cluster.create("v2", "b", text="2")
        second = next(event for event in map(json.loads, lines) if event["type"] == "ADDED")
    assert (first["type"], first["object"]["spec"]) == ("ADDED", {"text": "1"})
    assert (second["object"]["apiVersion"], second["object"]["spec"]) == ("example.com/v2", {"text": "2"})


def test_the_schema_of_the_version_asked_for_counts(cluster: Cluster) -> None:
    refused = cluster.create("v2", "a", text=7)
    assert refused.status_code == 422
    assert "spec.text" in refused.json()["message"]


@pytest.mark.parametrize(
    "answer",
    [
        lambda request: {"result": {"status": "Failure", "message": "no way"}},
        lambda request: {"result": {"status": "Success"}, "convertedObjects": []},
        lambda request: None,
    ],
)
def test_a_conversion_that_fails_is_told_and_nothing_is_written(cluster: Cluster) -> None:
    failed = cluster.create("v2", "a", text="7")
    assert failed.status_code == 500
    told = "conversion webhook for example.com/v2, Kind=Widget failed: "
    assert failed.json()["message"].startswith(told)
    assert cluster.ask("GET", f"{_V1}/a").status_code == 404


def test_a_definition_that_converts_says_by_whom(cluster: Cluster) -> None:
    body = definition({})
    body["metadata"]["name"] = "gadgets.example.com"
    body["spec"]["names"] = {"plural": "gadgets", "kind": "Gadget"}
    body["spec"]["conversion"]["webhook"] = {"clientConfig": {}, "conversionReviewVersions": []}
    refused = cluster.ask("POST", _DEFINITIONS, body)
    fields = [cause["field"] for cause in refused.json()["details"]["causes"]]
    assert (refused.status_code, fields) == (
        422,
        ["spec.conversion.webhookClientConfig", "spec.conversion.conversionReviewVersions"],
    )
