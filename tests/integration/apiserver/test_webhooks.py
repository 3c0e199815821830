"""Webhooks that users configure see writes, change them, and refuse them."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
import requests

from deltawire.apiserver.options import ApiServerOptions
from deltawire.apiserver.server import ApiServer
from tests.support.webhooks import Answer, Webhook, patching, webhook

Tree = dict[str, Any]
_HOOKS = "apis/admissionregistration.k8s.io/v1"
_MAPS = "api/v1/namespaces/default/configmaps"
_RULE: Tree = {
    "operations": ["*"],
    "apiGroups": [""],
    "apiVersions": ["v1"],
    "resources": ["configmaps"],
}


class Cluster:
    """A server and the webhooks that are configured on it, one configuration each."""

    def __init__(self, server: ApiServer, stack: ExitStack) -> None:
        self._url = server.url
        self._stack = stack
        self._count = 0

    def ask(self, method: str, path: str, body: Tree | None = None, **params: str) -> requests.Response:
        return requests.request(method, f"{self._url}/{path}", json=body, params=params, timeout=30)

    def hook(
        self,
        answer: Answer,
        *,
        mutating: bool = False,
        names: tuple[str, ...] = (),
        trusts_itself: bool = False,
        **fields: Any,
    ) -> Webhook:
        made = self._stack.enter_context(webhook(answer, *names, trusts_itself=trusts_itself))
        self.configure(made.client_config, mutating=mutating, **fields)
        return made

    def configure(self, client_config: Tree, *, mutating: bool = False, **fields: Any) -> None:
        self._count += 1
        kind = "MutatingWebhookConfiguration" if mutating else "ValidatingWebhookConfiguration"
        hook = {
            "name": f"hook{self._count}.example.com",
            "clientConfig": client_config,
            "rules": [_RULE],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            **fields,
        }
        body = {"metadata": {"name": f"c{self._count}"}, "webhooks": [hook]}
        answer = self.ask("POST", f"{_HOOKS}/{kind.lower()}s", body)
        assert answer.status_code == 201, answer.text

    def create(self, name: str = "a", **params: str) -> requests.Response:
        body = {"metadata": {"name": name, "labels": {"l": "1"}}, "data": {"k": "v"}}
        return self.ask("POST", _MAPS, body, **params)


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(stack.enter_context(ApiServer(ApiServerOptions())), stack)


def allow(request: Tree) -> Tree:
    return {"allowed": True}


def test_a_webhook_is_shown_what_would_be_written_and_by_whom(cluster: Cluster) -> None:
    hook = cluster.hook(allow)
    assert cluster.create().status_code == 201
    (seen,) = hook.requests
    assert (seen["operation"], seen["name"], seen["namespace"]) == ("CREATE", "a", "default")
    assert seen["kind"] == {"group": "", "version": "v1", "kind": "ConfigMap"}
    assert seen["resource"] == {"group": "", "version": "v1", "resource": "configmaps"}
    assert (seen["object"]["data"], seen["oldObject"], seen["dryRun"]) == ({"k": "v"}, None, False)
    assert (seen["object"]["kind"], seen["object"]["apiVersion"]) == ("ConfigMap", "v1")
    assert seen["userInfo"]["username"] == "kubernetes-admin"
    assert seen["path"] == "/hook?timeout=10s"


def test_updates_and_deletions_show_what_was_there_before(cluster: Cluster) -> None:
    hook = cluster.hook(allow)
    cluster.create()
    patch = {"data": {"k": "w"}}
    headers = {"Content-Type": "application/merge-patch+json"}
    requests.patch(f"{cluster._url}/{_MAPS}/a", json=patch, headers=headers, timeout=30)
    assert cluster.ask("DELETE", f"{_MAPS}/a").status_code == 200
    _, update, deletion = hook.requests
    assert (update["operation"], update["object"]["data"], update["oldObject"]["data"]) == (
        "UPDATE",
        {"k": "w"},
        {"k": "v"},
    )
    assert (deletion["operation"], deletion["object"], deletion["oldObject"]["data"]) == (
        "DELETE",
        None,
        {"k": "w"},
    )
    assert (update["options"]["kind"], deletion["options"]["kind"]) == ("PatchOptions", "DeleteOptions")


def test_a_refusal_is_told_in_the_webhooks_words_and_nothing_is_written(cluster: Cluster) -> None:
    status = {"code": 403, "reason": "Forbidden", "message": "not today"}
    cluster.hook(lambda request: {"allowed": False, "status": status})
    refused = cluster.create()
    assert refused.status_code == 403
    told = 'admission webhook "hook1.example.com" denied the request: not today'
    assert (refused.json()["message"], refused.json()["reason"]) == (told, "Forbidden")
    assert cluster.ask("GET", f"{_MAPS}/a").status_code == 404


def test_a_refusal_without_a_reason_is_400_without_explanation(cluster: Cluster) -> None:
    cluster.hook(lambda request: {"allowed": False})
    refused = cluster.create()
    assert refused.status_code == 400
    told = 'admission webhook "hook1.example.com" denied the request without explanation'
    assert refused.json()["message"] == told


def test_a_patch_changes_what_is_stored_and_later_webhooks_see_it(cluster: Cluster) -> None:
    cluster.hook(lambda request: patching({"op": "add", "path": "/data/first", "value": "1"}), mutating=True)
    second = cluster.hook(
        lambda request: patching({"op": "add", "path": "/data/second", "value": "2"}), mutating=True
    )
    last = cluster.hook(allow)
    created = cluster.create()
    assert created.json()["data"] == {"k": "v", "first": "1", "second": "2"}
    assert second.requests[0]["object"]["data"] == {"k": "v", "first": "1"}
    assert last.requests[0]["object"]["data"] == created.json()["data"]
    assert cluster.ask("GET", f"{_MAPS}/a").json()["data"] == created.json()["data"]


def test_a_webhook_that_asks_for_it_sees_what_later_ones_have_changed(cluster: Cluster) -> None:
    first = cluster.hook(allow, mutating=True, reinvocationPolicy="IfNeeded")
    other = cluster.hook(
        lambda request: patching({"op": "add", "path": "/data/x", "value": "1"}), mutating=True
    )
    cluster.create()
    assert [seen["object"]["data"] for seen in first.requests] == [{"k": "v"}, {"k": "v", "x": "1"}]
    assert len(other.requests) == 1


def test_nobody_there_fails_the_write_unless_that_is_to_be_ignored(cluster: Cluster) -> None:
    cluster.configure({"url": "https://127.0.0.1:1/x"}, failurePolicy="Ignore")
    assert cluster.create("a").status_code == 201
    cluster.configure({"url": "https://127.0.0.1:1/x"}, timeoutSeconds=3)
    refused = cluster.create("b")
    assert refused.status_code == 500
    told = (
        'Internal error occurred: failed calling webhook "hook2.example.com": failed to call webhook: '
        'Post "https://127.0.0.1:1/x?timeout=3s": dial tcp 127.0.0.1:1: connect: connection refused'
    )
    assert (refused.json()["message"], refused.json()["reason"]) == (told, "InternalError")


def test_a_webhook_that_takes_too_long_is_not_waited_for(cluster: Cluster) -> None:
    import threading

    release = threading.Event()

    def late(request: Tree) -> Tree:
        release.wait(30)
        return {"allowed": True}

    cluster.hook(late, timeoutSeconds=1)
    refused = cluster.create()
    release.set()
    assert refused.status_code == 500
    assert "context deadline exceeded" in refused.json()["message"]


def test_a_certificate_of_another_authority_is_not_trusted(cluster: Cluster) -> None:
    with webhook(allow) as stranger:
        hook = cluster.hook(allow)
        cluster.configure({"url": stranger.url, "caBundle": hook.ca_bundle})
        refused = cluster.create()
    assert "tls: failed to verify certificate" in refused.json()["message"]
    assert stranger.requests == []


def test_a_webhooks_own_certificate_as_its_bundle_is_trusted(cluster: Cluster) -> None:
    hook = cluster.hook(allow, trusts_itself=True)
    assert cluster.create().status_code == 201
    assert len(hook.requests) == 1


def test_a_doubled_slash_in_the_address_of_a_webhook_is_one(cluster: Cluster) -> None:
    made = cluster.hook(allow)
    cluster.configure({**made.client_config, "url": made.url.replace("/hook", "//other/./hook/")})
    assert cluster.create().status_code == 201
    # Validating webhooks are called side by side: either may be first.
    assert sorted(seen["path"] for seen in made.requests) == ["/hook?timeout=10s", "/other/hook?timeout=10s"]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"what", "couldn't decode"),
        (b"{}", "webhook response was absent"),
        ({"allowed": True, "uid": "other"}, "expected response.uid="),
    ],
)
def test_an_answer_that_is_none_fails_the_write(cluster: Cluster, answer: Any, told: str) -> None:
    cluster.hook(lambda request: answer)
    refused = cluster.create()
    assert (refused.status_code, told in refused.json()["message"]) == (500, True)


def test_only_what_is_selected_is_shown(cluster: Cluster) -> None:
    by_label = cluster.hook(allow, objectSelector={"matchLabels": {"l": "2"}})
    by_namespace = cluster.hook(allow, namespaceSelector={"matchLabels": {"n": "1"}})
    by_operation = cluster.hook(allow, rules=[{**_RULE, "operations": ["DELETE"]}])
    by_condition = cluster.hook(
        allow,
        matchConditions=[
            {"name": "c", "expression": "object.data.k == 'w' && request.operation == 'CREATE'"}
        ],
    )
    assert cluster.create().status_code == 201
    assert [h.requests for h in (by_label, by_namespace, by_operation, by_condition)] == [[], [], [], []]


def test_a_dry_run_is_not_shown_to_a_webhook_with_side_effects(cluster: Cluster) -> None:
    quiet = cluster.hook(allow)
    assert cluster.create(dryRun="All").status_code == 201
    assert quiet.requests[0]["dryRun"] is True
    cluster.configure({"url": "https://127.0.0.1:1/x"}, sideEffects="NoneOnDryRun", failurePolicy="Ignore")
    assert cluster.create(dryRun="All").status_code == 201


def test_warnings_of_webhooks_reach_the_client(cluster: Cluster) -> None:
    cluster.hook(lambda request: {"allowed": True, "warnings": ["mind the gap"]})
    assert '299 - "mind the gap"' in cluster.create().headers["Warning"]


def test_a_made_up_name_is_the_one_that_webhooks_are_shown(cluster: Cluster) -> None:
    hook = cluster.hook(allow, mutating=True)
    created = cluster.ask("POST", _MAPS, {"metadata": {"generateName": "g-"}}).json()
    assert created["metadata"]["name"] == hook.requests[0]["name"]


def test_a_service_leads_to_its_endpoints_and_is_named_in_the_certificate(cluster: Cluster) -> None:
    with webhook(allow, "hooks.default.svc") as hook:
        service = {"metadata": {"name": "hooks"}, "spec": {"ports": [{"port": 443}]}}
        assert cluster.ask("POST", "api/v1/namespaces/default/services", service).status_code == 201
        piece = {
            "metadata": {"name": "hooks-1", "labels": {"kubernetes.io/service-name": "hooks"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": ["127.0.0.1"]}],
            "ports": [{"name": "", "port": hook.port}],
        }
        path = "apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
        assert cluster.ask("POST", path, piece).status_code == 201
        service = {"name": "hooks", "namespace": "default", "path": "/there"}
        cluster.configure({"service": service, "caBundle": hook.ca_bundle})
        created = cluster.create()
    assert created.status_code == 201, created.text
    assert hook.requests[0]["path"] == "/there?timeout=10s"


def test_configurations_are_shown_to_no_webhook(cluster: Cluster) -> None:
    everything = [{"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}]
    cluster.hook(lambda request: {"allowed": False}, rules=everything)
    assert cluster.create().status_code == 400
    assert cluster.ask("DELETE", f"{_HOOKS}/validatingwebhookconfigurations/c1").status_code == 200
    assert cluster.create().status_code == 201


def test_a_configuration_that_nobody_could_call_is_refused(cluster: Cluster) -> None:
    hook = {
        "name": "short",
        "clientConfig": {"url": "http://x"},
        "rules": [_RULE],
        "admissionReviewVersions": ["v9"],
    }
    body = {"metadata": {"name": "bad"}, "webhooks": [hook]}
    refused = cluster.ask("POST", f"{_HOOKS}/validatingwebhookconfigurations", body)
    fields = [cause["field"] for cause in refused.json()["details"]["causes"]]
    assert (refused.status_code, fields) == (
        422,
        [
            "webhooks[0].name",
            "webhooks[0].sideEffects",
            "webhooks[0].admissionReviewVersions",
            "webhooks[0].clientConfig.url",
        ],
    )


_POD: Tree = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "x"}]}}
_WEB: Tree = {
    "metadata": {"name": "web"},
    "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": _POD["spec"]},
    },
}


def test_evictions_bindings_scales_and_connections_are_shown_and_can_be_refused(cluster: Cluster) -> None:
    pods, deployments = "api/v1/namespaces/default/pods", "apis/apps/v1/namespaces/default/deployments"
    assert cluster.ask("POST", pods, _POD).status_code == 201
    assert cluster.ask("POST", deployments, _WEB).status_code == 201
    hook = cluster.hook(
        lambda request: {"allowed": False, "status": {"message": "not here"}},
        rules=[
            {
                "operations": ["*"],
                "apiGroups": ["*"],
                "apiVersions": ["*"],
                "resources": ["pods/eviction", "pods/binding", "pods/exec", "deployments/scale"],
            }
        ],
    )
    scale = {"metadata": {"name": "web", "namespace": "default"}, "spec": {"replicas": 3}}
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
    asked = (
        ("POST", f"{pods}/p/eviction", {"metadata": {"name": "p"}}, "CREATE", "Eviction"),
        ("POST", f"{pods}/p/binding", binding, "CREATE", "Binding"),
        ("POST", f"{pods}/p/exec?command=ls&command=-l&stdin=true", None, "CONNECT", "PodExecOptions"),
        ("PUT", f"{deployments}/web/scale", scale, "UPDATE", "Scale"),
    )
    for method, path, body, operation, kind in asked:
        answer = cluster.ask(method, path, body)
        assert answer.status_code == 400, answer.text
        assert "denied the request: not here" in answer.json()["message"]
        seen = hook.requests[-1]
        assert (seen["operation"], seen["object"]["kind"], seen["kind"]["kind"]) == (operation, kind, kind)
    executed, scaled = hook.requests[-2:]
    assert (executed["object"]["command"], executed["object"]["stdin"]) == (["ls", "-l"], True)
    assert (scaled["oldObject"]["spec"]["replicas"], scaled["object"]["spec"]["replicas"]) == (1, 3)
    assert cluster.ask("GET", f"{pods}/p").status_code == 200
    assert cluster.ask("GET", f"{deployments}/web").json()["spec"]["replicas"] == 1
