"""What the typed clients put on the wire, seen by a server that keeps everything it is sent."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from deltawire.client import errors
from deltawire.client.config.client_config import ClientConfig
from deltawire.client.typed.clientset import Clientset
from deltawire.client.typed.models import models
from deltawire.common.errors import ConfigError, StatusError, TransportError

apps, core, meta = models("apps_v1"), models("core_v1"), models("meta_v1")
autoscaling, authentication = models("autoscaling_v1"), models("authentication_v1")


@pytest.fixture
def clientset(server: Any) -> Iterator[Clientset]:
    with Clientset.from_config(ClientConfig(server.url)) as found:
        yield found


def sent(server: Any) -> tuple[str, str, Any]:
    last = server.requests[-1]
    return last.command, last.path, json.loads(last.request_body) if last.request_body else None


def answers(server: Any, body: dict[str, Any]) -> None:
    server.answers(lambda exchange: exchange.reply(200, json.dumps(body).encode()))


SCALE = {
    "apiVersion": "autoscaling/v1",
    "kind": "Scale",
    "metadata": {"name": "web"},
    "spec": {"replicas": 4},
}
POD = {"metadata": {"name": "web-0"}, "spec": {"containers": []}}


def test_an_apply_sends_the_fields_given_and_who_owns_them(server: Any, clientset: Clientset) -> None:
    answers(server, {"metadata": {"name": "one"}, "data": {"a": "1"}})
    maps = clientset.core_v1().config_maps("default")
    one = core.ConfigMap(metadata=meta.ObjectMeta(name="one"), data={"a": "1"})
    wanted = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"a": "1"}}
    assert maps.apply(one, field_manager="me", force=True).data == {"a": "1"}
    path = "/api/v1/namespaces/default/configmaps/one"
    assert sent(server) == ("PATCH", f"{path}?fieldManager=me&force=true", wanted)
    assert server.requests[-1].headers["Content-Type"] == "application/apply-patch+yaml"
    maps.apply({"metadata": {"name": "one"}, "data": {"a": "1"}}, field_manager="me", dry_run=True)
    assert sent(server)[1:] == (f"{path}?fieldManager=me&force=false&dryRun=All", wanted)


@pytest.mark.parametrize(
    ("obj", "words"),
    [({"data": {}}, "metadata.name"), ({"metadata": {"name": "a", "managedFields": [{}]}}, "managedFields")],
)
def test_an_apply_that_can_only_fail_is_not_sent(
    server: Any, clientset: Clientset, obj: dict[str, Any], words: str
) -> None:
    with pytest.raises(ConfigError, match=words):
        clientset.core_v1().config_maps("default").apply(obj, field_manager="me")
    assert server.requests == []


def test_the_status_is_applied_apart(server: Any, clientset: Clientset) -> None:
    template = {"spec": {"containers": []}}
    spec = {"selector": {}, "template": template}
    answers(server, {"metadata": {"name": "web"}, "spec": spec, "status": {"readyReplicas": 1}})
    deployments = clientset.apps_v1().deployments("default")
    after = deployments.apply_status({"metadata": {"name": "web"}, "status": {}}, field_manager="me")
    assert after.status is not None and after.status.readyReplicas == 1
    assert sent(server)[1].startswith(
        "/apis/apps/v1/namespaces/default/deployments/web/status?fieldManager=me"
    )


def test_scale_is_a_sub_resource_of_what_has_replicas(server: Any, clientset: Clientset) -> None:
    answers(server, SCALE)
    sets = clientset.apps_v1().stateful_sets("default")
    path = "/apis/apps/v1/namespaces/default/statefulsets/web/scale"
    scale = sets.get_scale("web")
    assert scale.spec is not None and scale.spec.replicas == 4
    assert sent(server) == ("GET", path, None)
    sets.update_scale("web", scale)
    assert sent(server) == ("PUT", path, SCALE)
    sets.apply_scale("web", {"metadata": {"name": "web"}, "spec": {"replicas": 1}}, field_manager="me")
    assert sent(server)[:2] == ("PATCH", f"{path}?fieldManager=me&force=false")


def test_an_eviction_is_posted_and_a_budgets_no_is_not_sent_again(server: Any, clientset: Clientset) -> None:
    answers(server, {"kind": "Status", "status": "Success"})
    pods = clientset.core_v1().pods("default")
    pods.evict("web-0", grace_period_s=5, uid="u")
    command, path, body = sent(server)
    assert (command, path) == ("POST", "/api/v1/namespaces/default/pods/web-0/eviction")
    assert body["apiVersion"] == "policy/v1"
    assert body["deleteOptions"]["gracePeriodSeconds"] == 5
    assert body["deleteOptions"]["preconditions"] == {"uid": "u"}
    refused = b'{"kind":"Status","status":"Failure","code":429,"reason":"TooManyRequests"}'
    server.answers(lambda exchange: exchange.reply(429, refused, Retry_After="1"))
    before = len(server.requests)
    with pytest.raises(StatusError) as found:
        pods.evict("web-0")
    assert errors.is_too_many_requests(found.value)
    assert len(server.requests) == before + 1


def test_a_binding_names_pod_and_node(server: Any, clientset: Clientset) -> None:
    answers(server, {"kind": "Status", "status": "Success"})
    target = core.ObjectReference(kind="Node", name="node-1")
    clientset.core_v1().pods("default").bind(
        core.Binding(metadata=meta.ObjectMeta(name="web-0"), target=target)
    )
    command, path, body = sent(server)
    assert (command, path) == ("POST", "/api/v1/namespaces/default/pods/web-0/binding")
    assert body["target"] == {"kind": "Node", "name": "node-1"}


def test_logs_come_whole_or_as_they_grow(server: Any, clientset: Clientset) -> None:
    server.answers(lambda exchange: exchange.reply(200, b"one\ntwo\n", Content_Type="text/plain"))
    pods = clientset.core_v1().pods("default")
    assert pods.get_logs("web-0", container="web", tail_lines=2).do().raw == b"one\ntwo\n"
    path = "/api/v1/namespaces/default/pods/web-0/log"
    assert sent(server)[1] == f"{path}?container=web&tailLines=2"

    def grows(exchange: Any) -> None:
        exchange.begin_stream()
        exchange.send_chunk(b"one\n")
        exchange.send_chunk(b"two\n")
        exchange.end_stream()

    server.answers(grows)
    assert list(pods.get_logs("web-0", follow=True).stream()) == [b"one\n", b"two\n"]
    assert sent(server)[1] == f"{path}?follow=true"


def test_ephemeral_containers_resize_finalize_and_tokens_have_their_sub_resources(
    server: Any, clientset: Clientset
) -> None:
    answers(server, POD)
    pods = clientset.core_v1().pods("default")
    pod = pods.get("web-0")
    pods.update_ephemeral_containers(pod)
    assert sent(server)[:2] == ("PUT", "/api/v1/namespaces/default/pods/web-0/ephemeralcontainers")
    pods.update_resize(pod)
    assert sent(server)[:2] == ("PUT", "/api/v1/namespaces/default/pods/web-0/resize")
    pods.proxy_get("web-0", "metrics", scheme="https", port="8443").do()
    assert sent(server)[:2] == ("GET", "/api/v1/namespaces/default/pods/https:web-0:8443/proxy/metrics")
    clientset.core_v1().services("default").proxy_get("web", "metrics", "cpu", port="http").do()
    assert sent(server)[:2] == ("GET", "/api/v1/namespaces/default/services/web:http/proxy/metrics/cpu")
    answers(server, {"metadata": {"name": "old"}})
    clientset.core_v1().namespaces().finalize(core.Namespace(metadata=meta.ObjectMeta(name="old")))
    assert sent(server)[:2] == ("PUT", "/api/v1/namespaces/old/finalize")
    answers(
        server,
        {
            "spec": {"audiences": ["a"]},
            "status": {"token": "t", "expirationTimestamp": "2030-01-01T00:00:00Z"},
        },
    )
    request = authentication.TokenRequest(spec=authentication.TokenRequestSpec(audiences=["a"]))
    token = clientset.core_v1().service_accounts("default").create_token("robot", request)
    assert token.status is not None and token.status.token == "t"
    assert sent(server)[:2] == ("POST", "/api/v1/namespaces/default/serviceaccounts/robot/token")


def test_time_outs_of_lists_are_told_to_the_server_twice_as_client_go_does(
    server: Any, clientset: Clientset
) -> None:
    answers(server, {"items": []})
    clientset.core_v1().nodes().list(timeout_s=30)
    assert sent(server)[1] == "/api/v1/nodes?timeoutSeconds=30&timeout=30s"


def test_an_answer_of_another_shape_is_one_clear_error(server: Any, clientset: Clientset) -> None:
    answers(server, {"metadata": {"name": "web"}, "spec": {"replicas": "three"}})
    with pytest.raises(TransportError, match=r"replicas|spec") as found:
        clientset.apps_v1().deployments("default").get("web")
    assert found.value.reason == "garbage"


def test_options_that_do_not_exist_are_refused(clientset: Clientset) -> None:
    with pytest.raises(ConfigError, match="no option 'labels'"):
        clientset.core_v1().nodes().list(labels="a=b")
