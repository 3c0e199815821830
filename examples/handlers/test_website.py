"""A Website from its beginning to its end."""

from pathlib import Path

import pytest
import website
import yaml

from deltawire import DynamicClient, FakeClientset
from deltawire.client.schema import GroupVersionResource
from deltawire.handlers.testing import Harness

HERE = Path(__file__).parent
WEBSITES = GroupVersionResource("example.com", "v1", "websites")


@pytest.fixture
def scene(endpoint, monkeypatch):
    monkeypatch.setattr(website, "DNS", endpoint.url)
    objects = [yaml.safe_load((HERE / name).read_text()) for name in ("crds/websites.yaml", "website.yaml")]
    with FakeClientset(*objects) as cluster:
        harness = Harness(website.handler, client=cluster)
        yield harness, cluster, DynamicClient(cluster.rest).resource(WEBSITES).namespace("shop"), endpoint
        harness.close()


def test_a_website_gets_its_children_its_host_and_a_status(scene):
    harness, cluster, sites, dns = scene
    harness.settle()
    deployment = cluster.apps_v1().deployments("shop").get("web")
    assert (deployment.spec.replicas, deployment.metadata.ownerReferences[0].kind) == (2, "Website")
    assert cluster.core_v1().services("shop").get("web").spec.selector == {"app": "web"}
    assert dns.asked[0].startswith("PUT /shop.example.com")
    cluster.apps_v1().deployments("shop").patch(
        "web", {"status": {"replicas": 2, "readyReplicas": 2}}, subresource="status"
    )
    harness.settle()
    status = sites.get("web")["status"]
    assert status["readyReplicas"] == 2
    [condition] = status["conditions"]
    assert (condition["type"], condition["status"], condition["message"]) == ("Ready", "True", "2 of 2")


def test_drift_of_the_children_is_mended(scene):
    harness, cluster, _, _ = scene
    harness.settle()
    cluster.apps_v1().deployments("shop").patch("web", {"spec": {"replicas": 9}})
    cluster.core_v1().services("shop").delete("web")
    harness.settle()
    assert cluster.apps_v1().deployments("shop").get("web").spec.replicas == 2
    assert cluster.core_v1().services("shop").get("web").spec.ports[0].port == 80


def test_a_deleted_website_stays_until_the_dns_api_has_forgotten_its_host(scene):
    harness, _, sites, dns = scene
    harness.settle()
    sites.delete("web")
    dns.codes = [503]
    [failed] = [h for h in harness.settle() if h.key == "shop/web"]
    assert (failed.verdict, "503" in failed.error) == ("retry", True)
    assert sites.get("web")["metadata"]["finalizers"] == ["example.com/dns"]
    harness.advance(60)
    assert dns.asked[-1] == "DELETE /shop.example.com"
    assert [site["metadata"]["name"] for site in sites.list().items] == []
