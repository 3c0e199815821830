"""What a test of a plug-in can do with a `Harness`: time, a cluster in the same process, recorded events."""

import pytest

from deltawire import FakeClientset, Handler, Requeue
from deltawire.common.errors import PluginError, StateError
from deltawire.handlers.testing import Harness
from tests.support.websites import CRD, WEBSITES
from tests.unit.handlers.test_context import SITE

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "ns"}}


def test_a_requeued_key_comes_again_when_its_time_has_come():
    handler, calls = Handler("again"), []

    @handler.on_add("pods")
    def added(pod, event):
        calls.append(event.attempt)
        return Requeue(60) if len(calls) < 3 else None

    harness = Harness(handler)
    [handled] = harness.apply(POD)
    assert (handled.verdict, harness.waiting) == ("requeue", {"ns/a": 60})
    assert harness.advance(59) == []
    assert [h.verdict for h in harness.advance(1)] == ["requeue"]
    assert [h.verdict for h in harness.advance(3600)] == ["done"]
    assert calls == [1, 1, 1]


def test_a_failure_comes_again_by_its_delay_with_a_higher_attempt_until_it_is_dead():
    handler, attempts = Handler("fails"), []

    @handler.on_add("pods")
    def added(pod, event):
        attempts.append(event.attempt)
        raise OSError("no luck")

    harness = Harness(handler, attempts_max=3)
    harness.apply(POD)
    assert [h.verdict for h in harness.advance(1)] == ["retry", "dead"]
    assert attempts == [1, 2, 3]
    assert harness.waiting == {}


def test_a_newer_version_takes_the_place_of_what_waits():
    handler, seen = Handler("newest"), []

    @handler.reconcile("pods")
    def reconcile(key, ctx):
        seen.append(ctx.object["metadata"].get("labels"))
        return Requeue(10)

    harness = Harness(handler)
    harness.apply(POD)
    harness.apply({**POD, "metadata": {**POD["metadata"], "labels": {"v": "2"}}})
    harness.advance(10)
    assert seen == [None, {"v": "2"}, {"v": "2"}]


def test_a_custom_resource_that_the_handler_names_is_found_by_its_kind():
    handler = Handler("site")
    handler.on_add(WEBSITES)(lambda obj: None)
    assert [h.key for h in Harness(handler).apply(SITE)] == ["ns/shop"]
    with pytest.raises(PluginError, match=r"'Widget' of 'example.com/v1'.*resource='widgets"):
        Harness(handler).apply({**SITE, "kind": "Widget"})


def controller():
    handler = Handler("site", reads=["configmaps"])

    @handler.reconcile(WEBSITES)
    def reconcile(key, ctx):
        if ctx.object is not None:
            child = {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": ctx.object["metadata"]["name"]},
            }
            if ctx.lister("configmaps").get_key(key) is None:
                ctx.apply(ctx.own(child))
                ctx.record("Made", "its config map")

    return handler


def test_a_harness_follows_its_cluster_until_nothing_changes_any_more():
    with FakeClientset(CRD, SITE) as cluster:
        harness = Harness(controller(), client=cluster)
        assert [h.verdict for h in harness.settle()] == ["done"]
        assert harness.writes == ["patch configmaps ns/shop"]
        assert harness.events == ["Normal Made its config map"]
        assert harness.lister("test", "configmaps").get("ns", "shop") is not None
        assert harness.settle() == []
        # Garbage collection is the cluster's; here it is enough that the deletion is told.
        cluster.core_v1().config_maps("ns").delete("shop")
        harness.settle()
        assert harness.lister("test", "configmaps").get("ns", "shop") is None


def test_a_controller_that_writes_at_each_call_is_named():
    handler = Handler("restless")

    @handler.reconcile("configmaps")
    def reconcile(key, ctx):
        ctx.patch({"data": {"n": str(int((ctx.object.get("data") or {}).get("n", 0)) + 1)}})

    config_map = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "ns"}}
    with (
        FakeClientset(config_map) as cluster,
        pytest.raises(StateError, match="still changed after 5 rounds"),
    ):
        Harness(handler, client=cluster).settle(rounds_max=5)


def test_a_recorded_event_is_delivered_as_it_was():
    handler, seen = Handler("replayed"), []
    handler.on_update("pods")(lambda old, new: seen.append((old["metadata"]["name"], new["metadata"]["uid"])))
    harness = Harness(handler)
    event = {"type": "updated", "resource": "pods", "uid": "u", "version": "7", "object": POD, "old": POD}
    assert [h.verdict for h in harness.replay(event)] == ["done"]
    assert seen == [("a", "u")]
    assert harness.replay({**event, "resource": "nodes"}) == []
    with pytest.raises(PluginError, match="no recorded event"):
        harness.replay({"type": "melted"})
