"""What a function reads, writes and says by its context, against an API server in this process."""

import logging
import threading
import time

import pytest

from deltawire import FakeClientset, Handler
from deltawire.common.errors import ConfigError, TransportError
from deltawire.handlers.async_loop import AsyncLoop
from deltawire.handlers.testing import Harness
from tests.support.websites import CRD, WEBSITES

SITE = {
    "apiVersion": "example.com/v1",
    "kind": "Website",
    "metadata": {"name": "shop", "namespace": "ns"},
    "spec": {"image": "nginx"},
}


@pytest.fixture
def clientset():
    with FakeClientset(CRD, SITE) as made:
        yield made


def sites(clientset):
    from deltawire.client.dynamic.dynamic_client import DynamicClient
    from deltawire.client.schema import GroupVersionResource

    found = DynamicClient(clientset.rest).resource(GroupVersionResource("example.com", "v1", "websites"))
    return found.namespace("ns")


def run(function, clientset, *, verb="reconcile", **options):
    """The outcome of one call of ``function`` for the stored site."""
    handler = Handler("site", **options)
    getattr(handler, verb)(WEBSITES)(function)
    harness = Harness(handler, client=clientset)
    [handled] = harness.apply(sites(clientset).get("shop"), resource=WEBSITES)
    return handled, harness


def none(_):
    """A function's value: nothing, as it must be."""


def done(function, clientset, **options):
    handled, harness = run(function, clientset, **options)
    assert handled.error == ""
    return harness


def test_an_on_function_gets_the_context_beside_the_event(clientset):
    seen = []
    done(
        lambda obj, event, ctx: seen.append((event.key, ctx.key, ctx.object == obj)), clientset, verb="on_add"
    )
    assert seen == [("ns/shop", "ns/shop", True)]


def test_what_a_function_changes_in_its_object_the_context_does_not_see(clientset):
    seen = []

    def added(obj, ctx):
        obj.clear()
        seen.append(ctx.object["kind"])

    done(added, clientset, verb="on_add")
    assert seen == ["Website"]


def test_the_status_of_a_custom_resource_is_applied_under_the_handlers_name(clientset):
    done(lambda key, ctx: none(ctx.status({"phase": "Up"}, readyReplicas=2)), clientset)
    stored = sites(clientset).get("shop")
    assert stored["status"] == {"phase": "Up", "readyReplicas": 2}
    assert "site" in [entry["manager"] for entry in stored["metadata"]["managedFields"]]
    done(lambda key, ctx: none(ctx.status(phase="Down")), clientset)
    assert sites(clientset).get("shop")["status"] == {"phase": "Down"}


def test_all_that_a_context_writes_bears_the_handlers_name_as_field_manager(clientset):
    def reconcile(key, ctx):
        with ctx.finalizer("example.com/dns"):
            ctx.patch({"metadata": {"annotations": {"a": "b"}}})

    before = {e["manager"] for e in sites(clientset).get("shop")["metadata"].get("managedFields", [])}
    done(reconcile, clientset)
    stored = sites(clientset).get("shop")["metadata"]
    assert (stored["finalizers"], stored["annotations"]) == (["example.com/dns"], {"a": "b"})
    assert {entry["manager"] for entry in stored["managedFields"]} - before == {"site"}


def test_an_owned_child_is_applied_in_the_owners_namespace_and_mended(clientset):
    def reconcile(key, ctx):
        child = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shop"}, "data": {"a": "1"}}
        ctx.apply(ctx.own(child))

    done(reconcile, clientset)
    maps = clientset.core_v1().config_maps("ns")
    [reference] = maps.get("shop").metadata.ownerReferences
    assert (reference.kind, reference.name, reference.controller, reference.blockOwnerDeletion) == (
        "Website",
        "shop",
        True,
        True,
    )
    maps.patch("shop", {"data": {"a": "2"}})
    done(reconcile, clientset)
    assert maps.get("shop").data == {"a": "1"}


def test_a_typed_child_is_owned_and_applied(clientset):
    from lightkube.models.core_v1 import ConfigMap
    from lightkube.models.meta_v1 import ObjectMeta

    done(
        lambda key, ctx: none(ctx.apply(ctx.own(ConfigMap(metadata=ObjectMeta(name="t"), data={"a": "1"})))),
        clientset,
    )
    assert clientset.core_v1().config_maps("ns").get("t").metadata.ownerReferences[0].kind == "Website"


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        ({"name": "c", "namespace": "other"}, "is in namespace 'other', its owner Website shop in 'ns'"),
        (
            {
                "name": "c",
                "ownerReferences": [{"uid": "x", "kind": "Deployment", "name": "d", "controller": True}],
            },
            "is controlled by Deployment d already",
        ),
    ],
)
def test_a_child_of_another_is_not_taken(clientset, metadata, complaint):
    child = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}
    handled, _ = run(lambda key, ctx: ctx.own(child), clientset)
    assert complaint in handled.error and handled.error.startswith(ConfigError.__name__)


def test_a_patch_is_of_the_calls_object_or_of_another(clientset):
    clientset.core_v1().config_maps("ns").create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "ns"}}
    )

    def reconcile(key, ctx):
        ctx.patch({"metadata": {"labels": {"a": "1"}}})
        other = clientset.core_v1().config_maps("ns").get("c")
        ctx.patch({"data": {"x": "y"}}, of=other)

    done(reconcile, clientset)
    assert sites(clientset).get("shop")["metadata"]["labels"] == {"a": "1"}
    assert clientset.core_v1().config_maps("ns").get("c").data == {"x": "y"}


