"""An incident is posted once, and once more when it is over."""

from datetime import UTC, datetime, timedelta

import alerts
import pytest

from deltawire import FakeClientset
from deltawire.handlers.testing import Harness


def pod(state, *, well_s=None):
    conditions = []
    if well_s is not None:
        since = (datetime.now(UTC) - timedelta(seconds=well_s)).strftime("%Y-%m-%dT%H:%M:%SZ")
        conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": since}]
    container = {"name": "c", "image": "i", "imageID": "", "ready": True, "restartCount": 3, "state": state}
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "api", "namespace": "shop"},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
        "status": {"containerStatuses": [container], "conditions": conditions},
    }  # fmt: skip


CRASHING = pod({"waiting": {"reason": "CrashLoopBackOff"}})


@pytest.fixture
def scene(endpoint, monkeypatch):
    monkeypatch.setattr(alerts, "URL", endpoint.url)
    with FakeClientset(CRASHING) as cluster:
        harness = Harness(alerts.handler, client=cluster)
        yield harness, cluster.core_v1().pods("shop"), endpoint
        harness.close()


def becomes(pods, obj):
    pods.patch("api", {"status": obj["status"]}, subresource="status")


def test_an_incident_is_posted_once_and_resolved_when_the_pod_is_well_for_five_minutes(scene):
    harness, pods, webhook = scene
    harness.settle()
    becomes(pods, pod({"terminated": {"exitCode": 137, "reason": "OOMKilled"}}))
    harness.settle()
    assert len(webhook.asked) == 1, "the same incident"
    becomes(pods, pod({"running": {}}, well_s=100))
    [handled] = harness.settle()
    assert (handled.verdict, 195 < handled.after_s <= 200) == ("requeue", True)
    becomes(pods, pod({"running": {}}, well_s=301))
    harness.settle()
    assert ["resolved" in line for line in webhook.asked] == [False, True]
    becomes(pods, CRASHING)
    harness.settle()
    assert len(webhook.asked) == 3, "a new incident"


def test_a_webhook_that_is_down_is_asked_again_and_one_that_refuses_is_not(scene):
    harness, _, webhook = scene
    webhook.codes = [503, 500]
    assert [h.verdict for h in harness.settle()] == ["retry"]
    assert [h.verdict for h in harness.advance(5)][:2] == ["retry", "done"]
    assert len(webhook.asked) == 3


def test_a_post_that_is_refused_is_a_dead_letter(scene):
    harness, _, webhook = scene
    webhook.codes = [400]
    assert [(h.verdict, h.error) for h in harness.settle()] == [("dead", "the webhook says 400")]
