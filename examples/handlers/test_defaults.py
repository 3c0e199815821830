"""Namespaces get their defaults, and keep them."""

from defaults import handler

from deltawire import FakeClientset
from deltawire.handlers.testing import Harness


def namespace(name):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def test_each_namespace_gets_its_defaults_and_system_namespaces_do_not():
    with FakeClientset(namespace("shop"), namespace("kube-extra")) as cluster:
        harness = Harness(handler, client=cluster)
        assert {h.verdict for h in harness.settle()} == {"done"}
        assert sorted(harness.writes) == ["patch networkpolicies shop/defaults", "patch resourcequotas shop/defaults"]
        assert cluster.core_v1().resource_quotas("shop").get("defaults").spec.hard["pods"] == "50"


def test_what_is_deleted_is_put_back_and_a_second_look_changes_nothing():
    with FakeClientset(namespace("shop")) as cluster:
        harness = Harness(handler, client=cluster)
        harness.settle()
        cluster.networking_v1().network_policies("shop").delete("defaults")
        harness.settle()
        before = cluster.networking_v1().network_policies("shop").get("defaults").metadata.resourceVersion
        harness.resync()
        harness.apply(namespace("shop"))
        assert cluster.networking_v1().network_policies("shop").get("defaults").metadata.resourceVersion == before