def test_a_finalizer_is_added_held_while_the_block_fails_and_removed_when_it_ends_well(clientset):
    outcomes = []

    def reconcile(key, ctx):
        with ctx.finalizer("example.com/dns") as leaving:
            if leaving:
                outcomes.append("removing")
                if len(outcomes) == 1:
                    raise OSError("no dns")

    done(reconcile, clientset)
    assert sites(clientset).get("shop")["metadata"]["finalizers"] == ["example.com/dns"]
    sites(clientset).delete("shop")
    handled, _ = run(reconcile, clientset)
    assert handled.verdict == "retry"
    assert sites(clientset).get("shop")["metadata"]["finalizers"] == ["example.com/dns"]
    done(reconcile, clientset)
    assert outcomes == ["removing", "removing"]
    assert sites(clientset).list().items == []


def test_a_finalizer_is_written_beside_other_writers(clientset):
    """What another has added since the cache was read stays: a conflict is tried again."""

    def reconcile(key, ctx):
        sites(clientset).patch("shop", {"metadata": {"finalizers": ["other.com/x"]}})
        ctx.finalizer().add()

    done(reconcile, clientset)
    assert sites(clientset).get("shop")["metadata"]["finalizers"] == ["other.com/x", "deltawire/site"]


def test_a_conflict_with_another_writer_is_tried_again(clientset):
    from deltawire.common.errors import StatusError

    clashes = []

    def clash(action):
        clashes.append(action)
        if len(clashes) == 1:
            raise StatusError(409, "Conflict", "changed meanwhile")
        return

    clientset.fake.prepend_reactor("patch", "websites", clash)
    done(lambda key, ctx: ctx.finalizer().add(), clientset)
    assert len(clashes) == 2
    assert sites(clientset).get("shop")["metadata"]["finalizers"] == ["deltawire/site"]


def test_a_recorded_event_says_what_it_is_about(clientset):
    harness = done(lambda key, ctx: ctx.record("Created", "made it", type="Warning"), clientset)
    assert harness.events == ["Warning Created made it"]


def test_recorded_events_reach_the_server_counted(clientset):
    from deltawire.common.clock import SystemClock
    from deltawire.handlers.reach import Reach

    reach = Reach(lambda: clientset, handler="site", clock=SystemClock())
    site = sites(clientset).get("shop")
    for _ in range(3):
        reach.recorder.event(site, "Normal", "Created", "made it")
    reach.close(10.0)
    [event] = clientset.core_v1().events("ns").list().items
    assert (event.count, event.reason, event.involvedObject.kind, event.source.component) == (
        3,
        "Created",
        "Website",
        "site",
    )


def test_a_write_that_is_not_in_the_cache_in_time_is_an_error(clientset, monkeypatch):
    monkeypatch.setattr(
        Harness, "awaits", lambda *_: None
    )  # as in a process, where the cache comes by itself
    handler = Handler("site")
    failures = []

    @handler.on_add("configmaps")
    def added(obj, ctx):
        stored = ctx.patch({"data": {"a": "1"}})
        with pytest.raises(TransportError, match="is not in the cache at version"):
            ctx.wait_for_cache(stored, timeout_s=1.0)
        failures.append(stored)

    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "ns"}}
    clientset.core_v1().config_maps("ns").create(made)
    assert Harness(handler, client=clientset).apply(made)[0].error == ""
    assert len(failures) == 1


def test_what_a_function_wrote_and_waited_for_its_lister_finds_and_its_event_still_comes(clientset):
    handler = Handler("site", reads=["configmaps"])
    seen = []
    handler.on_update("configmaps")(lambda old, new: seen.append(new["data"]))

    @handler.on_add("configmaps")
    def added(obj, ctx):
        stored = ctx.patch({"data": {"a": "1"}})
        ctx.wait_for_cache(stored)
        seen.append(ctx.lister().get_key(ctx.key)["data"])

    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "ns"}}
    clientset.core_v1().config_maps("ns").create(made)
    handled = Harness(handler, client=clientset).settle()
    assert [one.error for one in handled if "ns/" in one.key] == ["", ""]
    assert seen == [{"a": "1"}, {"a": "1"}]


def test_a_lister_by_class_gives_objects_of_that_class(clientset):
    from lightkube.models.core_v1 import ConfigMap

    seen = []
    handler = Handler("site", reads=["configmaps"])
    handler.on_add(WEBSITES)(lambda obj, ctx: seen.extend(ctx.lister(ConfigMap).list("ns")))
    harness = Harness(handler, client=clientset)
    harness.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "ns"}})
    assert harness.apply(SITE, resource=WEBSITES)[0].error == ""
    assert [type(one) for one in seen] == [ConfigMap]
    assert seen[0].metadata.name == "c"


def test_a_blocking_call_in_async_code_is_named_once_with_file_and_line(caplog):
    release = threading.Event()
    loop = AsyncLoop(blocked_s=0.02)

    async def blocking():
        assert release.wait(30)  # blocks the loop

    def let_go_when_reported():
        deadline_s = time.monotonic() + 25
        while not caplog.records and time.monotonic() < deadline_s:
            time.sleep(0.005)
        release.set()

    with caplog.at_level(logging.WARNING):
        watcher = threading.Thread(target=let_go_when_reported)
        watcher.start()
        loop.run(blocking())
        watcher.join()
    loop.close(5.0)
    line = blocking.__code__.co_firstlineno + 1
    [record] = caplog.records
    assert record.getMessage().startswith(f"{__file__}:{line} in blocking: blocks the event loop")


def test_an_async_call_that_awaits_is_not_named(caplog):
    import asyncio

    loop = AsyncLoop(blocked_s=5.0)
    with caplog.at_level(logging.WARNING):
        loop.run(asyncio.sleep(0.05))
    loop.close(5.0)
    assert caplog.records == []
