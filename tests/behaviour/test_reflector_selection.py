"""What is asked for and what leaves: selectors, custom resources, trimmed objects, Secrets."""

import base64

from tests.support.reflector_rig import PODS, Rig, pod

CRD = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "widgets.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
                },
            }
        ],
    },
}


def test_selectors_are_the_servers_work_and_leavers_are_deletions(api_server_factory):
    with Rig(
        api_server_factory,
        [{"resource": "pods", "label_selector": "tier=web", "field_selector": "metadata.name!=c"}],
    ) as rig:
        for name, tier in (("a", "web"), ("b", "db"), ("c", "web")):
            rig.server.create("pods", pod(name, tier=tier), "default")
        rig.broker.until(lambda: rig.broker.of("end"))
        rig.broker.until(lambda: set(rig.broker.objects[PODS]) == {"default/a"})

        def leave(obj):
            obj["metadata"]["labels"]["tier"] = "db"
            return obj

        rig.server.call(lambda core: core.patch("pods", leave, "a", "default"))
        rig.broker.until(lambda: not rig.broker.objects[PODS])
        assert rig.streaming_lists()[0]["labelSelector"] == "tier=web"


def test_a_custom_resource_is_found_by_discovery_as_soon_as_it_is_there(api_server_factory):
    informer = "default/widgets.example.com"
    with Rig(api_server_factory, [{"resource": "widgets.example.com"}]) as rig:
        rig.broker.until(lambda: rig.stream(f"{informer}@*")["state"] == "backoff")
        rig.server.create("customresourcedefinitions.apiextensions.k8s.io", CRD)
        widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
        rig.server.create("widgets.example.com", widget, "default")
        rig.broker.until(lambda: "default/w" in rig.broker.objects.get(informer, {}))
        assert b'"kind":"Widget"' in rig.broker.objects[informer]["default/w"]


def test_dropped_fields_do_not_leave_the_reflector(api_server_factory):
    with Rig(
        api_server_factory, [{"resource": "pods", "drop": [".metadata.labels", ".spec.containers[*].image"]}]
    ) as rig:
        rig.server.create("pods", pod("a", tier="web"), "default")
        rig.broker.until(lambda: "default/a" in rig.broker.objects.get(PODS, {}))
        obj = rig.broker.objects[PODS]["default/a"]
        assert b"tier" not in obj
        assert b"registry.local" not in obj
        assert b'"name":"main"' in obj


def test_a_secrets_value_does_not_leave_the_reflector(api_server_factory):
    value = base64.b64encode(b"hunter2").decode()
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "data": {"password": value}}
    with Rig(api_server_factory, [{"resource": "secrets", "secrets": "hash"}]) as rig:
        rig.server.create("secrets", secret, "default")
        rig.broker.until(lambda: "default/db" in rig.broker.objects.get("default/secrets", {}))
        obj = rig.broker.objects["default/secrets"]["default/db"]
        assert value.encode() not in obj
        assert b'"password":"sha256:' in obj
